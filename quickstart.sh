#!/usr/bin/env bash
# From nothing to frames: installs what is missing, builds, and lets two ixgbed drive two software cards
# that a cable joins, while rheinfall measures. Needs no network card; leaves nothing but build/.
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
echo "two software X540 cards, joined by a cable"
start nicsim build/nicsim/nicsim \
	--device x540 --socket "$work/left.sock" --wire cable:quick \
	--device x540 --socket "$work/right.sock" --wire cable:quick
await nicsim 2 "^nicsim: x540"

echo "pcid starts an ixgbed for each"
start pcid build/pcid/pcid --config pcid/pcid.toml --vfio-user "$work/left.sock" --vfio-user "$work/right.sock"
await pcid 2 " ready "
build/scheme/scheme ls

echo
echo "rheinfall mirrors on the right and generates on the left"
start mirror build/rheinfall/rheinfall --url network:right_ixgbe --quiet
# It takes all frames, once it is there: what came before would be nobody's.
for _ in $(seq 200); do
	[ "$(build/scheme/scheme cat network:right_ixgbe/promisc)" = 1 ] && break
	sleep 0.1
done
for run in "as fast as it goes, 60 bytes:--size 60 --duration 4" \
	"as fast as it goes, 1514 bytes:--size 1514 --duration 4" \
	"1,000 frames a second, for latency:--size 60 --rate 1000 --duration 3"; do
	echo
	echo "${run%%:*}"
	# shellcheck disable=SC2086
	build/rheinfall/rheinfall --url network:left_ixgbe --generate --expect-lossless ${run#*:}
done

cat <<'T'

That was a user space driver on each side of a wire. For a real card (82599, X540, X550), as root, with the
IOMMU switched on and the card's interface down (doc/real-card.md has each step):

    pcid="build/pcid/pcid --config pcid/pcid.toml --driver-path build/daemon"
    $pcid --list                                          which cards there are, and whose
    $pcid --bind 0000:01:00.0                             takes that one, starts ixgbed on it
    build/rheinfall/rheinfall --generate                  frames out of it; without --generate: mirror
T
