# RPC by the host's own curl, where sshd forbids forwarding: URL SECONDS.
command -v curl >/dev/null 2>&1 || { echo "this host has no curl" >&2; exit 127; }
curl --silent --show-error --max-time "$2" "$1"
