# shellcheck shell=bash
# up and down.

lab_up() {
	local began missing=() h
	CHAIN=$(chain_meant "$@")
	install_for "$CHAIN"
	began=$(seconds)
	mkdir -p "$LAB_STATE_ROOT"
	lock_lab
	exists || forget_half_made
	claim_subnet
	"$PYTHON" "$LAB_D/layout.py" plan "$STATE" "$NAME" "$(<"$STATE/subnet")" "$@"
	exists || make_lab
	load_hosts
	ssh_options
	use_root
	if ip link show "$BRIDGE" >/dev/null 2>&1; then
		for h in "${HOSTS[@]}"; do supervised "$h" || missing+=("$h"); done
		[ ${#missing[@]} -gt 0 ] || { say "lab '$NAME' is already up ($NET.0/24)"; return; }
	else
		# No bridge: whatever is left is from a machine that went down.
		missing=("${HOSTS[@]}")
	fi
	network_up
	each_host start_host "${missing[@]}" || die "not all hosts started"
	each_host wait_ssh "${missing[@]}" || die "not all hosts answer: scripts/lab status --name $NAME"
	"$PYTHON" "$LAB_D/layout.py" hosts "$STATE"
	say "$(since "$began") s  ${#missing[@]} hosts answer on SSH ($NET.0/24)"
	wait_block "$(first_height)" || die "no block within 60 s: scripts/lab status --name $NAME"
	say "$(since "$began") s  new block"
}

# The chain of the lab that is there, or else the one asked for; the layout tells what is wrong with it.
chain_meant() {
	if exists; then cat "$STATE/chain"; return; fi
	while [ $# -gt 0 ]; do
		case $1 in
		--chain=simd) echo simd; return ;;
		--chain) [ "${2:-}" != simd ] || { echo simd; return; } ;;
		esac
		shift
	done
	echo cometbft
}

# A state folder without a layout was not finished: it is made again.
forget_half_made() { rm -rf "${STATE:?}"; }

claim_subnet() {
	mkdir -p "$STATE" "$STATE_ROOT_LOCKS"
	[ ! -s "$STATE/subnet" ] || return 0
	(
		flock 6
		free_subnet >"$STATE/subnet.new"
		mv "$STATE/subnet.new" "$STATE/subnet"
	) 6>"$STATE_ROOT_LOCKS/.subnets"
}

make_lab() {
	printf '%s\n%s\n' "$(layer_dir "$CHAIN")" "$(base_dir)" >"$STATE/root"
	"$PYTHON" -B "$LAB_D/seed.py" "$STATE" "$(layer_dir "$CHAIN")"
}

# A lab stays on the root it was made with, as long as that is in the cache.
use_root() {
	CHAIN=$(<"$STATE/chain")
	{ read -r ROOT_LAYER && read -r ROOT_BASE; } <"$STATE/root"
	[[ -d $ROOT_LAYER && -d $ROOT_BASE ]] ||
		die "the root this lab was made with is gone from the cache: down --name $NAME --purge, then up"
	[ "$ROOT_LAYER" = "$(layer_dir "$CHAIN")" ] || warn "made with an older root; down --purge and up renews it"
}

# The node whose blocks count as the chain's.
witness() { printf '%s' "${HOSTS[0]}"; }
has_height() { [ -n "$(height_of "$(witness)")" ]; }
first_height() { wait_for 30 has_height && height_of "$(witness)"; }
above() { local now; now=$(height_of "$(witness)") && [ "${now:-0}" -gt "$1" ]; }
wait_block() { wait_for 60 above "${1:-0}"; }

lab_down() {
	local purge=""
	case ${1:-} in
	"") ;;
	--purge) purge=1 ;;
	*) die "down: unknown option $1" ;;
	esac
	if ! exists; then
		[ -z "$purge" ] || rm -rf "${STATE:?}"
		say "there is no lab '$NAME'"
		return
	fi
	lock_lab
	load_hosts
	each_host stop_host "${HOSTS[@]}" || warn "not everything ended in order"
	network_down
	wait_for 5 lab_groups_down || warn "some of the lab's control groups stay"
	"$PYTHON" "$LAB_D/layout.py" hosts "$STATE"
	[ -n "$purge" ] || return 0
	ip route del unreachable "$NET.0/24" metric 4096 2>/dev/null || true
	rm -rf "${STATE:?}" "${STATE_ROOT_LOCKS:?}/$NAME"
}
