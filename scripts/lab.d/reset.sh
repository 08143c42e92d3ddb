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
	local h=$1 root units reload
	set_frozen "$h" 0
	ip link set "${VETH[$h]}" up
	root=$(host_dir "$h")/root
	units=$(units_of "$h" | tr '\n' ' ')
	reload=$(restore_units "$h" "$root")
	# The units first: what a test put into one could hold up its stop.
	# Killed rather than stopped: what they would still write is wiped anyhow,
	# and a node whose consensus has failed may not stop by itself.
	# shellcheck disable=SC2016,SC2086
	inside "$h" /bin/sh -c '
		[ -z "$1" ] || systemctl daemon-reload
		shift
		systemctl kill -s KILL "$@" 2>/dev/null
		timeout 60 systemctl stop "$@" 2>/dev/null
		pkill -KILL -U virtengine,other
		nft flush ruleset
		rm -rf /run/fleet /run/fleet-* /tmp/fleet* /tmp/*.fleet-* /dev/shm/fleet* \
			/etc/systemd/system/fleet* /etc/systemd/system/*.wants/fleet* \
			/run/systemd/system/fleet* /var/lib/systemd/timers/stamp-fleet*
	' reset "$reload" $units 'fleet*' || { warn "$h: its nodes could not be stopped"; return 1; }
	wipe_files "$h" "$root"
}

# Puts the units back to what they were at genesis; tells where that changed one.
restore_units() {
	local h=$1 root=$2 unit place seed=$STATE/seed/$1/etc/systemd/system
	while read -r unit _; do
		for place in "$root"/etc/systemd/system{,.control} "/proc/$(leader "$h")/root"/run/systemd/{system,system.control,transient}; do
			[ -e "$place/$unit.d" ] || continue
			rm -rf "${place:?}/$unit.d"
			echo "$unit"
		done
		for place in "$root"/etc/systemd/system.control "/proc/$(leader "$h")/root"/run/systemd/{system,system.control,transient}; do
			[ -e "$place/$unit" ] || [ -L "$place/$unit" ] || continue
			rm -f "${place:?}/$unit"
			echo "$unit"
		done
		place=$root/etc/systemd/system/$unit
		if [ ! -e "$seed/$unit" ]; then
			# It is a package's, which is elsewhere: what is here masks it.
			[ ! -L "$place" ] || { rm "$place"; echo "$unit"; }
		elif ! cmp -s "$place" "$seed/$unit"; then
			cp -a --remove-destination "$seed/$unit" "$place"
			echo "$unit"
		fi
	done < <(services_of "$h")
}

# The overlay's upper part tells what was ever written; it is small to search.
wipe_files() {
	local h=$1 root=$2 home found folders
	while IFS= read -r -d '' found; do
		rm -rf "${root:?}/$found"
	done < <(cd "$(host_dir "$h")/upper" && find . -name '*.fleet-*' -prune -print0)
	rm -rf "$root"/var/lib/fleet "$root"/var/lib/fleet-*
	put_binary_aside "$h" "$root"
	read -ra folders <<<"${FOLDERS[$h]#-} $(services_of "$h" | cut -d' ' -f2 | tr '\n' ' ')"
	for home in "${folders[@]}"; do
		rm -rf "${root:?}$home"
		[ ! -e "$ROOT_LAYER$home" ] || cp -a "$ROOT_LAYER$home" "$root$home"
	done
	rm -rf "$root/home/ops"
	cp -a "$ROOT_LAYER/etc/sudoers.d/ops" "$root/etc/sudoers.d/ops"
	cp -a --remove-destination "$STATE/seed/$h/." "$root/"
	place_binary "$h" "$root"
}

reset_start() {
	local h=$1 units
	units=$(units_of "$h" | tr '\n' ' ')
	[ -n "$units" ] || return 0
	# shellcheck disable=SC2016,SC2086
	inside "$h" /bin/sh -c '
		systemctl reset-failed
		systemctl start --no-block "$@"
	' reset $units
}
