# SPDX-License-Identifier: BSD-3-Clause
"""nicsim's RTL8168 by its registers and descriptors: what Linux's r8169, its judge (test_judge_rtl8168.py), does not use.
Offsets are the RTL8169 datasheet's; what is sent comes back by a loop."""
import struct
import zlib

import pytest
from scapy.all import Ether, rdpcap, wrpcap

from lab import wait_for
from rtl8168 import *
from stack import ask
from vfio_user import DATA_EVENTFD, DATA_NONE, INTX, MSIX, TRIGGER, UNMASK, Event

CSIDR, CSIAR, ERIDR, ERIAR, EPHYAR, OCPDR, OCPAR = 0x64, 0x68, 0x70, 0x74, 0x80, 0xb0, 0xb4
FLAG = 1 << 31


@pytest.fixture
def sim(run):
    process = serve(run)
    yield process
    assert process.stop() == 0


@pytest.fixture
def event():
    event = Event()
    yield event
    event.close()


@pytest.mark.parametrize("device, ident, xid, vectors", [("rtl8168", 0x816810ec, 0x28b, 4), ("rtl8168c", 0x816810ec, 0x3c2, 2),
                                                         ("rtl8161", 0x816110ec, 0x28b, 4)])
def test_models(run, device, ident, xid, vectors):
    process = serve(run, device)
    with Card(process.path) as card:
        assert card.client.config(0, 4) == ident
        assert card.reg(TCR) >> 20 & 0x7cf == xid
        assert card.client.irq_info(MSIX)[1] == vectors
        for offset, kept in (0, True), (16 * vectors - 4, True), (16 * vectors, False), (16384 - 4, False):
            card.set(offset, 0x55aa, bar=4)
            assert card.reg(offset, bar=4) == (0x55aa if kept else 0)
        # An I/O BAR of 256 bytes, memory BARs of 64 bits: what they are, and what sizing them finds.
        for bar, kind, size in (0, 0x1, 256), (2, 0xc, 4096), (4, 0xc, 16384):
            assert card.client.config(0x10 + 4 * bar, 4) == kind
            assert card.client.region_info(bar)[1] == size
            card.client.set_config(0x10 + 4 * bar, 4, 0xffffffff)
            assert card.client.config(0x10 + 4 * bar, 4) & ~0xf & 0xffff == -size & 0xffff
        # Each needs its own space to be on.
        for command, seen in (1, (True, False)), (2, (False, True)), (3, (True, True)):
            card.client.set_config(4, 2, command)
            assert [card.reg(TCR, bar=bar) != 0xffffffff for bar in (0, 2)] == list(seen)
        card.client.reset()
        assert card.client.config(4, 2) == 3
    assert process.stop() == 0


def test_registers(sim, run):
    with Card(sim.path) as card:
        mac = bytes.fromhex(MAC.replace(":", ""))
        for bar in 0, 2:
            assert bytes(card.reg(IDR + n, 1, bar) for n in range(6)) == mac
        assert [card.reg(IDR + n, 2) for n in (0, 2, 4)] == list(struct.unpack("<3H", mac))
        # The address: locked, and then by four bytes alone.
        card.set(IDR, 0x44332206)
        assert card.reg(IDR, 1) == 0x02
        card.set(CR9346, UNLOCK, 1)
        card.set(IDR, 0x06, 1)
        assert card.reg(IDR, 1) == 0x02
        card.set(IDR, 0x44332206)
        card.set(IDR + 4, 0x77776655)
        assert card.client.region_read(2, IDR, 8) == bytes.fromhex("0622334455660000"), "two bytes are no register"
        # A byte of a register, and two registers at once.
        card.set(IMR, 0x0025_c1ff)
        assert (card.reg(IMR, 2), card.reg(IMR, 1), card.reg(IMR + 1, 1)) == (0xc1ff, 0xff, 0xc1)
        card.set(IMR + 1, 0, 1)
        assert card.reg(IMR, 2) == 0xff
        card.set(CONFIG3, 0x4, 1)
        card.set(CR9346, 0, 1)
        card.set(CONFIG3, 0, 1)
        assert card.reg(CONFIG3, 1) == 0x4
        # A reset leaves the address and the configuration; loading brings the address back.
        card.set(CR, RST | RE, 1)
        assert (card.reg(CR, 1), card.reg(IMR, 2), card.reg(CONFIG3, 1), card.reg(IDR, 1)) == (0x01, 0, 0x4, 0x06)
        card.set(CR9346, 0x40, 1)
        assert (card.reg(CR9346, 1), card.reg(IDR, 1)) == (0, 0x02)
        # Which chip it is cannot be written; nothing is behind the last register.
        card.set(TCR, 0xffffffff)
        assert card.reg(TCR) == 0x28b00000 | 0x030f0700
        card.set(0xffc, 0x12345678)
        assert card.reg(0xffc) == 0
        # The rings: multiples of 256.
        card.set(RDSAR, 0x12345678)
        assert card.reg(RDSAR) == 0x12345600


