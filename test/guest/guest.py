# SPDX-License-Identifier: BSD-3-Clause
"""Real Linux kernels in software-emulated machines: judges of the cards here, and of the drivers.

A guest is a kernel, an initramfs made for it (busybox, the modules it loads, the files it is given), a shell
script that runs in it as the only program, and QEMU. The script's output comes line by line; the kernel's log
goes to a file of its own. finish() fails where the script failed, and where the kernel warned of anything
since the script's machine was up. Nothing here needs root or KVM. What it takes, test/guest/prepare fetches.
"""
import json
import lzma
import os
import pathlib
import re
import stat
import subprocess

import lab

CACHE = pathlib.Path(os.environ.get("IXGBED_GUEST", lab.BUILD / "guest")).resolve()
KERNELS = {"6.12": CACHE / "kernel", "6.1": CACHE / "kernel-6.1"}
# An emulated machine is some twenty times slower than the one it runs on.
PATIENCE = 6 * lab.PATIENCE
# What a kernel says of a machine that stands still now and then.
SLOW = r"TSC found unstable|Not enough CPUs to check clocksource|hrtimer: interrupt took|clocksource: .*(?:watchdog|unstable|skew)|perf: interrupt took too long|sched: (?:DL replenish lagged|RT throttling)"

INIT = """#!/bin/sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /tmp /run /etc
exec </dev/ttyS0 >/dev/ttyS0 2>&1
ip link set lo up
echo "<6>guest: up" >/dev/kmsg
while read -r module; do insmod "/modules/$module" || echo "guest: no $module"; done </modules/order
echo "guest: up, Linux $(uname -r)"
sh -eu /script
echo "guest: exit $?"
# What the kernel says meanwhile comes behind the log, not into the middle of it: the console is this line, too.
dmesg -n 1
dmesg -r >/tmp/log
{
	echo "guest: log"
	sed -n '/guest: up/,$p' /tmp/log
	echo "guest: end"
	dmesg -r | sed "1,$(wc -l </tmp/log)d"
} >/dev/ttyS1
dmesg -n 7
poweroff -f
"""


