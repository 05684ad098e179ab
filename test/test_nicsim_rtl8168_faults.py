# SPDX-License-Identifier: BSD-3-Clause
"""The faults of nicsim's RTL8168, as a driver sees them: its registers' and its descriptors'. Those of any card are in
test_nicsim_faults.py."""
import struct

import pytest

from lab import wait_for
from rtl8168 import *
from stack import ask


@pytest.fixture
def card(run):
    """Both directions run, what is sent comes back; fault() changes it."""
    process = run.start("nicsim", "--control", "c", "--device", "rtl8168", "--socket", "s", "--wire", "loop", "--mac", MAC)
    process.expect("^nicsim: rtl8168")

    def ctl(*words):
        done, said = ask(run.dir / "c", "", *words)
        assert done, said
        return said
    with Card(run.dir / "s") as card:
        card.start()
        card.fault = lambda spec: ctl("fault", spec)
        card.counter = lambda name: int(dict(line.split() for line in ctl("counters").splitlines())[name], 0)
        yield card
    assert process.stop() == 0


def taken(card, n):
    """The status doublewords of a receive descriptor that is not the card's any more."""
    at = RX + 16 * n
    wait_for(lambda: not card.owned(at), f"descriptor {n} used")
    return struct.unpack("<II", card.memory[at:at + 8])


def test_registers(card):
    bits = {"reset": (CR, 1, RST, 1), "mac": (IDR, 4, 0xffffffff, 0), "mdio": (PHYAR, 4, 1 << 31, 0),
            "mdio-write": (PHYAR, 4, 1 << 31, 1), "tally": (DTCCR, 4, 8, 1), "poll": (TPPOLL, 1, NPQ, 1), "stuck=0x37,0x8,0x4": (CR, 1, 0xc, 0)}
    for name, (offset, size, mask, is_set) in bits.items():
        card.set(CR, RE, 1)
        command = 1 << 31 if name == "mdio-write" else 0
        card.set(PHYAR, 2 << 16 | command)
        card.fault(name)
        want = {"stuck=0x37,0x8,0x4": 0x4}.get(name, mask if is_set else 0)
        assert card.reg(offset, size) & mask == want, name
        card.fault("none")
        assert card.reg(offset, size) & mask != want, name


def test_receive_write_backs(card):
    good = FS | LS | 1 << 26 | len(FRAME) + 4
    card.fault("rx-length=16383,1")
    card.fault("rx-endless=0")
    card.send(FRAME)
    assert taken(card, 0) == (good & ~0xffff | 16383, 0)
    card.fault("rx-endless=1")
    card.send(FRAME)
    assert taken(card, 1) == (good & ~LS, 0)
    card.fault("rx-garbage=1")
    card.send(FRAME)
    assert taken(card, 2) not in ((good, 0), (OWN | BUFFER, 0))
    card.fault("rx-half=1")
    card.send(FRAME)
    card.fault("rx-torn=100,1")
    card.send(FRAME)
    assert taken(card, 4)[0] & 0x3fff in (0, len(FRAME) + 4)  # no length at first, where one looks in time
    wait_for(lambda: taken(card, 4) == (good, 0), "the whole of it")
    assert card.owned(RX + 16 * 3)                    # never comes
    card.fault("rx-late=1,1")
    card.send(FRAME)
    assert taken(card, 5) == (good, 0)
    card.fault("rx-stall")
    card.send(FRAME)
    card.settle()
    assert card.owned(RX + 16 * 6)
    assert card.counter("faults") == 6
    card.fault("none")
    assert taken(card, 6) == (good, 0)


def test_transmit_write_backs(card):
    card.set(RCR, 0)                                  # nothing is received meanwhile
    card.fault("tx-lost=1")
    lost = card.post(FRAME)
    card.send(FRAME)
    assert card.owned(lost)
    card.fault("tx-garbage=1")
    at = card.post(FRAME)
    wait_for(lambda: not card.owned(at), "garbage")
    assert card.memory[at:at + 16] != struct.pack("<IIQ", FS | LS | len(FRAME), 0, IOVA + FRAMES + 2 * 0x4000)
    card.fault("tx-late=1,1")
    card.send(FRAME)
    card.fault("tx-stall")
    at = card.post(FRAME)
    card.settle()
    assert card.owned(at)
    card.fault("none")
    wait_for(lambda: not card.owned(at), "it goes on")
    # What the driver has not said to be sent.
    card.start(rcr=0)
    for n in range(1, ROWS):
        card.memory[TX + 16 * n:TX + 16 * n + 4] = struct.pack("<I", OWN | (EOR if n == ROWS - 1 else 0))
    card.fault("tx-early=1")
    card.post(FRAME)
    wait_for(lambda: not any(card.owned(TX + 16 * n) for n in range(ROWS)), "OWN is away everywhere")


@pytest.mark.parametrize("spec", ["eeprom-sum", "rx-early", "tx-head=3", "dma-init", "rx-length"])
def test_what_it_does_not_have(run, spec):
    code, said = run.call("nicsim", "--device", "rtl8168", "--socket", "x", "--wire", "loop", "--fault", spec)
    assert (code, "no such fault" in said) == (2, True), said
