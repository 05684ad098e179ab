# SPDX-License-Identifier: BSD-3-Clause
"""nicsim's faults, as a driver sees each of them: by registers, descriptors, interrupts and messages. What our
driver makes of them is in test_faults.py."""
import pytest

import vfio_user
from lab import wait_for
from stack import ask
from vfio_user import Client, Closed, Event, Refused
from x540 import *

SWSM, SYNC, EEC, EERD, MSCA, SECRXSTAT = 0x10140, 0x10160, 0x10010, 0x10014, 0x425c, 0x8d04
ONES = 0xffffffff


@pytest.fixture
def card(run):
    """An X540 with both rings, whose sent frames come back; ctl() changes it."""
    process = run.start("nicsim", "--doorbells", "trapped", "--control", "c", "--device", "x540", "--socket", "s",
                        "--wire", "loop")
    process.expect("nicsim: x540 ")
    with Card(run.dir / "s") as card:
        card.process, card.path = process, run.dir / "s"

        def ctl(*words):
            done, said = ask(run.dir / "c", "", *words)
            assert done, said
            return said
        card.ctl = ctl
        card.fault = lambda spec: ctl("fault", spec)
        card.counter = lambda name: int(dict(line.split() for line in ctl("counters").splitlines())[name], 0)
        yield card


def both_ways(card, fctrl=BAM | UPE):
    card.rx(entries=8, fctrl=fctrl)
    card.tx(entries=16)


def status(card, n):
    return card.rx_descriptor(n)[1]


def test_stuck_bits(card):
    bits = {"reset": (CTRL, 1 << 26, 1), "master": (STATUS, 1 << 19, 1), "semaphore": (SWSM, 1, 1), "sync": (SYNC, 0x3e0, 1),
            "eeprom-load": (EEC, 1 << 9, 0), "eeprom-word": (EERD, 2, 0), "dma-init": (RDRXCTL, 8, 0), "mac": (RAH0, 1 << 31, 0),
            "mdio": (MSCA, 1 << 30, 1), "rx-path": (SECRXSTAT, 1, 0), "rx-queue": (RXDCTL, ENABLE, 0),
            "tx-queue": (TXDCTL, ENABLE, 0)}
    card.set(RAH0, 1 << 31)
    card.set(RXDCTL, ENABLE), card.set(TXDCTL, ENABLE)
    for name, (offset, mask, is_set) in bits.items():
        card.fault(name)
        assert card.reg(offset) & mask == (mask if is_set else 0), name
        card.fault("none")
        card.set(SWSM, 0)
        assert card.reg(offset) & mask != (mask if is_set else 0) or name == "master", name
    card.fault(f"stuck={RDBAL},0xff00,0x80")
    card.set(RDBAL, 0x12345600)
    assert card.reg(RDBAL) == 0x12340080
    card.fault("none")
    assert card.reg(RDBAL) == 0x12345600  # it was written all the same


def test_an_access_fails(card):
    """The second of a client: by a new connection it is counted anew."""
    card.fault("access=2,ones")
    card.client.close()
    for how, found in (("ones", ONES), ("zero", 0)):
        card.fault(f"access=2,{how}")
        with Client(card.path) as client:
            client.set_reg(RDBAL, 0x100)
            assert client.reg(RDBAL) == found
            assert client.reg(RDBAL) == 0x100
        with Client(card.path) as client:
            assert client.reg(RDBAL) == 0
            client.set_reg(RDBAL, 0x100)  # lost
            assert client.reg(RDBAL) == 0
    card.fault("access=2,error")
    with Client(card.path) as client:
        client.set_reg(RDBAL, 0x100)
        with pytest.raises(Refused, match="Input/output error"):
            client.reg(RDBAL)
        assert client.reg(RDBAL) == 0x100
    card.fault("access=2,gone")
    with Client(card.path) as client:
        assert client.reg(RXPBSIZE0) == 384 << 10
        assert [client.reg(RXPBSIZE0), client.reg(STATUS), client.config(0, 4)] == [ONES] * 3
        assert card.counter("accesses") == 3
    with Client(card.path) as client:
        assert client.config(0, 4) == 0x15288086
        assert client.reg(RXPBSIZE0) == 384 << 10


