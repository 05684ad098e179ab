# SPDX-License-Identifier: BSD-3-Clause
"""The part of /sys that pcid looks at, made of plain files; and a kernel that binds drivers in it."""
import os
import threading
import time


def relative_link(link, target):
    """As sysfs has them; the path of a link to a folder is resolved before it counts upwards."""
    link.symlink_to(os.path.relpath(target.resolve(), link.parent.resolve()))


class Sysfs:
    def __init__(self, root):
        self.root = root
        self.pci = root / "bus" / "pci"
        for folder in ("bus/pci/devices", "bus/pci/drivers", "class/net", "devices", "kernel/iommu_groups"):
            (root / folder).mkdir(parents=True)
        (self.pci / "drivers_probe").write_text("")

    def function(self, address, vendor=0x8086, device=0x1528, klass=0x020000, driver=None, group=None,
                 irq=11, bars=((0x380000000000, 0x200000),)):
        path = self.root / "devices" / "pci0000:00" / address
        path.mkdir(parents=True)
        for name, number, width in (("vendor", vendor, 4), ("device", device, 4), ("class", klass, 6),
                                    ("subsystem_vendor", vendor, 4), ("subsystem_device", 0x000c, 4),
                                    ("revision", 1, 2)):
            (path / name).write_text(f"0x{number:0{width}x}\n")
        (path / "irq").write_text(f"{irq}\n")
        (path / "driver_override").write_text("(null)\n")
        lines = [f"0x{start:016x} 0x{start + size - 1:016x} 0x000000000014220c" for start, size in bars]
        lines += ["0x0000000000000000 0x0000000000000000 0x0000000000000000"] * (7 - len(lines))
        (path / "resource").write_text("\n".join(lines) + "\n")
        (path / "config").write_bytes(bytes(256))
        relative_link(self.pci / "devices" / address, path)
        if driver:
            self.bind(address, driver)
        if group is not None:
            folder = self.root / "kernel" / "iommu_groups" / str(group)
            folder.mkdir(exist_ok=True)
            relative_link(path / "iommu_group", folder)
        return path

    def driver(self, name):
        path = self.pci / "drivers" / name
        if not path.exists():
            path.mkdir()
            (path / "unbind").write_text("")
        return path

    def bind(self, address, name):
        link = self.pci / "devices" / address / "driver"
        if link.is_symlink():
            link.unlink()
        if name:
            relative_link(link, self.driver(name))

    def bound(self, address):
        link = self.pci / "devices" / address / "driver"
        return os.path.basename(os.readlink(link)) if link.is_symlink() else None

    def override(self, address):
        return (self.pci / "devices" / address / "driver_override").read_text().rstrip("\0\n")

    def interface(self, address, name, flags=0, below=""):
        """A network interface of a function, or of a device below it (as virtio's)."""
        path = self.root / "class" / "net" / name
        path.mkdir()
        (path / "flags").write_text(f"0x{flags:x}\n")
        device = self.root / "devices" / "pci0000:00" / address / below
        device.mkdir(exist_ok=True)
        relative_link(path / "device", device)


class Kernel:
    """Does what the kernel does when somebody writes to drivers_probe and unbind."""

    def __init__(self, sysfs, drivers=("vfio-pci",), default=None):
        self.sysfs = sysfs
        self.drivers = drivers
        self.default = default or {}
        self.probes = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _take(self, path):
        text = path.read_text()
        if text:
            path.write_text("")
        return text.strip()

    def _run(self):
        while not self._over.is_set():
            for driver in list((self.sysfs.pci / "drivers").iterdir()):
                address = self._take(driver / "unbind")
                if address and self.sysfs.bound(address) == driver.name:
                    self.sysfs.bind(address, None)
            address = self._take(self.sysfs.pci / "drivers_probe")
            if address:
                override = self.sysfs.override(address)
                self.probes.append((address, override))
                name = override or self.default.get(address)
                if override in self.drivers or (not override and name):
                    self.sysfs.bind(address, name)
            time.sleep(0.002)
