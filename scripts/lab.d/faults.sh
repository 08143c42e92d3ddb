# shellcheck shell=bash disable=SC2153
# What can go wrong with a host, on demand, and the way back.

lab_cut() { need_lab; need_hosts "$@"; each_host cut_host "$@"; }
lab_mend() { need_lab; need_hosts "$@"; each_host mend_host "$@"; }
cut_host() { ip link set "${VETH[$1]}" down; }
mend_host() { ip link set "${VETH[$1]}" up; }

lab_freeze() { need_lab; need_hosts "$@"; each_host freeze_host "$@"; }
lab_thaw() { need_lab; need_hosts "$@"; each_host thaw_host "$@"; }
freeze_host() { set_frozen "$1" 1; }
thaw_host() { set_frozen "$1" 0; }

not_frozen() { ! is_frozen "$1" || { warn "$1 is frozen: thaw it first"; return 1; }; }

lab_reboot() {
	need_lab
	need_hosts "$@"
	ssh_options
	each_host reboot_host "$@"
}
reboot_host() {
	local h=$1 before
	not_frozen "$h" || return 1
	before=$(leader "$h") || { warn "$h does not run"; return 1; }
	inside "$h" systemctl --no-block reboot
	wait_for 30 another_leader "$h" "$before" || { warn "$h did not come back"; return 1; }
	wait_ssh "$h"
}
another_leader() { local now; now=$(leader "$1") && [ "$now" != "$2" ]; }

# CometBFT recovers a panic in consensus: the process and its RPC stay. A signer
# panics at its next vote when it cannot save its state (nothing is signed, so
# nothing can be signed twice); a node without power when it cannot write the end
# of a height to the WAL, whose head it closes and opens again every second. Both
# follow from a mode, since the node is not root.
lab_panic() {
	local action=panic_host hosts=()
	need_lab
	while [ $# -gt 0 ]; do
		case $1 in
		--undo) action=unpanic_host ;;
		--keep) KEEP_UNWRITABLE=1 ;;
		-*) die "panic: unknown option $1" ;;
		*) hosts+=("$1") ;;
		esac
		shift
	done
	need_hosts "${hosts[@]}"
	each_host "$action" "${hosts[@]}"
}
panic_host() {
	local h=$1 failing pid
	has_node "$h" || { warn "$h has no node"; return 1; }
	not_frozen "$h" || return 1
	pid=$(main_pid "$h")
	[ "${pid:-0}" != 0 ] || { warn "$h: ${UNIT[$h]} does not run"; return 1; }
	failing=$(host_dir "$h")/root${FAILING[$h]}
	# Before its consensus runs, a node that cannot write would just end.
	wait_for 30 in_consensus "$h" || { warn "$h: its node does not leave block sync"; return 1; }
	sleep 0.3
	chmod u-w "$failing"
	local failed=0
	wait_for 30 has_panicked "$h" || failed=1
	[ -n "${KEEP_UNWRITABLE:-}" ] || chmod u+w "$failing"
	[ $failed = 0 ] || { warn "$h: no consensus failure within 30 s; its node votes on nothing now"; return 1; }
}
in_consensus() { rpc_status "$1" "${RPC[$1]}" | grep -q '"catching_up":false'; }
main_pid() { inside "$1" systemctl show -P MainPID "${UNIT[$1]}"; }
has_panicked() {
	# shellcheck disable=SC2016
	inside "$1" /bin/sh -c 'journalctl -q -o cat "_SYSTEMD_INVOCATION_ID=$(systemctl show -P InvocationID "$1")" |
		grep -q "CONSENSUS FAILURE!!!"' panic "${UNIT[$1]}"
}
unpanic_host() {
	local failing
	has_node "$1" || { warn "$1 has no node"; return 1; }
	not_frozen "$1" || return 1
	failing=$(host_dir "$1")/root${FAILING[$1]}
	[ ! -e "$failing" ] || chmod u+w "$failing"
	inside "$1" systemctl reset-failed "${UNIT[$1]}"
	inside "$1" systemctl restart "${UNIT[$1]}"
}
