# SPDX-License-Identifier: BSD-3-Clause
"""The judge's own honesty: a guest in which something went wrong must fail its test."""
import pytest

import guest
import lab

pytestmark = pytest.mark.guest


def test_warnings_and_failures_are_seen(run):
    machine = guest.Guest(run, """
        echo "<4>a warning" >/dev/kmsg
        echo "<6>mere news" >/dev/kmsg
        echo "<3>a fault that was expected" >/dev/kmsg
        cat /file
        exit 3
    """, files={"file": "line one\nline two\n"})
    with pytest.raises(AssertionError) as failure:
        machine.finish(allow="fault that was expected")
    first = str(failure.value).split("\n\n")[0]
    assert "the script ended with 3" in first
    assert "a warning" in first and "mere news" not in first and "expected" not in first
    assert "line one\nline two" in machine.machine.text


def test_a_crash_is_seen(run):
    machine = guest.Guest(run, "echo c >/proc/sysrq-trigger; sleep 60")
    with pytest.raises(AssertionError, match="sysrq triggered crash"):
        machine.finish()
    assert machine.machine.wait() == 0


def test_vfio_on_a_card_of_others(run):
    """pci/ on the kernel's VFIO, behind an IOMMU, with QEMU's own 82574L: as root, as a user, as a user who
    may lock too little memory."""
    machine = guest.Guest(run, """
        card=/sys/bus/pci/devices/0000:00:03.0
        echo vfio-pci >$card/driver_override
        echo 0000:00:03.0 >/sys/bus/pci/drivers_probe
        vfio_82574 0000:00:03.0
        echo "as a user"
        chown 1000 /dev/vfio/$(basename $(readlink $card/iommu_group))
        as --reuid=1000 vfio_82574 0000:00:03.0
        echo "with little memory"
        ulimit -l 1000
        as --reuid=1000 vfio_82574 0000:00:03.0 | tail -n 1
    """, iommu=True, modules=["vfio-pci", "vfio_iommu_type1"], programs={
        "bin/vfio_82574": lab.BUILD / "test/guest/vfio_82574", "bin/as": "/usr/bin/setpriv"},
        qemu=["-netdev", "user,id=n", "-device", "e1000e,netdev=n,addr=3"])
    lines = machine.finish(allow=r"RLIMIT_MEMLOCK \(1024000\) exceeded")
    user = lines.index("as a user")
    assert all(line.startswith("holds: ") for line in lines[:user])
    assert lines[:user] == lines[user + 1:-2]
    assert lines[-2] == "with little memory"
    assert "the limit of locked memory is 1000 KiB, 4096 are needed" in lines[-1]
