# Tells the clone that run RUN will make in DB_DIR which tables need not be in it: those of the snapshot ID, which follow on
# standard input as seal.sh prints them, in order. A list that can't be written, or that breaks off, only makes more work.
clone=$2/.fleet-$1
case $1 in '' | */*) echo "no run is named" >&2; exit 1 ;; esac
[ -d "$2" ] || { echo "there is no folder $2" >&2; exit 1; }
if [ ! -e "$clone/.sealed" ] && rm -rf "$clone/.known" && mkdir -p "$clone/.known" && chmod 700 "$clone"; then
    cat >"$clone/.known/$3" || rm -rf "$clone/.known"
fi
:
