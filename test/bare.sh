#!/usr/bin/env bash
# Runs quickstart.sh (or the commands given) in a Debian 12 that holds nothing but its base: what the scripts
# forget to install is found here. Needs root and mmdebstrap; takes the mirror of the machine it runs on.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

[ "$(id -u)" = 0 ] || { echo "bare.sh: needs root, for a chroot" >&2; exit 1; }
bare=$(mktemp -d /var/tmp/ixgbed-bare.XXXXXX)
finish() {
	for mount in sys/fs/cgroup sys dev/pts dev/shm dev proc; do
		mountpoint -q "$bare/$mount" && umount -R "$bare/$mount"
	done
	rm -rf --one-file-system "$bare"
}
trap finish EXIT

# minbase with apt alone: no compiler, no python, no git.
sources=$(cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null || true)
printf '%s\n' "$sources" | mmdebstrap --quiet --variant=minbase bookworm "$bare" -
mount -t proc proc "$bare/proc"
mount --rbind /dev "$bare/dev" && mount --make-rslave "$bare/dev"
mount --rbind /sys "$bare/sys" && mount --make-rslave "$bare/sys"
cp /etc/resolv.conf "$bare/etc/resolv.conf"
git clone --quiet --no-hardlinks . "$bare/src"

commands=("$@")
[ ${#commands[@]} -gt 0 ] || commands=(./quickstart.sh)
for command in "${commands[@]}"; do
	echo "== bare: $command"
	chroot "$bare" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 CI="${CI:-}" \
		bash -c "cd / && /src/$command"
done