def test_a_message_fails(card):
    card.client.close()
    card.fault("message=3,error")
    with Client(card.path) as client:
        client.info()
        with pytest.raises(Refused, match="Input/output error"):
            client.info()
        client.info()
    card.fault("message=3,hangup")
    with Client(card.path) as client:
        client.info()
        with pytest.raises(Closed):
            client.info()
    with Client(card.path):
        pass


def test_removed(card):
    both_ways(card)
    card.fault("removed")
    assert [card.reg(STATUS), card.client.config(0, 4)] == [ONES] * 2
    post(card, frame())
    card.client.set_config(4, 2, 0)
    card.fault("none")
    assert card.client.config(4, 2) == 6
    assert card.reg(TDT) == 0
    send(card, frame())
    assert card.received(0) == frame()


def test_dma_is_refused(card):
    both_ways(card)
    card.fault("dma-read=2")
    post(card, frame(fill=b"a"))  # its descriptor; and nobody looks again
    wait_for(lambda: card.counter("refused") == 1, "one")
    card.kick()
    wait_for(lambda: card.counter("refused") == 2, "two")
    send(card, frame(fill=b"b"))
    assert card.received(0) == frame(fill=b"a")
    assert card.received(1) == frame(fill=b"b")
    card.fault("none")
    card.fault("dma-write=1")
    lost = post(card, frame(fill=b"c"))
    wait_for(lambda: card.counter("refused") == 3, "three")  # the report that it is sent
    assert card.received(2) == frame(fill=b"c")
    assert not card.tx_descriptor(lost)[2] & DD
    card.fault("dma-write")
    post(card, frame(fill=b"d"))
    wait_for(lambda: card.counter("refused") == 5, "and of the one that came, whose descriptor is used up")
    card.fault("none")
    send(card, frame(fill=b"e"))
    assert card.received(4) == frame(fill=b"e")
    assert not status(card, 3) & DD


def test_interrupts(card):
    event = Event()
    card.client.set_irqs(vfio_user.MSIX, vfio_user.DATA_EVENTFD | vfio_user.TRIGGER, 0, 1, fds=[event.fd])
    card.set(GPIE, 0x10), card.set(IVAR0, 0x80), card.set(EIMS, 1)
    card.fault("irq-lost=1")
    card.set(EICS, 1)
    assert card.reg(EICS) & 1
    wait_for(lambda: card.counter("client") == 1, "a round")
    assert event.wait(0) == 0
    card.set(EICS, 1)
    assert event.wait() == 1
    card.fault("irq-spurious=1")
    for _ in range(5):
        assert event.wait() > 0
    card.fault("none")
    event.wait(0)
    assert card.counter("faults") == 0


def test_the_link_flaps(card):
    both_ways(card)
    card.fault("flap=5")
    for up in (False, True, False):
        wait_for(lambda: bool(card.reg(LINKS) & 1 << 30) == up, "a change")
    card.fault("none")
    wait_for(lambda: card.reg(LINKS) & 1 << 30, "the link stays")
    send(card, frame())


def test_the_checksum(card):
    def sum_of():
        words = []
        for at in range(0x80):
            card.set(EERD, at << 2 | 1)
            words.append(card.reg(EERD) >> 16)
        port = words[9]  # a section that belongs to it, behind its length
        return sum(words[:0x40] + words[port + 1:port + 1 + words[port]]) & 0xffff
    assert sum_of() == 0xbaba
    card.fault("eeprom-sum")
    card.fault("eeprom-sum")  # is not the other way round
    assert sum_of() != 0xbaba
    card.client.reset()
    assert sum_of() != 0xbaba
    card.fault("none")
    assert sum_of() == 0xbaba


def test_stalls(card):
    both_ways(card)
    card.fault("tx-stall")
    post(card, frame())
    assert card.reg(TDH) == 0 and card.counter("link") == 1
    assert card.reg(TDH) == 0
    card.fault("none")
    assert card.received(0) == frame()
    card.fault("rx-stall")
    send(card, frame(fill=b"x"))
    assert card.reg(RDH) == 1
    card.fault("none")
    assert card.received(1) == frame(fill=b"x")


