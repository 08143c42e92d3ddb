# shellcheck shell=bash
# Back to genesis without a boot: two passes over all hosts at once, made from
# this machine. Nobody starts before everybody is wiped, else an old node would
# hand its blocks to the new ones.

lab_reset() {
	[ $# = 0 ] || die "reset takes no arguments"
	local began h dead=()
	began=$(seconds)
	need_lab
	lock_lab
	ssh_options
	use_root
	ip link show "$BRIDGE" >/dev/null 2>&1 || die "lab '$NAME' is down: scripts/lab up --name $NAME"
	for h in "${HOSTS[@]}"; do leader "$h" >/dev/null || dead+=("$h"); done
	if [ ${#dead[@]} -gt 0 ]; then
		each_host start_host "${dead[@]}"
		each_host wait_ssh "${dead[@]}" || die "not all hosts came back"
		"$PYTHON" "$LAB_D/layout.py" hosts "$STATE"
	fi
	each_host reset_wipe "${HOSTS[@]}" || die "not all hosts could be wiped"
	each_host reset_start "${HOSTS[@]}" || die "not all nodes started"
	wait_block 0 || die "no block within 60 s: scripts/lab status --name $NAME"
	say "$(since "$began") s  reset, block $(height_of "$(witness)")"
}

reset_wipe() {
	local h=$1 root units
	set_frozen "$h" 0
	ip link set "${VETH[$h]}" up
	root=$(host_dir "$h")/root
	units=$(units_of "$h" | tr '\n' ' ')
	# Killed rather than stopped: what they would still write is wiped anyhow,
	# and a node whose consensus has failed may not stop by itself.
	# shellcheck disable=SC2016,SC2086
	inside "$h" /bin/sh -c '
		for left in $(systemctl list-units --plain --no-legend --all "fleet*" | cut -d" " -f1); do
			systemctl stop --no-block "$left"
			systemctl kill -s KILL "$left" 2>/dev/null
		done
		if [ -n "$*" ]; then
			systemctl stop --no-block "$@" 2>/dev/null
			systemctl kill -s KILL "$@" 2>/dev/null
			systemctl stop "$@"
		fi
		nft flush ruleset
		rm -rf /run/fleet /run/fleet-* /tmp/fleet* /tmp/*.fleet-* /dev/shm/fleet* /run/systemd/system.control
		for unit; do rm -rf "/run/systemd/system/$unit" "/run/systemd/system/$unit.d"; done
		true
	' reset $units || { warn "$h: its nodes could not be stopped"; return 1; }
	wipe_files "$h" "$root"
}

# The overlay's upper part tells what was ever written; it is small to search.
wipe_files() {
	local h=$1 root=$2 unit home found
	while IFS= read -r -d '' found; do
		rm -rf "${root:?}/$found"
	done < <(cd "$(host_dir "$h")/upper" && find . -name '*.fleet-*' -prune -print0)
	rm -rf "$root"/var/lib/fleet "$root"/var/lib/fleet-* "$root"/etc/systemd/system.control
	while read -r unit home _; do
		rm -rf "${root:?}$home" "$root/etc/systemd/system/$unit" "$root/etc/systemd/system/$unit.d"
	done < <(services_of "$h")
	rm -rf "$root/home/ops"
	cp -a --remove-destination "$STATE/seed/$h/." "$root/"
}

reset_start() {
	local units
	units=$(units_of "$1" | tr '\n' ' ')
	[ -n "$units" ] || return 0
	# shellcheck disable=SC2016,SC2086
	inside "$1" /bin/sh -c '
		systemctl daemon-reload
		systemctl reset-failed
		systemctl start --no-block "$@"
	' reset $units
}
