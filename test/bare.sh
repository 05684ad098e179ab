#!/usr/bin/env bash
# Runs quickstart.sh (or the commands given) in a Debian 12 that holds nothing but its base: what the scripts
# forget to install is found here. Needs root and mmdebstrap; takes the mirror of the machine it runs on.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

[ "$(id -u)" = 0 ] || { echo "bare.sh: needs root, for a file system of its own" >&2; exit 1; }
bare=$(mktemp -d /var/tmp/ixgbed-bare.XXXXXX)
trap 'rm -rf --one-file-system "$bare"' EXIT

# minbase with apt alone: no compiler, no python, no git.
sources=$(cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null || true)
printf '%s\n' "$sources" | mmdebstrap --quiet --variant=minbase bookworm "$bare" -
cp /etc/resolv.conf "$bare/etc/resolv.conf"
git clone --quiet --no-hardlinks . "$bare/src"

commands=("$@")
[ ${#commands[@]} -gt 0 ] || commands=(./quickstart.sh)
for command in "${commands[@]}"; do
	echo "== bare: $command"
	# A root of its own, not a chroot: in that nobody may make user namespaces. The mounts end with it.
	unshare --mount --propagation private bash -euc '
		mount --bind "$1" "$1"
		cd "$1"
		mount -t proc proc proc
		mount --rbind /dev dev
		mount --rbind /sys sys
		mkdir -p before
		pivot_root . before
		umount -l before
		exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 CI="$3" bash -c "cd / && /src/$2"
	' bash "$bare" "$command" "${CI:-}"
done
