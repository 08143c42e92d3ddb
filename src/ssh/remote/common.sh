# Part of every script. FLEET_SIM_ROOT is set by simulated hosts only.
base=${FLEET_SIM_ROOT:-}
leases=$base/run/fleet
records=$base/var/lib/fleet
locks=$records/lock
LC_ALL=C
# systemd's times are then in one zone, whatever the host's is.
TZ=UTC
export LC_ALL TZ
umask 077

# The greatest epoch that was ever claimed here, in $top.
top_epoch() {
    top=0
    for entry in "$locks"/[0-9]*; do
        [ -d "$entry" ] || continue
        entry=${entry##*/}
        [ "$entry" -gt "$top" ] && top=$entry
    done
}

# Whole seconds since the machine started, in $uptime: a clock that nobody sets.
read_uptime() {
    read -r uptime _ </proc/uptime
    uptime=${uptime%%.*}
}

# The same in hundredths of a second, in $hundredths.
read_hundredths() {
    read -r hundredths _ </proc/uptime
    hundredths=${hundredths%.*}${hundredths#*.}
}

# One line of a file, in $line; empty when there is none.
read_line() {
    line=
    [ -r "$1" ] && IFS= read -r line <"$1"
    :
}

# Whether run $1 still holds this host with epoch $2.
fenced() {
    top_epoch
    [ "$top" = "$2" ] || return 0
    [ -e "$locks/$top/released" ] && return 0
    read_line "$locks/$top/run"
    [ "$line" != "$1" ]
}

# Seconds that run $1's lease still holds, in $remaining.
lease_remaining() {
    read_uptime
    read_line "$leases/$1.lease"
    remaining=$((${line:-0} - uptime))
}

# The record of steps, each with its time in seconds since the machine started.
note_begin() { read_uptime && echo "begin $1 $uptime" >>"$locks/$2/steps"; }
note_end() { read_uptime && echo "end $1 $3 $uptime" >>"$locks/$2/steps"; }

# The lock as facts.
show_lock() {
    top_epoch
    [ "$top" -gt 0 ] || return 0
    echo "lock.epoch=$top"
    for key in run owner reason digest; do
        read_line "$locks/$top/$key"
        echo "lock.$key=$line"
        [ "$key" = run ] && holder=$line
    done
    lease_remaining "$holder"
    echo "lock.remaining=$remaining"
    [ -e "$locks/$top/released" ] && echo "lock.released=1"
    under_way "$locks/$top/steps"
    :
}

# Steps of a record that were begun and not ended.
under_way() {
    open=
    [ -r "$1" ] || return 0
    while read -r word step _; do
        case $word in
        begin) open="$open $step " ;;
        end) open="${open%% "$step" *} ${open#* "$step" }" ;;
        esac
    done <"$1"
    for step in $open; do echo "lock.under_way=$step"; done
}

# What can be seen of a unit $1, the processes of home $2 and the locks on databases in $3, signer state in $4.
# Leaves in $shown what systemd said.
unit_facts() {
    shown=$(systemctl show "$1" --timestamp=us --property=LoadState,ActiveState,SubState,UnitFileState,MainPID,NRestarts,Restart,KillMode,Result,ExecMainStatus,ExecStart,InvocationID,Job,ControlGroup,ActiveEnterTimestampMonotonic,ActiveExitTimestampMonotonic,InactiveEnterTimestampMonotonic,ActiveExitTimestamp,InactiveEnterTimestamp 2>/dev/null)
    group=
    while IFS= read -r line; do
        echo "unit.$line"
        case $line in ControlGroup=*) group=${line#*=} ;; esac
    done <<SHOWN
$shown
SHOWN
    unit_processes "$1" "$group" "$2"
    database_lock "$3"
    signer_state "$4"
}

# Where the unit's control group is mounted, in $procs.
group_file() {
    procs=
    [ -n "$1" ] || return 0
    for mount in "$base"/sys/fs/cgroup "$base"/sys/fs/cgroup/unified "$base"/sys/fs/cgroup/systemd; do
        [ -r "$mount$1/cgroup.procs" ] && procs=$mount$1/cgroup.procs && return 0
    done
}

unit_processes() {
    group_file "$2"
    inside=' '
    count=0
    if [ -n "$procs" ]; then
        while read -r pid; do
            inside="$inside$pid "
            count=$((count + 1))
        done <"$procs"
    fi
    echo "unit.processes=$count"
    outside=
    # The home is handed over on standard input: no command line of ours may name it.
    [ -n "$3" ] && outside=$(printf '%s\n' "$3" | grep -lsF -f - -- /proc/[0-9]*/cmdline)
    for file in $outside; do
        pid=${file#/proc/}
        pid=${pid%/cmdline}
        of_home "$pid" "$3" || continue
        case $inside in
        *" $pid "*) show_process "$pid" 1 ;;
        *) show_process "$pid" 0 ;;
        esac
    done
}

# Whether an argument of process $1 is home $2, or lies in it, or sets it.
of_home() {
    tr '\0' '\n' <"/proc/$1/cmdline" 2>/dev/null | {
        found=1
        first=1
        while IFS= read -r word; do
            [ -n "$first" ] && first= && program=$word
            case $word in
            "$2" | "$2"/ | --home="$2" | --home="$2"/) found=0 ;;
            esac
        done
        # Readers of a log or an editor are no node.
        case ${program##*/} in
        tail | less | vi | vim | nano | cat | grep | find | du | ls | sudo | tar | rsync) found=1 ;;
        esac
        return "$found"
    }
}

show_process() {
    command=$(tr '\0\n' '  ' <"/proc/$1/cmdline" 2>/dev/null)
    [ -n "$command" ] && printf 'process=%s %s %.120s\n' "$1" "$2" "$command"
}

# Whether any LOCK file of the databases is locked by someone.
database_lock() {
    [ -n "$1" ] && [ -d "$1" ] || return 0
    locked=0
    held=$(cat /proc/locks 2>/dev/null)
    for inode in $(stat -c %i "$1"/*.db/LOCK 2>/dev/null); do
        case $held in *":$inode "*) locked=1 ;; esac
    done
    echo "database.locked=$locked"
}

# What the signer last signed.
signer_state() {
    [ -n "$1" ] || return 0
    if [ ! -e "$1" ]; then
        echo "signer.missing=1"
    elif [ ! -r "$1" ]; then
        echo "signer.unreadable=permission denied"
    else
        echo "signer.file=$(base64 -w 0 "$1")"
    fi
}
