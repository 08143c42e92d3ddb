# shellcheck shell=bash
# A bridge for the lab, a network namespace and a veth pair for each host.

# Prints the first 10.99.N free on this machine; the caller holds the root lock.
free_subnet() {
	local n routes taken
	routes=$(ip -4 route show table all)
	taken=$(cat "$LAB_STATE_ROOT"/*/subnet 2>/dev/null || true)
	for n in $(seq 1 254); do
		grep -qx "10.99.$n" <<<"$taken" && continue
		grep -qF "10.99.$n." <<<"$routes" && continue
		printf '10.99.%s' "$n"
		return
	done
	die "no 10.99.N.0/24 is free"
}

# The route with the high metric stays for good: when the bridge is down,
# nothing meant for the lab leaves the machine.
network_up() {
	ip route replace unreachable "$NET.0/24" metric 4096
	if ! ip link show "$BRIDGE" >/dev/null 2>&1; then
		local n=${NET##*.}
		ip link add "$BRIDGE" address "$(printf '02:f1:ee:70:%02x:01' "$n")" type bridge
	fi
	ip link set "$BRIDGE" up
	ip addr replace "$NET.1/24" dev "$BRIDGE"
}

network_down() {
	wait_for 5 link_gone "$BRIDGE" || warn "the bridge $BRIDGE stays"
	ip route replace unreachable "$NET.0/24" metric 4096
}

host_network_up() {
	local h=$1 ns=${NETNS[$1]}
	ip netns add "$ns"
	ip link add "${VETH[$h]}" type veth peer name eth0 netns "$ns"
	ip -n "$ns" -batch - <<-BATCH
		addr add ${ADDRESS[$h]}/24 dev eth0
		link set lo up
		link set eth0 up
	BATCH
	ip link set "${VETH[$h]}" master "$BRIDGE" up
}

host_network_down() { link_gone "${VETH[$1]}" && netns_gone "${NETNS[$1]}"; }
link_gone() { [ ! -e "/sys/class/net/$1" ] || ip link del "$1" 2>/dev/null; }
netns_gone() { [ ! -e "/run/netns/$1" ] || ip netns del "$1" 2>/dev/null; }

# Runs a command in a host's network, with this machine's files.
in_network() {
	local h=$1
	shift
	nsenter --net="/run/netns/${NETNS[$h]}" -- "$@"
}

is_cut() { [[ $(ip -o link show "${VETH[$1]}" 2>/dev/null) != *,UP* ]]; }

rpc_status() { in_network "$1" curl -s -m 2 "http://127.0.0.1:$2/status" 2>/dev/null; }

# The height a node's RPC tells, or nothing.
height_of() { rpc_status "$1" "${RPC[$1]}" | sed -n 's/.*"latest_block_height":"\([0-9]*\)".*/\1/p'; }
