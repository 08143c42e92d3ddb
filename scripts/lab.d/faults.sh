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
#
# Several signers at once may hold a quorum, and one that has voted already in a
# halted height votes no more. So all are spoilt in the quiet second after a
# block, and nodes without power, which need a further block, before them.
lab_panic() {
	local h undo="" keep="" followers=() signers=()
	need_lab
	while [ $# -gt 0 ]; do
		case $1 in
		--undo) undo=1 ;;
		--keep) keep=1 ;;
		-*) die "panic: unknown option $1" ;;
		*)
			need_hosts "$1"
			has_node "$1" || die "$1 has no node"
			if [ -d "$(failing "$1")" ]; then signers+=("$1"); else followers+=("$1"); fi
			;;
		esac
		shift
	done
	need_hosts "${signers[@]}" "${followers[@]}"
	if [ -n "$undo" ]; then
		each_host unpanic_host "${signers[@]}" "${followers[@]}"
		return
	fi
	each_host can_panic "${signers[@]}" "${followers[@]}"
	local failed=0
	each_host spoil "${followers[@]}"
	each_host wait_panic "${followers[@]}" || failed=1
	[ ${#signers[@]} = 0 ] || await_block "${signers[0]}"
	for h in "${signers[@]}"; do spoil "$h"; done
	each_host wait_panic "${signers[@]}" || failed=1
	[ -n "$keep" ] || for h in "${signers[@]}" "${followers[@]}"; do unspoil "$h"; done
	return $failed
}
failing() { printf '%s' "$(host_dir "$1")/root${FAILING[$1]}"; }
spoil() { chmod u-w "$(failing "$1")"; }
unspoil() { chmod u+w "$(failing "$1")"; }

# Before its consensus runs, a node that cannot write would just end.
can_panic() {
	not_frozen "$1" || return 1
	wait_for 30 in_consensus "$1" || { warn "$1: its node is down or does not leave block sync"; return 1; }
	sleep 0.3
}
await_block() {
	local before
	before=$(height_of "$1")
	wait_for 5 grown "$1" "${before:-0}" || true
}
grown() { local now; now=$(height_of "$1") && [ "${now:-0}" -gt "$2" ]; }
wait_panic() {
	wait_for 20 has_panicked "$1" || { warn "$1: no consensus failure within 20 s; its node votes on nothing now"; return 1; }
}
in_consensus() { [[ $(rpc_status "$1" "${RPC[$1]}") == *'"catching_up":false'* ]]; }
has_panicked() {
	# shellcheck disable=SC2016
	inside "$1" /bin/sh -c 'journalctl -q -o cat "_SYSTEMD_INVOCATION_ID=$(systemctl show -P InvocationID "$1")" |
		grep -q "CONSENSUS FAILURE!!!"' panic "${UNIT[$1]}"
}
unpanic_host() {
	not_frozen "$1" || return 1
	[ ! -e "$(failing "$1")" ] || unspoil "$1"
	inside "$1" systemctl reset-failed "${UNIT[$1]}"
	inside "$1" systemctl restart "${UNIT[$1]}"
}
