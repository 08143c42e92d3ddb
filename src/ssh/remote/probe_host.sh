# The host, then each service: NAME UNIT HOME BINARY JOURNAL, five arguments each; the last is empty where what the node
# logged is of no interest.
read -r uptime_s _ </proc/uptime
echo "host.uptime=$uptime_s"
echo "host.booted=$(systemctl show --property=UserspaceTimestampMonotonic --value 2>/dev/null)"
if [ -e /run/systemd/timesync/synchronized ]; then
    echo "host.synced=yes"
else
    echo "host.synced=$(timedatectl show --property=NTPSynchronized --value 2>/dev/null)"
fi
show_lock

show_file() { [ -r "$2" ] && printf 'file.%s=%s\n' "$1" "$(base64 -w 0 "$2")"; }

watchdogs() {
    for file in /etc/systemd/system/monit.service /lib/systemd/system/monit.service; do
        [ -e "$file" ] && systemctl is-active --quiet monit.service && echo "watchdog=monit" && break
    done
    grep -lsF -e "$1" /etc/crontab /etc/cron.d/* /var/spool/cron/crontabs/* /var/spool/cron/* | while IFS= read -r file; do
        grep -v '^[[:space:]]*#' "$file" | grep -qF -e "$1" && echo "watchdog=$file starts $1"
    done
    :
}

while [ "$#" -ge 5 ]; do
    name=$1 unit=$2 home=$3 binary=$4 journal=$5
    shift 5
    echo "service=$name"
    unit_facts "$unit" "$home" "" ""
    watchdogs "$unit"
    [ -e "$records/hold/$unit" ] && echo "held=1"
    case $shown in *ExecStart=*cosmovisor*) echo "cosmovisor=1" ;; esac
    if [ -n "$home" ]; then
        df -P -B1 "$home" 2>/dev/null | { read -r _ && IFS= read -r line && echo "disk=$line"; }
        if [ -d "$home" ]; then
            show_file config "$home/config/config.toml" || echo "config.error=cannot read $home/config/config.toml"
            show_file app "$home/config/app.toml"
        else
            echo "config.error=there is no folder $home, or it cannot be read"
        fi
        invocation=
        case $shown in *InvocationID=*) invocation=${shown#*InvocationID=} ;; esac
        invocation=${invocation%%
*}
        [ -n "$journal" ] && [ -n "$invocation" ] && journalctl --quiet --output=cat "_SYSTEMD_INVOCATION_ID=$invocation" --lines=3000 2>/dev/null |
            grep -q 'CONSENSUS FAILURE' && echo "consensus_failure=1"
    fi
    [ -n "$binary" ] && "$binary" version 2>/dev/null | { IFS= read -r line; echo "version=$line"; }
done
echo "done=1"
