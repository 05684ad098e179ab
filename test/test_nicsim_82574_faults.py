# SPDX-License-Identifier: BSD-3-Clause
"""The faults of nicsim's 82574L, as a driver sees them: its registers' and its descriptors'. Those of any card are in
test_nicsim_faults.py."""
import struct

import pytest

import vfio_user
from i82574 import *
from lab import wait_for
from stack import ask
from vfio_user import Client, Event

EECD, RAH0 = 0x10, 0x5404
DD, END, ONES = 1, 2, 0xffffffff


@pytest.fixture
def card(run):
    """Both directions run, what is sent comes back; fault() changes it."""
    process = run.start("nicsim", "--control", "c", "--device", "82574l", "--socket", "s", "--wire", "loop", "--mac", MAC)
    process.expect("^nicsim: 82574l")
    with Card(run.dir / "s") as card:
        card.start()

        def ctl(*words):
            done, said = ask(run.dir / "c", "", *words)
            assert done, said
            return said
        card.fault = lambda spec: ctl("fault", spec)
        card.counter = lambda name: int(dict(line.split() for line in ctl("counters").splitlines())[name], 0)
        yield card
    assert process.stop() == 0


def descriptor(card, n, queue=0):
    at = RINGS + 0x1000 * queue + 16 * n
    return struct.unpack("<QQ", card.memory[at:at + 16])


def taken(card, n):
    wait_for(lambda: card.reg(RX + HEAD) == (n + 1) % ROWS, f"descriptor {n} used")
    return descriptor(card, n)


def test_registers(card):
    bits = {"reset": (CTRL, RST, 1), "master": (STATUS, 1 << 19, 1), "semaphore": (SWSM, 1, 1), "mdio-owner": (EXTCNF, 0x20, 0),
            "eeprom-load": (EECD, 1 << 9, 0), "eeprom-word": (EERD, 2, 0), "mac": (RAH0, 1 << 31, 0), "mdio": (MDIC, 1 << 28, 0)}
    card.set(EXTCNF, 0x20)
    card.client.set_config(4, 2, 2)                   # no bus master: no requests are pending
    for name, (offset, mask, is_set) in bits.items():
        card.fault(name)
        card.set(SWSM, 0)
        assert card.reg(offset) & mask == (mask if is_set else 0), name
        card.fault("none")
        card.set(SWSM, 0)
        assert card.reg(offset) & mask != (mask if is_set else 0), name
    card.fault("stuck=0x2808,0xff00,0x80")
    card.set(RX + LEN, 0x1200)
    assert card.reg(RX + LEN) == 0x80
    card.fault("none")
    assert card.reg(RX + LEN) == 0x1200
    card.fault("removed")
    assert [card.reg(STATUS), card.client.config(0, 4)] == [ONES] * 2
    card.fault("none")
    assert card.client.config(0, 4) == 0x10d38086
    said = card.fault("help")
    assert "mdio-owner" in said and "rx-late=MS[,COUNT]" in said
    assert "tx-head" not in said and "dma-init" not in said


def test_the_checksum(card):
    def total():
        words = []
        for n in range(0x40):
            card.set(EERD, n << 2 | 1)
            words.append(card.reg(EERD) >> 16)
        return sum(words) & 0xffff
    assert total() == 0xbaba
    card.fault("eeprom-sum")
    assert total() != 0xbaba
    card.fault("none")
    assert total() == 0xbaba


@pytest.mark.parametrize("extended", [False, True])
def test_received_and_written_back_wrong(card, extended):
    """Length, DD and EOP lie in the second quadword, the other way round by the descriptors' format."""
    length, status = (32, 0) if extended else (0, 32)
    card.start(extended=extended)

    def one(spec, n):
        card.fault("none")
        card.fault(spec)
        card.send(FRAME)
        second = taken(card, n)[1]
        return second >> length & 0xffff, second >> status & 3
    assert one("rx-length=0,1", 0) == (0, 3)
    assert one("rx-length=65535", 1) == (65535, 3)
    assert one("rx-endless", 2) == (len(FRAME), DD)
    before = descriptor(card, 3)
    one("rx-half", 3)
    after = descriptor(card, 3)
    assert after[1] == 0 and (after[0] != before[0]) == extended
    assert one("rx-garbage", 4)[1] & DD
    assert descriptor(card, 4)[1] >> 16 & 0xff not in (0, 0xff)
    assert one("rx-early", 5) == (len(FRAME), 3)
    for n in ROWS - 1, 0, 1, 2:                       # from the tail on: the driver's own
        assert (descriptor(card, n)[1] >> length & 0xffff, descriptor(card, n)[1] >> status & 3) == (60, 3)
    assert card.counter("faults") == 1                # since the last began
    card.fault("none")
    assert one("rx-stall", 5)[0] == len(FRAME)        # of before: nothing comes
    card.fault("none")
    assert taken(card, 6)[1] >> length & 0xffff == len(FRAME)


def test_late(card):
    card.fault("rx-late=3600000,1")
    card.fault("tx-late=3600000,1")
    late = card.post(FRAME)
    taken(card, 0)
    card.send(FRAME)
    assert taken(card, 1)[1] >> 32 & DD
    assert not descriptor(card, 0)[1] >> 32 & DD and not card.memory[late + 12] & DD
    card.fault("none")
    assert descriptor(card, 0)[1] & 0xffff == len(FRAME) and card.memory[late + 12] & DD
    card.fault("rx-torn=1")
    card.send(FRAME)
    wait_for(lambda: descriptor(card, 2)[1] >> 32 & DD, "DD")
    wait_for(lambda: descriptor(card, 2)[1] & 0xffff == len(FRAME), "the rest")
    card.fault("none")
    card.fault("rx-late=3600000")
    card.send(FRAME)
    taken(card, 3)
    card.set(CTRL, RST)                               # what is late does not come after it
    card.fault("none")
    assert not descriptor(card, 3)[1] >> 32 & DD


def test_sent_and_written_back_wrong(card):
    card.fault("tx-lost=1")
    lost = card.post(FRAME)
    taken(card, 0)
    card.send(FRAME)
    assert not card.memory[lost + 12] & DD
    card.fault("tx-garbage=1")
    at = card.post(FRAME)
    wait_for(lambda: card.memory[at + 12] & DD, "garbage")
    assert struct.unpack("<Q", card.memory[at:at + 8])[0] != IOVA + FRAMES
    card.fault("tx-early=1")
    card.send(FRAME)
    assert all(card.memory[RINGS + 0x2000 + 16 * n + 12] & DD for n in range(ROWS))
    card.fault("tx-stall")
    at = card.post(FRAME)
    card.settle()
    assert not card.reg(TX + HEAD) == card.reg(TX + TAIL)
    card.fault("none")
    taken(card, 4)


def test_memory_and_interrupts(card):
    card.fault("dma-read=1")
    card.post(FRAME)                                  # its descriptor; and nobody looks again
    wait_for(lambda: card.counter("refused") == 1, "a refusal")
    card.go()
    assert taken(card, 0)[1] >> 32 & DD
    card.fault("dma-write=1")                         # of what came
    card.post(FRAME)
    wait_for(lambda: card.counter("refused") == 2, "another")
    card.fault("none")
    card.alive()
    event = Event()
    card.client.set_irqs(vfio_user.MSIX, vfio_user.DATA_EVENTFD | vfio_user.TRIGGER, 0, 1, fds=[event.fd])
    card.set(IVAR, 8), card.set(IMS, RXQ0)
    card.fault("irq-lost=1")
    card.set(ICS, RXQ0)
    card.settle()
    assert event.wait(0) == 0
    card.set(ICS, RXQ0)
    assert event.wait() == 1
    card.fault("irq-spurious=1")
    for _ in range(5):
        assert event.wait() > 0
    card.fault("none")
    card.fault("flap=5")
    for up in (False, True, False):
        wait_for(lambda: bool(card.reg(STATUS) & 2) == up, "a change of the link")
    card.fault("none")
    wait_for(lambda: card.reg(STATUS) & 2, "the link stays")
    event.close()


def test_by_option(run):
    process = run.start("nicsim", "--device", "82574l", "--socket", "s", "--wire", "sink", "--fault", "semaphore",
                        "--fault", "access=3,zero")
    process.expect("nicsim: 82574l")
    with Client(run.dir / "s") as client:
        assert [client.reg(SWSM) & 1 for _ in range(4)] == [1, 1, 0, 1]
    assert process.stop() == 0
