# One step: RUN EPOCH STEP EXPECT ACTION SECONDS UNIT HOME DB_DIR STATE_FILE WAL_FILE SHA256 SIZE SIGNER. It checks, says
# that it is ready, and acts when it reads 'go'; without it nothing happens. A log with this sha256 follows in base64, up
# to a line 'end'; it replaces one of SIZE bytes, of a signer whose state has the sha256 SIGNER; empty: of any.
run=$1 epoch=$2 step=$3 expect=$4 action=$5 seconds=$6 unit=$7 home=$8 db_dir=$9
shift 9
state_file=$1 wal_file=$2 sha256=$3 size=$4 signer=$5
aside=${wal_file%/*}.fleet-$run

refuse() {
    echo "refused=$1"
    unit_facts "$unit" "$home" "$db_dir" "$state_file"
    echo "done=1"
    exit 0
}

may_act() {
    fenced "$run" "$epoch" && refuse "another run has taken this host's lock"
    lease_remaining "$run"
    [ "$remaining" -gt 0 ] || refuse "the lease of this run has expired"
}

# Whether the unit has a process, or has failed already. Its group's usual place is faster to read than systemd is to
# ask; systemd is asked at every tenth try.
is_alive() {
    group_file "/system.slice/$unit"
    if [ -n "$procs" ] && read_line "$procs" && [ -n "$line" ]; then
        echo "alive=1"
        return 0
    fi
    [ $(($1 % 10)) = 9 ] || return 1
    case $(systemctl show "$unit" --property=MainPID,ActiveState) in
    *ActiveState=failed*) ;;
    *MainPID=0*) return 1 ;;
    *) echo "alive=1" ;;
    esac
}

may_act
seen=
if [ "$expect" = stopped ]; then
    seen=$(unit_facts "$unit" "$home" "$db_dir" "")
    case $seen in
    *unit.ActiveState=inactive* | *unit.ActiveState=failed*) ;;
    *) refuse "the unit is not stopped" ;;
    esac
    case $seen in *process=*) refuse "a process of $home still runs" ;; esac
    case $seen in *database.locked=1*) refuse "a process holds the database" ;; esac
fi

read_uptime
since=$uptime
echo "ready=1"
read -r word || word=
[ "$word" = go ] || refuse "its turn never came, nothing was done"
# A host that was frozen or cut off meanwhile does nothing.
may_act
[ $((uptime - since)) -le 60 ] || refuse "its turn came more than 60 s late, nothing was done"

note_begin "$step" "$epoch"
case $action in
start)
    # Only where it is needed: those whose turn is next wait for this.
    case $seen in *unit.ActiveState=failed*) systemctl reset-failed "$unit" 2>/dev/null ;; esac
    message=$(systemctl start --no-block "$unit" 2>&1)
    code=$?
    if [ "$code" = 0 ]; then
        tries=0
        until is_alive "$tries" || [ "$tries" -ge $((seconds * 50)) ]; do
            tries=$((tries + 1))
            sleep 0.02
        done
    fi
    ;;
stop)
    message=$(systemctl stop "$unit" 2>&1)
    code=$?
    ;;
set-wal)
    message=$(set_wal "$sha256" "$size" "$signer" 2>&1)
    code=$?
    ;;
undo-wal)
    message=$(undo_wal 2>&1)
    code=$?
    ;;
seal)
    message=$(seal 2>&1)
    code=$?
    ;;
swap)
    message=$(swap 2>&1)
    code=$?
    ;;
*)
    message="unknown action $action"
    code=1
    ;;
esac
note_end "$step" "$epoch" "$code"
[ "$code" = 0 ] || echo "refused=$action of $unit: exit $code: $message" | tr '\n' ' '
[ "$code" = 0 ] || echo
# Whether a start took is seen from the unit alone; a stop is proven by all there is.
[ "$action" = start ] && home='' db_dir='' state_file=''
unit_facts "$unit" "$home" "$db_dir" "$state_file"
case $action in *-wal) wal_facts "$wal_file" "$run" ;; esac
[ "$action" = seal ] && clone_facts "$db_dir" "$run"
[ "$action" = swap ] && swap_facts "$db_dir" "$run" "$unit"
echo "done=1"
