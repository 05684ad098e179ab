# SPDX-License-Identifier: BSD-3-Clause
"""pci/ on the kernel's VFIO: what is refused, and a function's life from opening to giving back. The cards are
QEMU's own, behind a virtual VT-d; registers, DMA and interrupts are judged in test_guest.py."""
import re

import pytest

import guest
import lab

pytestmark = pytest.mark.guest

CARD = "0000:00:03.0"  # an 82574L
OTHER = "0000:00:04.0"  # an 82576, which has a function level reset
CARDS = ["-netdev", "user,id=m", "-device", "e1000e,netdev=m,addr=3",
         "-netdev", "user,id=n", "-device", "igb,netdev=n,addr=4"]


def life(run, script, **what):
    machine = guest.Guest(run, script, qemu=CARDS,
                          programs={
            "bin/vfio_life": lab.BUILD / "test/guest/vfio_life", "bin/as": "/usr/bin/setpriv"}, **what)
    return machine.finish()


def test_refusals_and_life(run):
    lines = life(run, f"""
        vfio_life reset {CARD} || echo it ended with $?
        vfio_life reset 0000:00:1e.7 || true
        insmod /modules/e1000e.ko
        vfio_life reset {CARD} || true
        echo {CARD} >/sys/bus/pci/drivers/e1000e/unbind

        for address in {CARD} {OTHER}; do
            echo vfio-pci >/sys/bus/pci/devices/$address/driver_override
            echo $address >/sys/bus/pci/drivers_probe
        done
        vfio_life hand-over {CARD}
        vfio_life addresses {CARD}
        vfio_life reset {OTHER}

        vfio_life give-back {CARD} >/out &
        until grep -q held /out; do sleep 0.1; done
        echo {CARD} >/sys/bus/pci/drivers/vfio-pci/unbind
        wait
        cat /out
        test ! -e /sys/bus/pci/devices/{CARD}/driver

        chmod 600 /dev/vfio/*
        as --reuid=1000 vfio_life reset {OTHER} || true
    """, iommu=True, modules=["vfio-pci", "vfio_iommu_type1", "ptp"], later=["e1000e"])
    should = f"vfio-pci should: pcid --bind {CARD} does that (by hand: doc/real-card.md)"
    assert lines[:4] == [
        f"-16 {CARD}: no driver has it, {should}",
        "it ended with 2",
        "-2 0000:00:1e.7: no such PCI function: lspci -D lists those that there are",
        f"-16 {CARD}: driver e1000e has it, {should}",
    ]
    assert re.fullmatch(rf"{CARD}: another program has (/dev/vfio/\d+): fuser -v \1 names it", lines[4])
    out = f"{CARD}: memory can't be attached: its addresses are taken or out of reach"
    assert lines[5:-1] == [
        "carried on",
        "carried on",
        "closed",
        "10000000000 0 reached",
        f"fee00000 -22 {out}",
        f"1000000000000 -22 {out}",
        "VET 81008100",
        "held",
        "given back",
    ]
    assert lines[-1] == f"-13 {OTHER}: no permission on /dev/vfio/vfio: as root, chmod 666 it"


def test_no_iommu(run):
    assert life(run, f"vfio_life reset {CARD} || true") == [
        f"-95 {CARD}: no IOMMU: switch it on in the firmware (VT-d, AMD-Vi) and, for Intel, boot Linux "
        "with intel_iommu=on"]
