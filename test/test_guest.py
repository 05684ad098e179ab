# SPDX-License-Identifier: BSD-3-Clause
"""The judge's own honesty: a guest in which something went wrong must fail its test."""
import pytest

import guest

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


def test_an_emulated_card_behind_the_iommu_is_vfio_s(run):
    """The rig apart from the cards here: QEMU's own 82574L, alone in its group, on the kernel's VFIO."""
    machine = guest.Guest(run, """
        card=/sys/bus/pci/devices/0000:00:03.0
        cat $card/vendor $card/device
        echo vfio-pci >$card/driver_override
        echo 0000:00:03.0 >/sys/bus/pci/drivers_probe
        basename "$(readlink $card/driver)"
        ls $card/iommu_group/devices
        group=$(basename "$(readlink $card/iommu_group)")
        test -c /dev/vfio/$group
    """, iommu=True, modules=["vfio-pci", "vfio_iommu_type1"],
        qemu=["-netdev", "user,id=n", "-device", "e1000e,netdev=n,addr=3"])
    assert machine.finish() == ["0x8086", "0x10d3", "vfio-pci", "0000:00:03.0"]
