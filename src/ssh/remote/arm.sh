# A stop that waits: RUN EPOCH STEP LEASE_SECONDS KILL_AFTER_SECONDS UNIT HOME DB_DIR STATE_FILE.
# It reads lines: 'clock', 'fire NS', 'disarm'. Losing its input disarms it.
run=$1 epoch=$2 step=$3 lease=$4 kill_after=$5 unit=$6 home=$7 db_dir=$8 state_file=$9

fenced "$run" "$epoch" && { echo "refused=another run has taken this host's lock"; exit 0; }
shown=$(systemctl show "$unit" --property=LoadState,ActiveState,KillMode,ExecStop,ControlGroup)
case $shown in *LoadState=loaded*) ;; *) echo "refused=there is no unit $unit"; exit 0 ;; esac

# Where systemd itself signals all processes of the unit, they can be made to stand still first: systemd follows its SIGTERM
# with SIGCONT (systemd.kill(5)). No process has to be started for that, so it happens at the instant on every host, and no
# node sees the others leave. A unit that brings its own command for stopping may need them awake.
still=
case $shown in
*ExecStop=*) ;;
*KillMode=control-group*)
    group=${shown#*ControlGroup=}
    [ -z "$base" ] && group_file "${group%%
*}" && still=$procs
    ;;
esac

# Where systemd can watch for a file, it stops the unit by itself when the file is made, as a conflict with a transient
# unit: at the instant no process has to be started to ask for it.
stopper=fleet-stop-$run-$step
trigger=$leases/$run-$step.stop
preparing=
case $base$shown in
/*) ;;
*ActiveState=active*)
    systemd-run --quiet --collect --unit="$stopper" --path-property=PathExists="$trigger" \
        --property=Conflicts="$unit" --property=After="$unit" --property=RemainAfterExit=yes -- true >/dev/null 2>&1 &
    preparing=$!
    ;;
esac
drop_stopper() {
    [ -z "$preparing" ] || systemctl stop "$stopper.path" "$stopper.service" >/dev/null 2>&1
}

# The lease: without a word this long, the wait is over.
self=$(exec sh -c 'echo $PPID')
(
    trap 'kill "$nap" 2>/dev/null; exit 0' TERM
    sleep "$lease" &
    nap=$!
    wait "$nap" && { drop_stopper; kill -TERM "$self"; }
) </dev/null >/dev/null 2>&1 &
guard=$!
end_guard() { kill -TERM "$guard" 2>/dev/null; wait "$guard" 2>/dev/null; }

echo armed
while :; do
    IFS=' ' read -r verb instant || verb=disarm
    case $verb in
    clock) echo "clock $(date +%s%N)" ;;
    fire) break ;;
    *)
        end_guard
        [ -z "$preparing" ] || wait "$preparing"
        drop_stopper
        echo disarmed
        exit 0
        ;;
    esac
done

# Nanoseconds, as a whole and nine digits.
sleep_for() {
    fraction=$(($1 % 1000000000 + 1000000000))
    sleep "$(($1 / 1000000000)).${fraction#1}"
}

# From here on it happens whatever the link does.
trap '' HUP PIPE INT TERM
kill -TERM "$guard" 2>/dev/null
note_begin "$step" "$epoch"
echo ack 2>/dev/null
now=$(date +%s%N)
read_hundredths
left=$((instant - now))
due=$((hundredths + left / 10000000))
if [ -n "$preparing" ] && wait "$preparing"; then
    # Systemd is asked for the end when it has begun by itself everywhere: asking costs it as much as stopping.
    sleep_for $((left + 200000000)) >/dev/null 2>&1 &
    later=$!
else
    trigger=
fi
[ "$left" -le 0 ] || sleep_for "$left"
# From the instant on no process is started but the one that stops: each would put this host behind the others.
read_hundredths
refuse() {
    note_end "$step" "$epoch" refused
    echo "refused=$1"
    unit_facts "$unit" "$home" "$db_dir" "$state_file"
    echo "done=1"
    drop_stopper
    exit 0
}
# A host that was frozen or suspended meanwhile does nothing.
[ $((hundredths - due)) -gt 100 ] && refuse "more than 1 s late, nothing was done"
fenced "$run" "$epoch" && refuse "another run has taken this host's lock, nothing was done"
if [ "$kill_after" -gt 0 ]; then
    ( sleep "$kill_after" && systemctl kill --signal=KILL "$unit" ) </dev/null >/dev/null 2>&1 &
    killer=$!
fi
signal_all() { [ -z "$still" ] || while read -r pid; do kill "$1" "$pid"; done <"$still" 2>/dev/null; }
signal_all -STOP
[ -z "$trigger" ] || { : >"$trigger" && wait "$later"; }
systemctl stop "$unit" </dev/null >/dev/null 2>&1
code=$?
# From here on the file can stop nothing: the unit may be started again while what watched for it is taken off.
[ -z "$trigger" ] || rm -f "$trigger"
[ "$code" = 0 ] || signal_all -CONT
# It ignores what we ignore; left alive it would kill the node that is started next.
[ "$kill_after" -gt 0 ] && kill -KILL "$killer" 2>/dev/null
note_end "$step" "$epoch" "$code"
[ "$code" = 0 ] || echo "refused=systemctl stop $unit: exit $code"
unit_facts "$unit" "$home" "$db_dir" "$state_file"
echo "done=1"
# When the node may run again: what comes next on all hosts shouldn't wait for this.
[ -z "$preparing" ] || { sleep 3; drop_stopper; } </dev/null >/dev/null 2>&1 &