def test_registers_behind_registers(sim):
    with Card(sim.path) as card:
        card.set(CSIAR, 0xf000)
        assert (card.reg(CSIAR), card.reg(CSIDR)) == (FLAG | 0xf000, 0x816810ec)
        card.set(CSIDR, 0x55)
        card.set(CSIAR, FLAG | 0x1000 | 0x3c)         # one byte: the interrupt line's number
        assert (card.reg(CSIAR), card.client.config(0x3c, 2)) == (0x103c, 0x155)
        for value, mask, now in (0x11223344, 0xf, 0x11223344), (0xaabbccdd, 0x5, 0x11bb33dd):
            card.set(ERIDR, value)
            card.set(ERIAR, FLAG | mask << 12 | 0xe8)
            assert card.reg(ERIAR) == mask << 12 | 0xe8
            card.set(ERIAR, 0xf0e8)
            assert (card.reg(ERIAR), card.reg(ERIDR)) == (FLAG | 0xf0e8, now)
        card.set(EPHYAR, FLAG | 3 << 16 | 0x1234)
        assert card.reg(EPHYAR) == 0x31234
        card.set(EPHYAR, 3 << 16)
        assert card.reg(EPHYAR) == FLAG | 0x31234
        card.set(OCPDR, 1)
        card.set(OCPAR, 0xf0b8)
        assert (card.reg(OCPAR), card.reg(OCPDR)) == (FLAG | 0xf0b8, 0)


def test_the_phy(sim, run):
    with Card(sim.path) as card:
        assert (card.phy(2), card.phy(3)) == (0x001c, 0xc912)
        assert card.phy(1) & 0x24 == 0x20 and card.phy(1) & 0x24 == 0x24  # a link that fell, once
        card.phy(2, 0x5555)
        assert card.phy(2) == 0x001c
        card.phy(31, 2)                               # another page
        card.phy(2, 0x5555)
        assert card.phy(2) == 0x5555
        card.phy(31, 0)
        assert card.phy(2) == 0x001c
        # Powered down it has no link, and says so.
        card.set(ISR, 0xffff, 2)
        assert card.reg(PHYSTATUS, 1) == 0x13
        card.phy(0, 0x1940)
        assert (card.reg(PHYSTATUS, 1), card.reg(ISR, 2)) == (0, LINK)
        card.set(ISR, LINK, 2)
        card.phy(0, 0x1140)
        assert (card.reg(PHYSTATUS, 1), card.reg(ISR, 2)) == (0x13, LINK)
        card.set(ISR, LINK, 2)
        ctl(run, "link", "down")
        assert (card.reg(PHYSTATUS, 1), card.reg(ISR, 2), counter(run, "link")) == (0, LINK, 0)
        ctl(run, "link", "up")
        assert (card.reg(PHYSTATUS, 1), counter(run, "link")) == (0x13, 1)


@pytest.mark.parametrize("words", [["link", "sideways"], ["module", "sr"]])
def test_commands_that_are_not_for_it(sim, run, words):
    done, said = ask(run.dir / "control", "", *words)
    assert (done, "rtl8168" in said or "up or down" in said) == (False, True)


def test_frames(sim):
    with Card(sim.path) as card:
        card.start()
        # Round the rings three times; padding to 60 bytes, and the real CRC.
        for n in range(3 * ROWS):
            frame = FRAME[:14 + 2 * n]
            card.send(frame)
            padded = frame + bytes(max(0, 60 - len(frame)))
            status, more, data = card.received()
            assert (status, more) == (FS | LS | 1 << 26 | len(padded) + 4, 0)
            assert data == padded + struct.pack("<I", zlib.crc32(padded))
        # What it wrote back: OWN is away, the rest as it was.
        at = card.post(FRAME)
        wait_for(lambda: not card.owned(at), "it is sent")
        assert struct.unpack("<I", card.memory[at:at + 4])[0] == FS | LS | len(FRAME)
        card.received()
        # A chain of three, of which the middle one is empty.
        card.memory[FRAMES:FRAMES + len(FRAME)] = FRAME
        card.put(IOVA + FRAMES, 50 | FS)
        card.put(IOVA + FRAMES, 0)
        card.set(TPPOLL, NPQ, 1)
        card.settle()                                 # not sent: its end is not there yet
        assert card.owned(RX + 16 * (card.got % ROWS))
        at = card.put(IOVA + FRAMES + 50, len(FRAME) - 50 | LS)
        card.set(TPPOLL, NPQ, 1)
        assert card.received()[2][:-4] == FRAME
        assert not card.owned(at - 16) and not card.owned(at - 32)
        wait_for(lambda: not card.reg(TPPOLL, 1), "the poll is over")


def test_the_ring_of_high_priority(sim):
    with Card(sim.path) as card:
        card.start()
        card.set(CR, RE, 1)                           # both wait until it sends
        card.post(FRAME + b"normal")
        card.post(FRAME + b"high", ring=HIGH)
        assert card.reg(TPPOLL, 1) == HPQ | NPQ
        card.set(CR, RE | TE, 1)
        assert [card.received()[2][len(FRAME):-4] for _ in range(2)] == [b"high", b"normal"]


def test_frames_over_several_buffers(sim):
    with Card(sim.path) as card:
        card.start(buffer=64)
        card.send(FRAME + bytes(50))                  # 164 + 4 in buffers of 64
        wait_for(lambda: not card.owned(RX + 32), "the third descriptor")
        assert [struct.unpack("<I", card.memory[RX + 16 * n:RX + 16 * n + 4])[0] for n in range(3)] == \
            [FS | 64, 64, LS | 1 << 26 | 168]
        joined = b"".join(card.memory[BUFFERS + BUFFER * n:BUFFERS + BUFFER * n + 64] for n in range(3))
        assert joined[:164] == FRAME + bytes(50)


def test_short_frames(run):
    """Zeros make them 60 bytes, behind a tag too; what longer frames left there does not go out."""
    wrpcap(str(run.dir / "in.pcap"), [Ether(FRAME)])
    process = serve(run, wire=f"pcap:{run.dir}/in.pcap,{run.dir}/out.pcap")
    with Card(process.path) as card:
        card.start()
        for tag in 0, 1 << 17 | 0x4523:
            for length in len(FRAME), 20, 59, 60:
                card.send(FRAME[:length], options2=tag)
    assert process.stop() == 0
    tagged = FRAME[:12] + bytes.fromhex("81002345") + FRAME[12:]
    assert [bytes(p) for p in rdpcap(str(run.dir / "out.pcap"))] == [
        FRAME, FRAME[:20] + bytes(40), FRAME[:59] + bytes(1), FRAME[:60],
        tagged, tagged[:24] + bytes(36), tagged[:63], tagged[:64]]


def hashed(address):
    """Where an address's bit is: a byte of MAR, and the bit in it."""
    crc = int(f"{zlib.crc32(bytes.fromhex(address.replace(':', ''))) ^ 0xffffffff:032b}"[::-1], 2) >> 26
    return 7 - (crc >> 3), crc & 7


def test_filters(sim):
    group, other = "01:00:5e:00:00:01", "01:00:5e:7f:00:09"
    assert hashed(group) != hashed(other)
    destinations = {"mine": MAC, "other": "02:00:00:00:00:99", "all": "ff:ff:ff:ff:ff:ff", "group": group, "group2": other}
    with Card(sim.path) as card:
        byte, bit = hashed(group)
        table = bytearray(8)
        table[byte] = 1 << bit
        for rcr, passes in ((APM, {"mine"}), (AB, {"all"}), (AAP, {"mine", "other"}), (AM, {"group"}),
                            (APM | AB | AM, {"mine", "all", "group"}), (AAP | AB | AM, {"mine", "other", "all", "group"})):
            card.start(rcr)
            card.counters(1)                          # from 0 on
            card.set(MAR, int.from_bytes(table[:4], "little"))
            card.set(MAR + 4, int.from_bytes(table[4:], "little"))
            for address in destinations.values():
                card.send(bytes.fromhex(address.replace(":", "")) + FRAME[6:])
            got = {}
            for _ in passes:
                status, _, data = card.received()
                got[data[:6].hex(":")] = status >> 25 & 7
            assert got == {destinations[name]: {"mine": 2, "other": 0, "all": 1}.get(name, 4) for name in passes}
            assert card.owned(RX + 16 * card.got)
            counters = card.counters()
            assert (counters["rx_ok"], counters["tx_ok"]) == (len(passes), len(destinations))
            assert [counters[f"rx_{kind}cast"] for kind in ("uni", "broad", "multi")] == [
                "mine" in passes, "all" in passes, "group" in passes]


@pytest.mark.parametrize("device, config4, most", [("rtl8168", 1, 9212), ("rtl8168c", 2, 6140)])
def test_jumbo_frames(run, device, config4, most):
    process = serve(run, device)
    with Card(process.path) as card:
        def longest(size):
            """Whether it is sent, and is received."""
            card.set(ISR, 0xffff, 2)
            card.send(FRAME[:14] + bytes(n & 0xff for n in range(size - 14)))
            if card.reg(ISR, 2) & TER:
                return False
            n = -(-(size + 4) // BUFFER)
            wait_for(lambda: not card.owned(RX + 16 * ((card.got + n - 1) % ROWS)), "the frame")
            for _ in range(n):
                status = card.received()[0]
            assert status & 0x3fff == size + 4 and status & LS
            return True
        card.start()
        assert longest(1518) and not longest(1519)
        card.set(CR9346, UNLOCK, 1)
        card.set(CONFIG3, 4, 1)
        assert not longest(1519)                      # both bits are needed
        card.set(CONFIG4, config4, 1)
        assert longest(1519) and longest(most) and not longest(most + 1)
        # RMS counts the CRC. What is too long is dropped and counted, or stored as what it is.
        card.set(RMS, 1000, 2)
        assert longest(996)
        before = card.counters()["rx_errors"]
        card.send(FRAME[:14] + bytes(997 - 14))
        assert card.counters()["rx_errors"] == before + 1
        card.set(RCR, APM | AER)
        card.set(ISR, 0xffff, 2)
        card.send(FRAME[:14] + bytes(997 - 14))
        assert card.received()[0] & 0x00700000 == 0x00600000  # RWT, RES
        assert card.reg(ISR, 2) & (ROK | RER) == RER
    assert process.stop() == 0


def test_messages(sim, event):
    with Card(sim.path) as card:
        card.client.set_irqs(MSIX, DATA_EVENTFD | TRIGGER, 0, 1, fds=[event.fd])
        card.start()
        card.set(IMR, ROK | SW, 2)
        card.set(TPPOLL, FSWINT, 1)
        assert event.wait() == 1
        assert card.reg(ISR, 2) & SW
        card.set(TPPOLL, FSWINT, 1)                   # it is set already: nothing new
        card.settle()
        assert not event.wait(0)
        card.set(ISR, SW, 2)
        card.set(TPPOLL, FSWINT, 1)
        assert event.wait() == 1
        # Masked it waits, and comes when it is unmasked; once.
        card.set(ISR, 0xffff, 2)
        card.set(IMR, 0, 2)
        card.send(FRAME)
        card.received()
        card.settle()
        assert not event.wait(0)
        card.set(IMR, ROK, 2)
        assert event.wait() == 1
        card.set(IMR, ROK, 2)
        card.settle()
        assert not event.wait(0)
        assert card.reg(ISR, 2) & (ROK | TOK | TDU) == ROK | TOK | TDU
        # The same byte by byte: TDU is the highest bit of the lower one.
        card.set(ISR, TDU, 1)
        assert card.reg(ISR, 2) & (ROK | TOK | TDU) == ROK | TOK


def test_the_line(sim, event):
    with Card(sim.path) as card:
        card.client.set_irqs(INTX, DATA_EVENTFD | TRIGGER, 0, 1, fds=[event.fd])
        card.start()
        card.set(IMR, SW, 2)
        card.set(TPPOLL, FSWINT, 1)
        assert event.wait() == 1
        assert card.client.config(6, 1) & 8           # INTx is asserted
        card.client.set_irqs(INTX, DATA_NONE | UNMASK, 0, 1)
        assert event.wait() == 1                      # still
        card.set(ISR, SW, 2)
        assert not card.client.config(6, 1) & 8
        card.client.set_irqs(INTX, DATA_NONE | UNMASK, 0, 1)
        card.settle()
        assert not event.wait(0)
        card.set(TPPOLL, FSWINT, 1)
        assert event.wait() == 1
        card.set(IMR, 0, 2)
        assert not card.client.config(6, 1) & 8


def test_counters(sim):
    with Card(sim.path) as card:
        card.start()
        for _ in range(3):
            card.send(FRAME)
            card.received()
        assert {name: value for name, value in card.counters().items() if value} == {"tx_ok": 3, "rx_ok": 3, "rx_unicast": 3}
        card.start()                                  # a reset leaves them
        assert card.counters()["tx_ok"] == 3
        card.counters(1)
        assert not any(card.counters().values())
        card.set(ISR, 0xffff, 2)
        card.set(DTCCR + 4, 0x7fff)                   # where no memory is
        card.set(DTCCR, 8)
        assert (card.reg(DTCCR), card.reg(ISR, 2)) == (0, SYSERR)


def test_no_descriptor(sim):
    """64 KiB of FIFO; descriptors that are given back are found without a word. The MAC's own loop does not wait."""
    with Card(sim.path) as card:
        card.set(TCR, 3 << 17)
        card.start()
        frames = [FRAME[:14] + bytes([n]) * 1400 for n in range(64)]
        for n, frame in enumerate(frames):
            card.send(frame)
            if n == ROWS - 1:
                card.set(ISR, 0xffff, 2)
        assert card.reg(ISR, 2) & (RDU | FOVW | ROK) == RDU | FOVW
        assert not card.reg(CR, 1) & 1                # the FIFO is not empty
        kept = 65536 // (1414 + 8)
        missed = card.counters()["rx_missed"]
        assert missed == card.counters()["rx_errors"] == len(frames) - ROWS - kept
        assert [card.received()[2][:-4] for _ in range(ROWS + kept)] == frames[:ROWS + kept]
        assert card.reg(CR, 1) & 1
        assert card.counters()["rx_ok"] == ROWS + kept


@pytest.mark.parametrize("args", [("--pace",), ()])
def test_what_is_sent_waits_for_the_link(run, args):
    """15 frames of 1,514 bytes take 184 us of 1 Gbit/s, of which 100 fit in front of the link; and a card no time."""
    process = serve(run, wire="sink", options=args)
    with Card(process.path) as card:
        card.start()

        def waited():
            card.memory[FRAMES:FRAMES + 14] = FRAME[:14]
            at = [card.put(IOVA + FRAMES, 1514 | FS | LS) for _ in range(ROWS - 1)]
            card.set(TPPOLL, NPQ, 1)
            wait_for(lambda: not any(card.owned(place) for place in at), "all are sent")
            return counter(run, "paced")

        assert counter(run, "paced") == 0
        if args:  # a card that is not run for a moment finds the link idle again
            wait_for(waited, "a wait for the link")
        else:
            assert [waited() for _ in range(5)] == [0] * 5
    assert process.stop() == 0


def test_a_wire_that_can_wait_does(run):
    """A file is played when the card listens, and goes on as descriptors come back."""
    frames = [FRAME[:14] + n.to_bytes(2, "big") + bytes(1200) for n in range(200)]
    # In front of them one that is longer than a descriptor can say: lost, whatever is accepted.
    wrpcap(str(run.dir / "in.pcap"), [Ether(frame) for frame in (FRAME[:14] + bytes(16384 - 14), *frames)])
    process = serve(run, wire=f"pcap:{run.dir}/in.pcap")
    with Card(process.path) as card:
        card.start(rcr=APM | AER)
        assert [card.received()[2][:-4] for _ in frames] == frames
        assert card.counters()["rx_missed"] == 0
    assert process.stop() == 0
