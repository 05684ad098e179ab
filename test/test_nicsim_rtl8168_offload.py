# SPDX-License-Identifier: BSD-3-Clause
"""What nicsim's RTL8168 does to frames for its driver: tags, checksums, segments."""
import struct
import zlib

import pytest
from scapy.all import IP, TCP, UDP, Dot1Q, Ether, IPv6, Raw

from rtl8168 import *

PACKET = Ether(dst=MAC, src="02:00:00:00:00:02") / IP(src="10.0.0.1", dst="10.0.0.2", id=77)
PACKET6 = Ether(dst=MAC, src="02:00:00:00:00:02") / IPv6(src="fd00::1", dst="fd00::2")


@pytest.fixture
def sim(run):
    process = serve(run)
    yield process
    assert process.stop() == 0


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