def test_received_and_written_back_wrong(card):
    both_ways(card)

    def one(spec, n):
        card.fault("none")
        card.fault(spec)
        send(card, frame())
        wait_for(lambda: card.reg(RDH) == n + 1, "taken")
        return card.rx_descriptor(n)
    assert one("rx-length=0,1", 0)[:2] == (0, 3)
    assert one("rx-length=65535", 1)[:2] == (65535, 3)
    assert one("rx-endless", 2)[:2] == (60, DD)
    assert one("rx-half", 3)[1] & DD == 0
    one("rx-garbage", 4)
    assert card.rx_descriptor(4)[1] & DD
    one("rx-early", 5)
    assert card.rx_descriptor(5)[:2] == (60, 3)
    assert card.rx_descriptor(7)[:2] == (60, 3)  # the tail's, the driver's own
    assert card.counter("faults") == 1  # since the last began


def test_received_and_written_back_late(card):
    both_ways(card)
    card.fault("rx-late=3600000,1")
    send(card, frame())
    wait_for(lambda: card.reg(RDH) == 1, "taken")
    send(card, frame(fill=b"y"))
    assert card.received(1) == frame(fill=b"y")
    assert not status(card, 0) & DD
    card.fault("none")
    assert card.received(0) == frame()
    card.fault("rx-torn=1")
    send(card, frame(fill=b"z"))
    wait_for(lambda: status(card, 2) & DD, "DD")
    wait_for(lambda: card.rx_descriptor(2)[0] == 60, "the rest")
    card.fault("none")
    card.fault("rx-late=1")
    send(card, frame(fill=b"w"))
    assert card.received(3) == frame(fill=b"w")
    card.fault("rx-late=3600000")
    send(card, frame())
    wait_for(lambda: card.reg(RDH) == 5, "taken")
    card.client.reset()  # what is late does not come after it
    card.fault("none")
    assert not status(card, 4) & DD


def test_sent_and_written_back_wrong(card):
    both_ways(card)
    card.fault("tx-lost=1")
    first = post(card, frame(fill=b"1"))
    assert card.received(0) == frame(fill=b"1")
    send(card, frame(fill=b"2"))
    assert not card.tx_descriptor(first)[2] & DD
    card.fault("tx-late=3600000,1")
    late = post(card, frame(fill=b"3"))
    send(card, frame(fill=b"4"))
    assert not card.tx_descriptor(late)[2] & DD
    card.fault("none")
    card.sent(late)
    card.fault("tx-garbage=1")
    n = post(card, frame(fill=b"5"))
    card.sent(n)
    assert card.tx_descriptor(n)[0] >> 32 != 0
    card.fault("tx-early=1")
    send(card, frame(fill=b"6"))
    assert all(card.tx_descriptor(n)[2] & DD for n in range(16))


def test_another_head_is_written(card):
    card.rx(fctrl=BAM | UPE)
    head = card.take(64, 64)
    card.set(TDWBAL, IOVA + head | 1)
    card.tx()
    card.fault("tx-head=0xdead,1")
    post(card, frame())
    wait_for(lambda: card.memory[head:head + 4] == (0xdead).to_bytes(4, "little"), "what is written")
    post(card, frame())
    wait_for(lambda: card.memory[head:head + 4] == (2).to_bytes(4, "little"), "what is right")


def test_by_option(run):
    process = run.start("nicsim", "--doorbells", "trapped", "--device", "x540", "--socket", "s", "--wire", "sink",
                        "--fault", "reset", "--fault", "access=3,zero")
    process.expect("nicsim: x540 ")
    with Client(run.dir / "s") as client:
        assert [client.reg(CTRL) for _ in range(4)] == [1 << 26, 1 << 26, 0, 1 << 26]


def test_what_is_no_fault(run, card):
    for spec in ("", "nonsense", "reset=1", "access", "access=1", "access=1,often", "access=x,ones", "access=1,ones,1",
                 "flap", "flap=0", "flap=3600001", "flap=-1", "flap=1ms", "stuck=1,2", "rx-late=1,", "rx-length=", "rx-half=1,1",
                 "dma-read=99999999999999999999"):
        done, said = ask(run.dir / "c", "", "fault", spec)
        assert not done, spec
        if spec:
            assert "no such fault" in said
        if spec.startswith("r"):
            assert run.call("nicsim", "--device", "x540", "--socket", "t", "--wire", "sink", "--fault", spec)[0] == 2
    for _ in range(16):
        card.fault("reset")
    assert ask(run.dir / "c", "", "fault", "reset") == (False, "No space left on device")
    assert "rx-late=MS[,COUNT]" in card.fault("help")
    assert card.process.stop() == 0
