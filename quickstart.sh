#!/usr/bin/env bash
# From nothing to frames: installs what is missing, builds, and lets two ixgbed drive two software cards
# that a cable joins, while rheinfall measures; then an e1000d and an rtl8168d, one at each end of another.
# Needs no network card; leaves nothing but build/.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")"

.ci/install run
[ -f build/build.ninja ] || meson setup build -Dtests=false --buildtype=release >/dev/null
echo "building"
ninja -C build --quiet

work=$(mktemp -d)
export SCHEME_ROOT=$work/scheme NICSIM_ROOT=$work STATE_DIRECTORY=$work PCID_DRIVER_PATH=$PWD/build/daemon
mkdir "$SCHEME_ROOT"
started=()

finish() {
	for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
	for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM

# Starts a program with its output in a file of its own.
start() {
	local name=$1
	shift
	"$@" >"$work/$name.log" 2>&1 &
	started+=($!)
}

# Waits at most 20 s until a program's output holds as many matching lines.
await() {
	local name=$1 count=$2 pattern=$3
	for _ in $(seq 200); do
		[ "$(grep -c -- "$pattern" "$work/$name.log")" -ge "$count" ] && return
		sleep 0.1
	done
	echo "$name did not say \"$pattern\" within 20 s:" >&2
	cat "$work/$name.log" >&2
	exit 1
}

echo
echo "software cards in pairs, each joined by a cable: two X540, an 82574L and an RTL8168"
start nicsim build/nicsim/nicsim \
	--device x540 --socket "$work/left" --wire cable:ten \
	--device x540 --socket "$work/right" --wire cable:ten \
	--device 82574l --socket "$work/near" --wire cable:one --pace \
	--device rtl8168 --socket "$work/far" --wire cable:one --pace
await nicsim 4 "^nicsim: "

echo "pcid starts a driver for each"
start pcid build/pcid/pcid --config pcid/pcid.toml \
	--vfio-user "$work/left" --vfio-user "$work/right" --vfio-user "$work/near" --vfio-user "$work/far"
await pcid 4 " ready "
build/scheme/scheme ls

# The scheme at one end generates, that at the other sends everything back.
mirror() { # MIRROR GENERATOR
	echo
	echo "rheinfall mirrors on $1 and generates on $2"
	start "mirror-$1" build/rheinfall/rheinfall --url "network:$1" --quiet
	# It takes all frames, once it is there: what came before would be nobody's.
	for _ in $(seq 200); do
		[ "$(build/scheme/scheme cat "network:$1/promisc")" = 1 ] && break
		sleep 0.1
	done
}
generate() { # GENERATOR WHAT OPTION...
	local generator=$1
	echo
	echo "$2"
	shift 2
	build/rheinfall/rheinfall --url "network:$generator" --generate --expect-lossless "$@"
}
mirror right_ixgbe left_ixgbe
generate left_ixgbe "as fast as it goes, 60 bytes" --size 60 --duration 4
generate left_ixgbe "as fast as it goes, 1514 bytes" --size 1514 --duration 4
generate left_ixgbe "1,000 frames a second, for latency" --size 60 --rate 1000 --duration 3
mirror far_rtl8168 near_e1000
generate near_e1000 "cards of 1 Gbit/s, at their line's pace, 1514 bytes" --size 1514 --duration 4

cat <<'T'

That was a user space driver on each side of a wire. For a real card (README.md names those that are known), as root, with
the IOMMU switched on and the card's interface down (doc/real-card.md has each step):

    pcid="build/pcid/pcid --config pcid/pcid.toml --driver-path build/daemon"
    $pcid --list                                          which cards there are, and whose
    $pcid --bind 0000:01:00.0                             takes that one, starts its driver on it
    build/rheinfall/rheinfall --generate                  frames out of it; without --generate: mirror
T
