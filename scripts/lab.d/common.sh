# shellcheck shell=bash
# Names, places and the small things every part of the lab uses.
# shellcheck disable=SC2034 # most of it is used by the other parts

LAB_CACHE=${FLEET_LAB_CACHE:-/var/cache/fleet-lab}
LAB_STATE_ROOT=${FLEET_LAB_STATE:-/var/lib/fleet-lab}
if [ -x /usr/bin/python3 ]; then PYTHON=/usr/bin/python3; else PYTHON=python3; fi

say() { printf '%s\n' "$*" >&2; }
warn() { printf 'lab: warning: %s\n' "$*" >&2; }
die() { printf 'lab: %s\n' "$*" >&2; exit 1; }

seconds() { printf '%s' "${EPOCHREALTIME/,/.}"; }
since() { awk -v a="$1" -v b="$(seconds)" 'BEGIN { printf "%.1f", b - a }'; }

use_name() {
	[[ $1 =~ ^[a-z][a-z0-9-]{0,30}$ ]] || die "a lab's name is [a-z][a-z0-9-]*, not '$1'"
	NAME=$1
	STATE=$LAB_STATE_ROOT/$NAME
}

exists() { [ -f "$STATE/layout.json" ]; }
need_lab() { exists || die "there is no lab '$NAME': scripts/lab up --name $NAME"; load_hosts; }

# One running command that changes a lab at a time.
lock_lab() {
	mkdir -p "$STATE_ROOT_LOCKS"
	exec 9>"$STATE_ROOT_LOCKS/$NAME"
	flock -w "${1:-120}" 9 || die "another command works on lab '$NAME'"
}
STATE_ROOT_LOCKS=$LAB_STATE_ROOT/.locks

# The table layout.py wrote: one line a host, fields in this order.
load_hosts() {
	HOSTS=()
	declare -gA ADDRESS PORT NETNS VETH UNIT HOME_DIR RPC FAILING NODE_USER BELOW SERVICES FOLDERS
	local h address port netns veth unit home rpc failing user below services folders
	while IFS=$'\t' read -r h address port netns veth unit home rpc failing user below services folders; do
		HOSTS+=("$h")
		ADDRESS[$h]=$address PORT[$h]=$port NETNS[$h]=$netns VETH[$h]=$veth UNIT[$h]=$unit
		HOME_DIR[$h]=$home RPC[$h]=$rpc FAILING[$h]=$failing NODE_USER[$h]=$user
		BELOW[$h]=$below SERVICES[$h]=$services FOLDERS[$h]=$folders
	done <"$STATE/hosts.tsv"
	NET=$(<"$STATE/subnet")
	BRIDGE=flb${NET##*.}
}

need_hosts() {
	[ $# -gt 0 ] || die "which host?"
	local h
	for h in "$@"; do [ -n "${ADDRESS[$h]:-}" ] || die "lab '$NAME' has no host '$h' (${HOSTS[*]})"; done
}

has_node() { [ "${UNIT[$1]}" != - ]; }

# The copy of the binary that cosmovisor starts, or nothing.
binary_of() { [ "${BELOW[$1]}" = - ] || printf '%s/cosmovisor/genesis/bin/%s' "${HOME_DIR[$1]}" "${BELOW[$1]}"; }

# Units of a host, and "unit home user" lines for all its services.
units_of() { services_of "$1" | cut -d' ' -f1; }
services_of() {
	! has_node "$1" || printf '%s %s %s\n' "${UNIT[$1]}" "${HOME_DIR[$1]}" "${NODE_USER[$1]}"
	[ "${SERVICES[$1]}" = - ] || tr ';' '\n' <<<"${SERVICES[$1]}" | tr ',' ' '
}

# A process is named by pid, start time and boot, so that a number used again
# by another process is never taken for ours.
start_time() {
	local stat
	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	stat=${stat##*) }
	# shellcheck disable=SC2086
	set -- $stat
	# A zombie is over; it only waits to be counted.
	[ "$1" != Z ] || return 1
	printf '%s' "${20}"
}
boot_id() { cat /proc/sys/kernel/random/boot_id; }
write_pid() { printf '%s %s %s\n' "$2" "$(start_time "$2")" "$(boot_id)" >"$1.new" && mv "$1.new" "$1"; }
read_pid() {
	local pid start boot
	read -r pid start boot 2>/dev/null <"$1" || return 1
	[ "$boot" = "$(boot_id)" ] && [ "$(start_time "$pid")" = "$start" ] || return 1
	printf '%s' "$pid"
}

host_dir() { printf '%s/hosts/%s' "$STATE" "$1"; }
supervised() { read_pid "$(host_dir "$1")/supervisor.pid" >/dev/null; }
leader() { read_pid "$(host_dir "$1")/leader.pid"; }

# Runs a command inside a host as root, without SSH.
inside() {
	local h=$1 pid
	shift
	pid=$(leader "$h") || return 1
	nsenter -t "$pid" -m -u -i -n -p -- "$@"
}

# Calls `FUNCTION HOST` for all hosts at once; fails if one of them fails.
each_host() {
	local call=$1 h pids=() failed=0 p
	shift
	for h in "$@"; do "$call" "$h" 9>&- & pids+=($!); done
	for p in "${pids[@]}"; do wait "$p" || failed=1; done
	return $failed
}

# Polls a command every 0.1 s until it succeeds; $1 is the bound in seconds.
wait_for() {
	local end
	end=$(($(date +%s%N) + $1 * 1000000000))
	shift
	until "$@"; do
		[ "$(date +%s%N)" -lt "$end" ] || return 1
		sleep 0.1
	done
}
