# The host, then each service: NAME UNIT HOME BINARY JOURNAL, five arguments each; the last is empty where what the node
# logged is of no interest.

# Whether the kernel holds its clock for synchronised, as systemd sees it: with an error below 16 s (adjtimex(2)). Nothing
# where that can't be told, as in a container. timedatectl is asked last: a service has to start for it.
synced() {
    [ -e "$base/run/systemd/timesync/synchronized" ] && echo yes && return
    case $(uname -m) in x86_64) adjtimex=159 ;; aarch64) adjtimex=171 ;; *) adjtimex= ;; esac
    if [ -n "$adjtimex" ] && command -v perl >/dev/null; then
        perl -e '$t = "\0" x 512; exit if syscall($ARGV[0], $t) < 0; print unpack("x24 q", $t) < 16e6 ? "yes" : "no"' "$adjtimex"
    else
        timedatectl show --property=NTPSynchronized --value 2>/dev/null
    fi
}

read -r uptime_s _ </proc/uptime
echo "host.uptime=$uptime_s"
echo "host.synced=$(synced)"
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
        # The folder of the databases may be a mount of its own.
        df -P -B1 "$home" "$home/data" 2>/dev/null | { read -r _ && while IFS= read -r line; do echo "disk=$line"; done; }
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
