# Removes the clone of run RUN in DB_DIR.
clone=$2/.fleet-$1
case $1 in '' | */*) echo "error=no run is named"; exit 0 ;; esac
rm -rf "$clone" && echo "done=1"
[ -n "$base" ] || systemctl stop "fleet-drop-$1.timer" 2>/dev/null
:
