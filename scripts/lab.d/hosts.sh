# shellcheck shell=bash disable=SC2153
# One host: its root on an overlay, its control groups, its container.

# The hierarchies a host gets a group of its own in. Systemd's must be separate,
# or the hosts' service managers would meet in one tree; the freezer is ours.
host_cgroups() {
	local place kind options
	while read -r _ place kind options _; do
		case $kind,$options, in
		cgroup2,* | cgroup,*,freezer,* | cgroup,*,name=systemd,*) printf '%s/fleet-lab/%s/%s\n' "$place" "$NAME" "$1" ;;
		esac
	done </proc/self/mounts
}

# The group that tells and freezes all processes of a host.
freezer_of() {
	local groups
	groups=$(host_cgroups "$1")
	grep -m1 '/freezer/' <<<"$groups" || tail -n1 <<<"$groups"
}
pids_of() {
	local group
	group=$(freezer_of "$1")
	[ ! -d "$group" ] || find "$group" -name cgroup.procs -exec cat {} + 2>/dev/null | grep -vx 0 || true
}

set_frozen() {
	local group
	group=$(freezer_of "$1")
	if [ -e "$group/freezer.state" ]; then
		if [ "$2" = 1 ]; then echo FROZEN; else echo THAWED; fi >"$group/freezer.state"
	elif [ -e "$group/cgroup.freeze" ]; then
		echo "$2" >"$group/cgroup.freeze"
	fi
}
is_frozen() {
	local group
	group=$(freezer_of "$1")
	grep -qE '^(FROZEN|FREEZING)$' "$group/freezer.state" 2>/dev/null || grep -qx 1 "$group/cgroup.freeze" 2>/dev/null
}

mount_root() {
	local dir
	dir=$(host_dir "$1")
	mkdir -p "$dir/upper" "$dir/work" "$dir/root"
	mountpoint -q "$dir/root" && return
	if [ ! -e "$dir/seeded" ]; then
		rm -rf "$dir/upper"
		cp -a "$STATE/seed/$1" "$dir/upper"
		place_binary "$1" "$dir/upper"
		touch "$dir/seeded"
	fi
	mount -t overlay "lab-$NAME-$1" -o "lowerdir=$ROOT_LAYER:$ROOT_BASE,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
}

# Large beside all else that is a host's own, so it is in no seed.
ASIDE=/var/tmp/binary
place_binary() { # HOST TREE
	local place source
	place=$(binary_of "$1")
	[ -n "$place" ] || return 0
	source=$2$ASIDE
	if [ -e "$source" ]; then mv "$source" "$2$place"; else cp "$ROOT_LAYER/usr/local/bin/${place##*/}" "$2$place"; fi
	chmod 755 "$2$place"
	chown --reference="$2${place%/*}" "$2$place"
}
# Where it is whole it survives a reset: to copy it would take longer than all the rest.
put_binary_aside() { # HOST TREE
	local place
	place=$(binary_of "$1")
	rm -rf "$2$ASIDE"
	[ -z "$place" ] || [ -L "$2$place" ] || ! cmp -s "$2$place" "$ROOT_LAYER/usr/local/bin/${place##*/}" ||
		mv "$2$place" "$2$ASIDE"
}

start_host() {
	local h=$1 dir
	dir=$(host_dir "$h")
	clear_host "$h"
	mount_root "$h"
	host_network_up "$h"
	setsid -f "$LAB_D/supervise" "$NAME" "$h" </dev/null >>"$dir/console.log" 2>&1
	wait_for 5 supervised "$h" || die "$h: its supervisor did not start, see $dir/console.log"
}

# Ends a host in order, or by force when it does not end within the bound.
stop_host() {
	local h=$1 pid
	if is_frozen "$h"; then set_frozen "$h" 0; fi
	if supervised "$h"; then
		if pid=$(read_pid "$(host_dir "$h")/nspawn.pid"); then kill -TERM "$pid" 2>/dev/null || true; fi
		wait_for 10 gone "$h" || kill_host "$h"
	fi
	clear_host "$h"
}
gone() { ! supervised "$1"; }

# The processes the pid files name, then all in the host's own group, which
# holds nothing else.
kill_host() {
	local h=$1 name pid
	set_frozen "$h" 0
	for name in supervisor nspawn leader; do
		if pid=$(read_pid "$(host_dir "$h")/$name.pid"); then kill -KILL "$pid" 2>/dev/null || true; fi
	done
	for pid in $(pids_of "$h"); do kill -KILL "$pid" 2>/dev/null || true; done
	wait_for 5 empty "$h" || warn "$h: some of its processes do not end"
}
empty() { [ -z "$(pids_of "$1")" ]; }

# Takes away whatever a host left: processes, mount, network, groups.
clear_host() {
	local h=$1 root
	root=$(host_dir "$h")/root
	empty "$h" || kill_host "$h"
	if ! wait_for 5 host_cleared "$h"; then
		warn "$h: its mount, network or control groups do not go"
		umount -l "$root" 2>/dev/null || true
	fi
	rm -f "$(host_dir "$h")"/*.pid
}

# Each of these can be busy for a moment after the last process has gone.
host_cleared() {
	local root
	root=$(host_dir "$1")/root
	! mountpoint -q "$root" || umount "$root" 2>/dev/null || return 1
	host_network_down "$1" || return 1
	host_cgroups "$1" | remove_groups
}
lab_groups_down() {
	local groups
	groups=$(host_cgroups . | sed 's|/\.$||')
	remove_groups <<<"$groups" || return 1
	# The group of all labs, unless another lab is in it.
	sed 's|/[^/]*$||' <<<"$groups" | xargs -r rmdir 2>/dev/null || true
}
remove_groups() {
	local group left=0
	while read -r group; do
		[ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
		[ ! -d "$group" ] || left=1
	done
	return $left
}

ssh_options() {
	SSH=(ssh -F /dev/null -i "$STATE/id_ed25519" -o IdentitiesOnly=yes -o LogLevel=ERROR
		-o UserKnownHostsFile="$STATE/known_hosts" -o GlobalKnownHostsFile=/dev/null
		-o StrictHostKeyChecking=yes -o ConnectTimeout=5)
}
# ssh_to HOST [SSH OPTION...] -- [CMD...]
ssh_to() {
	local h=$1 options=()
	shift
	while [ "$1" != -- ]; do options+=("$1"); shift; done
	shift
	"${SSH[@]}" -p "${PORT[$h]}" "${options[@]}" "ops@${ADDRESS[$h]}" "$@"
}
answers() { ssh_to "$1" -o BatchMode=yes -o ConnectTimeout=2 -- true </dev/null >/dev/null 2>&1; }
wait_ssh() { wait_for "${SSH_BOUND:-30}" answers "$1" || { warn "$1: no SSH"; return 1; }; }
