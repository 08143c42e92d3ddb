# shellcheck shell=bash disable=SC2153
# status, ssh, inventory.

lab_status() {
	[ $# = 0 ] || die "status takes no arguments"
	need_lab
	ssh_options
	local out h
	out=$(mktemp -d)
	STATUS_OUT=$out
	each_host status_host "${HOSTS[@]}" || true
	{
		printf 'HOST\tUP\tSSH\tUNIT\tSTATE\tHEIGHT\n'
		for h in "${HOSTS[@]}"; do cat "$out/$h"; done
	} | column -t -s $'\t'
	rm -rf "$out"
}

status_host() {
	local h=$1 up=no ssh=no unit=- state=- height=-
	if leader "$h" >/dev/null; then
		up=yes
		if is_frozen "$h"; then
			up=frozen
		elif has_node "$h"; then
			state=$(inside "$h" timeout 3 systemctl is-active "${UNIT[$h]}") || true
			height=$(height_of "$h")
		fi
		is_cut "$h" && up=$up,cut
		[ "$up" != yes ] || { answers "$h" && ssh=yes; }
	fi
	has_node "$h" && unit=${UNIT[$h]}
	printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$h" "$up" "$ssh" "$unit" "${state:--}" "${height:--}" >"$STATUS_OUT/$h"
}

lab_ssh() {
	need_lab
	need_hosts "${1:-}"
	local h=$1
	shift
	[ "${1:-}" != -- ] || shift
	ssh_options
	exec "${SSH[@]}" -p "${PORT[$h]}" "ops@${ADDRESS[$h]}" "$@"
}

# Without a check an inventory of a lab that is down would name addresses that
# nobody answers at.
lab_inventory() {
	local args=() check=1 a
	for a in "$@"; do if [ "$a" = --no-address-check ]; then check=""; else args+=("$a"); fi; done
	need_lab
	[ -z "$check" ] || [[ $(ip -4 -o addr show dev "$BRIDGE" 2>/dev/null) == *" $NET.1/"* ]] ||
		die "lab '$NAME' is down, its addresses lead nowhere: scripts/lab up --name $NAME"
	"$PYTHON" "$LAB_D/layout.py" inventory "$STATE" "${args[@]}"
}
