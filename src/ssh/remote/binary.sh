# The SHA-256 of a unit's program: UNIT HOME; below cosmovisor of the binary that it runs. Nothing where it can't be told.
path=$(systemctl show "$1" --property=ExecStart --value 2>/dev/null)
path=${path#*path=}
path=${path%% *}
case $path in
*/sh | */bash | */env) exit 0 ;;
*cosmovisor*)
    bin=$2/cosmovisor/current/bin
    name=$(systemctl show "$1" --property=Environment --value 2>/dev/null | tr ' ' '\n' | sed -n 's/^"\{0,1\}DAEMON_NAME=\([^"]*\).*/\1/p')
    # Where a file sets its name, and not the unit, it is the only one there.
    [ -n "$name" ] || { set -- "$bin"/*; [ "$#" = 1 ] && name=${1##*/}; }
    path=$bin/$name
    ;;
esac
[ -f "$path" ] && nice -n 10 sha256sum <"$path"
:
