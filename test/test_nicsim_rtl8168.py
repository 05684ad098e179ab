# SPDX-License-Identifier: BSD-3-Clause
"""nicsim's RTL8168 by its registers and descriptors: what Linux's r8169, its judge (test_judge_rtl8168.py), does not use, and
a driver that means harm. Offsets are the RTL8169 datasheet's; what is sent comes back by a loop."""
import re
import struct
import zlib

import pytest
from scapy.all import IP, TCP, UDP, Dot1Q, Ether, IPv6, Raw, wrpcap

from lab import program, wait_for
from rtl8168 import *
from stack import ask
from vfio_user import DATA_EVENTFD, DATA_NONE, INTX, MSIX, TRIGGER, UNMASK, Event

CSIDR, CSIAR, ERIDR, ERIAR, EPHYAR, OCPDR, OCPAR = 0x64, 0x68, 0x70, 0x74, 0x80, 0xb0, 0xb4
FLAG = 1 << 31
PACKET = Ether(dst=MAC, src="02:00:00:00:00:02") / IP(src="10.0.0.1", dst="10.0.0.2", id=77)
PACKET6 = Ether(dst=MAC, src="02:00:00:00:00:02") / IPv6(src="fd00::1", dst="fd00::2")


def serve(run, device="rtl8168", wire="loop", options=()):
    process = run.start("nicsim", "--control", run.dir / "control", *options, "--device", device, "--socket", run.dir / "card",
                        "--wire", wire, "--mac", MAC)
    process.expect(f"^nicsim: {device} ")
    process.path = run.dir / "card"
    return process


def ctl(run, *words):
    done, said = ask(run.dir / "control", "", *words)
    assert done, said
    return said


def counter(run, name):
    return int(dict(line.split() for line in ctl(run, "counters").splitlines())[name], 0)


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


def test_vlans(sim):
    tagged = FRAME[:12] + bytes.fromhex("81002345") + FRAME[12:]
    with Card(sim.path) as card:
        card.start(cpcr=VLAN)
        card.send(FRAME, options2=1 << 17 | 0x4523)   # its bytes as on the wire
        status, more, data = card.received()
        assert (status & 0x3fff, more) == (len(FRAME) + 4, 1 << 16 | 0x4523)
        assert data == FRAME + struct.pack("<I", zlib.crc32(tagged))
        card.set(CPCR, 0, 2)                          # now tags stay
        card.send(FRAME, options2=1 << 17 | 0x4523)
        status, more, data = card.received()
        assert (data[:-4], more) == (tagged, 0)


def wrong(packet):
    """The same with zeros or nonsense where checksums are, which the card is to compute."""
    data = bytearray(bytes(packet))
    ip = 18 if data[12:14] == b"\x81\x00" else 14
    ipv4 = data[ip] >> 4 == 4
    l4 = ip + (20 if ipv4 else 40)
    if ipv4:
        data[ip + 10:ip + 12] = b"\x12\x34"
    at = l4 + (16 if TCP in packet else 6)
    data[at:at + 2] = b"\xab\xcd"
    return bytes(data), l4


UDP_CS, TCP_CS, IPV4_CS, IPV6_CS = 1 << 31, 1 << 30, 1 << 29, 1 << 28
PROTOCOLS = {"tcp": (TCP(sport=1, dport=2, seq=5) / Raw(b"odd bytes"), TCP_CS, 1 << 17), "udp": (UDP(sport=3, dport=4) / Raw(b"even"), UDP_CS, 2 << 17)}


@pytest.mark.parametrize("base, ask_for, is_ip", [(PACKET, IPV4_CS, 1 << 30), (PACKET6, IPV6_CS, 1 << 31),
                                                  (Ether(dst=MAC, src="02:00:00:00:00:02") / Dot1Q(vlan=5) / PACKET[IP], IPV4_CS, 1 << 30)],
                         ids=["ipv4", "ipv6", "tagged"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_checksums(sim, base, ask_for, is_ip, protocol):
    payload, flag, found = PROTOCOLS[protocol]
    packet = base / payload
    right = bytes(Ether(bytes(packet)))
    sent, l4 = wrong(Ether(right))
    padded = right + bytes(max(0, 60 - len(right)))
    fails = 1 << 14 if protocol == "tcp" else 1 << 15
    with Card(sim.path) as card:
        card.start(cpcr=CHECKSUM)
        card.send(sent, options2=ask_for | flag | l4 << 18)
        status, more, data = card.received()
        assert data[:-4] == padded
        assert (status & 0x7c000, more) == (found, is_ip)
        # As it was: what is wrong is said.
        card.send(sent)
        status, more, data = card.received()
        assert data[:len(sent)] == sent
        assert status & 0x7c000 == found | fails | (1 << 16 if ask_for == IPV4_CS else 0)
        # A request that does not fit its frame changes nothing.
        card.send(sent, options2=ask_for | flag | 1000 << 18)
        assert card.received()[2][l4:len(sent)] == sent[l4:]
        # Nor does one for a packet that is cut off: of IPv4, the header's own sum is not of that.
        cut = bytearray(sent)
        cut[l4 - (4 if IPv6 in packet else 20) + (-36 + 4 if IPv6 in packet else 2)] = 0x7f
        card.send(bytes(cut), options2=ask_for | flag | l4 << 18)
        assert card.received()[2][l4:len(sent)] == sent[l4:]
        card.set(CPCR, 0, 2)
        card.send(sent)
        assert card.received()[:2] == (FS | LS | 1 << 26 | len(padded) + 4, 0)


def test_udp_without_a_sum_is_not_sent(sim):
    """A sum of 0 goes out as its complement."""
    packet = PACKET / UDP(sport=3, dport=4) / Raw(bytes(2))
    total = 0xffff - Ether(bytes(packet))[UDP].chksum
    packet = PACKET / UDP(sport=3, dport=4) / Raw((0xffff - total).to_bytes(2, "big"))
    sent, l4 = wrong(Ether(bytes(packet)))
    with Card(sim.path) as card:
        card.start()
        card.send(sent, options2=IPV4_CS | UDP_CS | l4 << 18)
        assert card.received()[2][l4 + 6:l4 + 8] == b"\xff\xff"


@pytest.mark.parametrize("base, flag", [(PACKET, 1 << 26), (PACKET6, 1 << 25)], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("tag", [0, 1 << 17 | 0x0500])
def test_segments(sim, base, flag, tag):
    data = bytes(n & 0xff for n in range(5000))
    sent, l4 = wrong(Ether(bytes(base / TCP(sport=1, dport=2, seq=1000, flags="FPA") / Raw(data))))
    with Card(sim.path) as card:
        card.start(cpcr=CHECKSUM | VLAN)
        before = card.counters()["tx_ok"]
        card.send(sent, options1=flag | l4 << 18, options2=tag | 1400 << 18)
        got = b""
        for n in range(4):
            status, more, frame = card.received()
            packet = Ether(frame[:-4])
            assert status & 0x7c000 == 1 << 17            # TCP, with right sums
            assert more & 0x1ffff == (1 << 16 | tag & 0xffff if tag else 0)
            assert packet[TCP].seq == 1000 + len(got)
            assert str(packet[TCP].flags) == ("FPA" if n == 3 else "A")
            if IP in packet:
                assert packet[IP].id == 77 + n
            got += bytes(packet[TCP].payload)
        assert got == data
        assert card.counters()["tx_ok"] == before + 4
        # Requests that do not fit: not sent, done, and counted.
        card.set(ISR, 0xffff, 2)
        for options1, options2 in (flag | l4 << 18, 0), (flag | 127 << 18, 1400 << 18), (flag | l4 << 18, 2000 << 18), \
                (flag ^ 3 << 25 | l4 << 18, 1400 << 18):
            card.send(sent, options1, options2)
        assert card.reg(ISR, 2) & (TER | TOK) == TER
        assert {name: value for name, value in card.counters().items() if name.startswith("tx") and value} == {
            "tx_ok": before + 4, "tx_errors": 4, "tx_aborted": 4}


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


def test_a_ring_that_is_set_while_the_link_is_busy(run):
    """What was fetched from the old one is forgotten."""
    process = serve(run, wire="sink", options=["--pace"])
    with Card(process.path) as card:
        card.set(CR9346, UNLOCK, 1)
        card.set(CONFIG3, 4, 1)
        card.set(CONFIG4, 1, 1)
        for _ in range(20):
            card.start()
            card.memory[FRAMES:FRAMES + 14] = FRAME[:14]
            for _ in range(ROWS - 1):                 # of which the link is busy for a millisecond
                card.put(IOVA + FRAMES, 9000 | FS | LS)
            card.set(TPPOLL, NPQ, 1)
            for base in TNPDS, THPDS:
                card.set(base, IOVA + HIGH)
            card.set(TPPOLL, NPQ | HPQ, 1)
        card.start()
        card.send(FRAME)
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


OUTSIDE = 0x7fff00000000


def test_a_driver_that_means_harm(sim, run):
    with Card(sim.path) as card:
        # Rings where no memory is, and at its end.
        for base in RDSAR, TNPDS, THPDS:
            for address in OUTSIDE, IOVA + SIZE - 256, IOVA + SIZE, 0xffffffffffffff00:
                card.start()
                card.set(ISR, 0xffff, 2)
                card.set(base + 4, address >> 32)
                card.set(base, address & 0xffffffff)
                card.send(FRAME) if base == RDSAR else card.set(TPPOLL, HPQ | NPQ, 1)
                card.settle()
                if address != IOVA + SIZE - 256:
                    assert card.reg(ISR, 2) & SYSERR
                card.alive()
        refused = counter(run, "refused")
        assert refused > 0
        # Buffers where no memory is: the frame is lost, its descriptor comes back.
        card.start()
        card.give(0, address=OUTSIDE)
        card.set(ISR, 0xffff, 2)
        card.send(FRAME)
        card.send(FRAME + b"next")
        assert card.received()[:2] == (FS | LS | 1 << 21, 0)
        assert card.received()[2][len(FRAME):-4] == b"next"
        assert card.reg(ISR, 2) & SYSERR and counter(run, "refused") == refused + 1
        card.put(OUTSIDE, 100 | FS | LS)
        card.send(FRAME + b"more")
        assert card.received()[2][len(FRAME):-4] == b"more"
        assert card.counters()["tx_errors"] == 1
        # Buffers of no bytes, and a ring that has less room than a frame needs.
        for buffer in 0, 4:
            card.start(buffer=buffer)
            card.send(FRAME)
            card.alive()
        # Rings without an end, chains without an end, chains that are longer than a request can be.
        card.start()
        card.memory[RX + 16 * (ROWS - 1):RX + 16 * ROWS] = struct.pack("<IIQ", OWN | BUFFER, 0, IOVA + BUFFERS)
        for _ in range(ROWS + 1):
            card.send(FRAME)
        card.alive()
        for words in (100, 0), (100 | FS, 0), (0xffff | FS, 0), (0xffff | FS | 1 << 26, 0xffffffff):
            card.start()
            for _ in range(ROWS):
                card.put(IOVA, *words)
            card.set(TPPOLL, NPQ, 1)
            wait_for(lambda: not card.owned(TX), "the chain is given back")
            card.alive()
        card.start()
        table = b"".join(struct.pack("<IIQ", OWN | 1, 0, IOVA) for _ in range(1030))
        card.memory[FRAMES:FRAMES + len(table)] = table
        card.set(TNPDS, IOVA + FRAMES)
        card.set(TPPOLL, NPQ, 1)
        wait_for(lambda: not card.owned(FRAMES + 16 * 1023), "the chain of 1,024 is given back")
        assert card.owned(FRAMES + 16 * 1024)
        card.put(IOVA + FRAMES, 100 | FS | LS)        # then it is at the first again
        card.memory[FRAMES:FRAMES + 16] = card.memory[TX:TX + 16]
        card.set(TPPOLL, NPQ, 1)
        wait_for(lambda: not card.owned(FRAMES), "the first one again")
        card.alive()
        # An end that was moved to where the card has been already.
        for base, ring in (TNPDS, TX), (RDSAR, RX):
            card.start()
            for _ in range(6):
                card.send(FRAME)
                card.received()
            for n in range(1024):
                card.memory[ring + 16 * n:ring + 16 * n + 16] = struct.pack(
                    "<IIQ", OWN | (EOR if n == 2 else 0) | (1 if base == TNPDS else 0), 0, IOVA)
            if base == TNPDS:
                card.set(TPPOLL, NPQ, 1)
                wait_for(lambda: not card.owned(TX + 16 * 1023), "the chain is given back")
            else:
                card.memory[HIGH + 0x8000:HIGH + 0x8010] = struct.pack("<IIQ", OWN | EOR | FS | LS | len(FRAME), 0, IOVA + FRAMES)
                card.set(THPDS, IOVA + HIGH + 0x8000)
                card.set(TPPOLL, HPQ, 1)
                card.settle()
            card.alive()
        # Frames that cannot be.
        card.counters(1)
        for n, (length, tag) in enumerate(((0, 0), (1, 1 << 17), (11, 1 << 17), (13, 0), (1519, 0), (1515, 1 << 17), (0xffff, 0)), 1):
            card.start()
            card.put(IOVA, length | FS | LS, tag)
            card.set(TPPOLL, NPQ, 1)
            wait_for(lambda: not card.owned(TX), "it is given back")
            assert card.counters()["tx_errors"] == n
        card.alive()
        # Not a master: nothing is read or written.
        card.start()
        card.client.set_config(4, 2, 3)
        at = card.post(FRAME)
        card.settle()
        assert card.owned(at)
        card.client.set_config(4, 2, 7)
        wait_for(lambda: not card.owned(at), "now it is sent")


def test_strict(run):
    process = serve(run, options=["--strict"])
    with Card(process.path) as card:
        card.set(IDR, 0)
        card.set(MAR, 0, 2)
        card.set(CONFIG3, 1, 1)
        card.set(PHYSTATUS, 1, 1)
        card.set(TNPDS, 0x1010)
        card.reg(0x18)
        card.set(0x200, 7)
        for rows, buffer in ([(1519 | FS | LS,)], 64), ([(100 | LS, )], 64), ([(0xffff | FS,), (0xffff | LS,)], 64), \
                ([(100 | FS | LS, 1 << 29)], 64), ([(100 | FS | LS | 1 << 26,)], 64), ([(100 | FS,)] * ROWS, 64), ([(100 | FS | LS,)], 0), \
                ([(100 | FS | LS,)], 6):
            card.start(buffer=buffer)
            card.memory[FRAMES:FRAMES + 14] = FRAME[:14]
            for row in rows:
                card.put(IOVA + FRAMES, *row)
            card.set(TPPOLL, NPQ, 1)
            wait_for(lambda: not card.owned(TX), "it is given back")
        for address, size in (BUFFERS + 4, BUFFER), (BUFFERS, 7), (BUFFERS, 8):
            card.start()
            card.give(0, size, IOVA + address)
            card.send(FRAME)
            wait_for(lambda: not card.owned(RX), "it is received")
    assert process.stop() == 0
    assert re.findall(r"strict: (.*)", process.text) == [
        "write of 0x0 to register 0x00, which is locked by 9346CR", "write of 2 bytes to register 0x08, which takes four",
        "write of 0x1 to register 0x54, which is locked by 9346CR", "write of 0x1 to read-only register 0x6c",
        "a ring at 0x1010, which is no multiple of 256", "read of unknown register 0x018",
        "write of 0x7 to unknown register 0x200", "a frame of 1519 bytes to be sent", "a transmit chain with FS not on its first",
        "a transmit request of more than 81920 bytes", "a checksum request that does not fit its frame",
        "a segmentation request that does not fit its frame", "a transmit chain without an end",
        *["a frame of 104 bytes is more than the whole ring holds"] * 2,
        *["a receive buffer of less than 8 bytes, or off a multiple of 8"] * 2]


@pytest.mark.parametrize("options, tcr", [((), 0x28b00000), (("--device", "rtl8168c"), 0x3c200000)])
def test_a_trace_is_played(run, options, tcr):
    """Accesses of each size; what depends on the wire is not compared (doc/recorder.md)."""
    read, write, bar2 = 1, 2, {4: 0x02, 2: 0x22, 1: 0x12}
    records = [(read, 4, IDR, 0x44332206), (read, 4, IDR + 4, 0x6655), (read, 4, TCR, tcr), (write, 1, CR, RST), (read, 1, CR, 0),
               (write, 2, IMR, 0x1234), (read, 2, IMR, 0x0034), (read, 1, IMR, 0x34), (read, 1, PHYSTATUS, 0), (read, 2, ISR, 0x20),
               (read, 1, IDR + 5, 0x67)]
    trace = struct.pack("<QII4Q4HIB3x32s32s128s", 0x6372547467696c46, 1, 24, 10**9, 0, 0, 0, 0x10ec, 0x8168, 0x10ec, 0x8168,
                        0x20000, 3, b"rtl8168", b"a test", b"nowhere")
    for n, (kind, size, offset, value) in enumerate(records, 1):
        trace += struct.pack("<QIIQ", n, offset, value, n | kind << 32 | bar2[size] << 40)
    (run.dir / "trace").write_bytes(trace)
    code, said = run.call(program("nicsim"), "replay", run.dir / "trace", *options)
    lines = said.splitlines()
    device = options[-1] if options else "rtl8168"
    # That the FIFO is empty is of the wire, and so are the link and what happened.
    assert lines == [
        f"record 10: BAR 2 0x00005: the card answered 0x00000067, {device} 0x00000066",
        f"{run.dir}/trace (10ec:8168, a test) on {device}: 9 reads, 7 compared, 2 writes; 1 differences"], said
    assert code == 1
    # An access of no size, or beside a register's boundary, is none of this card's.
    for size, offset in (0x32, 0), (0x02, 2), (0x22, 1), (0x02, 4096):
        (run.dir / "trace").write_bytes(trace[:256] + struct.pack("<QIIQ", 1, offset, 0, 1 | read << 32 | size << 40))
        code, said = run.call("nicsim", "replay", run.dir / "trace")
        assert (code, "no record of this card's kind" in said) == (2, True), said