class Initramfs:
    """A file tree in the format the kernel unpacks: cpio, newc."""

    def __init__(self):
        self._names = set()
        self._blob = bytearray()

    def _add(self, name, mode, data=b""):
        name = str(name).strip("/")
        if name in self._names:
            return
        parent = str(pathlib.PurePosixPath(name).parent)
        if parent != ".":
            self._add(parent, stat.S_IFDIR | 0o755)
        self._names.add(name)
        fields = (len(self._names), mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        self._blob += b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
        self._pad()
        self._blob += data
        self._pad()

    def _pad(self):
        self._blob += bytes(-len(self._blob) % 4)

    def folder(self, name):
        self._add(name, stat.S_IFDIR | 0o755)

    def link(self, name, target):
        self._add(name, stat.S_IFLNK | 0o777, target.encode())

    def file(self, name, data, mode=0o644):
        self._add(name, stat.S_IFREG | mode, data)

    def program(self, name, path):
        """A program of this machine, with the libraries it needs where it looks for them."""
        self.file(name, pathlib.Path(path).read_bytes(), 0o755)
        libraries = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        for library in re.findall(r"(?:=> |^\s)(/\S+) \(", libraries, re.M):
            self.file(library, pathlib.Path(library).read_bytes(), 0o755)

    def write(self, path):
        self._add("TRAILER!!!", 0)
        path.write_bytes(self._blob)


def kernel_modules(kernel, names):
    """The files of these modules and of what they depend on, in the order to load them."""
    (folder,) = (KERNELS[kernel] / "lib/modules").iterdir()
    needs = {}
    for line in (folder / "modules.dep").read_text().splitlines():
        path, _, others = line.partition(":")
        needs[pathlib.Path(path).name.split(".")[0].replace("-", "_")] = [*reversed(others.split()), path]
    built_in = {pathlib.Path(path).stem.replace("-", "_")
                for path in (folder / "modules.builtin").read_text().split()}
    order = []
    for name in (name.replace("-", "_") for name in names):
        assert name in needs or name in built_in, f"the kernel has no module {name}"
        order += [path for path in needs.get(name, []) if path not in order]
    return [folder / path for path in order]


def emulated(memory):
    """The command for a machine with so many MiB, which a card of nicsim can reach."""
    return [str(CACHE / "qemu"), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-machine", "q35,kernel-irqchip=split,memory-backend=m",
            "-object", f"memory-backend-memfd,id=m,size={memory}M,share=on",
            "-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", str(memory)]


def card(socket, **properties):
    """QEMU's arguments for a card of nicsim."""
    return ["-device", json.dumps(
        {"driver": "vfio-user-pci", "socket": {"path": str(socket), "type": "unix"}, **properties})]


def module_file(path):
    """A module's name in the guest, and what is in it; Debian 13's lie there compressed."""
    data = path.read_bytes()
    return path.name.removesuffix(".xz"), lzma.decompress(data) if path.suffix == ".xz" else data


def command(folder, script, *, modules=(), later=(), files=None, programs=None, cards=(), iommu=False, append="",
            qemu=(), memory=512, kernel="6.12"):
    """Makes an initramfs in `folder`; returns the command that boots a machine, and where its kernel's log goes.
    `modules` are loaded before the script, with what they need; of `later` only what they need: they themselves
    lie in /modules/NAME.ko. `files`: name in the guest to text or bytes; `programs`: name to a program of this
    machine. `cards`: sockets of nicsim. `iommu`: every device is behind a virtual VT-d. `append`: more for the
    kernel's command line; `qemu`: more arguments; `kernel`: which of KERNELS."""
    vmlinuz = KERNELS[kernel] / "vmlinuz"
    assert (CACHE / "qemu").exists() and vmlinuz.exists(), f"no guest in {CACHE}: run test/guest/prepare"
    tree = Initramfs()
    for name in ("proc", "sys", "dev", "modules"):
        tree.folder(name)
    tree.file("bin/busybox", (CACHE / "root/usr/bin/busybox").read_bytes(), 0o755)
    tree.link("bin/sh", "busybox")
    tree.file("init", INIT.encode(), 0o755)
    tree.file("script", script.encode())
    waiting = [f"{name}.ko" for name in later]
    order = []
    for path in kernel_modules(kernel, [*modules, *later]):
        name, data = module_file(path)
        tree.file(f"modules/{name}", data)
        if name not in waiting:
            order.append(name)
    tree.file("modules/order", "".join(name + "\n" for name in order).encode())
    for name, content in (files or {}).items():
        tree.file(name, content.encode() if isinstance(content, str) else content)
    for name, path in (programs or {}).items():
        tree.program(name, path)
    initrd, log = folder / "guest.initrd", folder / "guest.kernel"
    tree.write(initrd)

    arguments = [
        *emulated(memory),
        "-chardev", "stdio,id=script,signal=off", "-serial", "chardev:script", "-serial", f"file:{log}",
        "-kernel", str(vmlinuz), "-initrd", str(initrd),
        # no_timer_check: a machine that is not run for a moment takes its timer for broken, and panics.
        "-append", f"console=ttyS1 panic=-1 oops=panic no_timer_check {'intel_iommu=on' if iommu else ''} {append}"]
    if iommu:
        arguments += ["-device", "intel-iommu,caching-mode=on,intremap=on"]
    for socket in cards:
        arguments += card(socket)
    return [*arguments, *qemu], log


class Guest:
    """A machine that runs `script`, for one test; `what` it has is as for command()."""

    def __init__(self, run, script, **what):
        arguments, self.log = command(run.dir, script, **what)
        self.machine = run.start(*arguments)

    def expect(self, pattern, limit=PATIENCE):
        """Waits for a line of the script's output that matches; returns the match."""
        try:
            return self.machine.expect(pattern, limit)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.kernel_log}") from None

    @property
    def kernel_log(self):
        """What the kernel printed since its machine was up, or all of it where it did not get there."""
        log = self.log.read_text(errors="replace") if self.log.exists() else ""
        return log[max(log.find("guest: up"), 0):]

    def finish(self, allow="$^", limit=PATIENCE):
        """Waits for the end of the script, which must be a success; the kernel must have printed no warning
        or worse since it was up, but for lines that match `allow`. Returns the lines of the script's output."""
        status = self.expect(r"^guest: exit (\d+)$", limit).group(1)
        assert self.machine.wait(limit) == 0, f"{self.machine.text}\n{self.kernel_log}"
        log = self.kernel_log
        ours, found, after = log[log.rindex("guest: log"):].partition("guest: end")
        assert found, f"no whole log from the guest:\n{log}"
        # <N>: facility and, in its last three bits, level; 4 is a warning, less is worse. What comes after it
        # is the console's: without levels.
        bad = [line for line in ours.splitlines()
               if (match := re.match(r"<(\d+)>", line)) and int(match.group(1)) % 8 <= 4
               and not re.search(f"{SLOW}|{allow}", line)]
        bad += re.findall(r".*(?:WARNING:|BUG:|Oops|Call Trace).*", after)
        if status != "0":
            bad.insert(0, f"the script ended with {status}")
        assert not bad, "\n".join([*bad, "", self.machine.text, ours])
        lines = self.machine.lines
        return lines[next(i for i, line in enumerate(lines) if line.startswith("guest: up")) + 1:
                     lines.index("guest: exit 0")]
