# SPDX-License-Identifier: BSD-3-Clause
"""What nicsim's descriptors say of a received frame: packet type, checksum status and errors, a fragment's
checksum. Bits are those of the 82599 datasheet (7.1.6.2, 7.1.11)."""
import struct

from scapy.all import (AH, ESP, GRE, ICMP, IP, LLC, SCTP, SNAP, TCP, UDP, Dot1Q, Dot3, Ether, IPv6, IPv6ExtHdrDestOpt,
                       IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, Padding, Raw)
from scapy.layers.inet6 import PadN
from scapy.layers.sctp import SCTPChunkData

from x540 import A, B, DD, IOVA, RDT, RX_EOP, RXCTRL, VLNCTRL, MPE, UPE, frame, one, pair, raw, send  # noqa: F401

RXCSUM, IPPCSE, PCSD, ETQF = 0x5000, 0x1000, 0x2000, 0x5128
# Packet types, above the RSS type; with L2 the number of an EtherType filter is in the lowest bits.
V4, V4_OPTIONS, V6, V6_EXT, T_TCP, T_UDP, T_SCTP, T_ESP, T_AH, L2 = (1 << n for n in (0, 1, 2, 3, 4, 5, 6, 8, 9, 11))
# Status, and errors above it.
VP, UDPCS, L4CS, IPCS, PIF, UDPV = 8, 0x10, 0x20, 0x40, 0x80, 0x400
L4E, IPE = 1 << 30, 1 << 31

ETHER = Ether(dst=A, src=B)
IP4 = IP(src="10.0.0.2", dst="10.0.0.1")
IP6 = IPv6(src="fd00::2", dst="fd00::1")
DATA = Raw(bytes(n * 5 & 0xff for n in range(101)))
U, T, S = UDP(sport=1, dport=2) / DATA, TCP(sport=1, dport=2) / DATA, SCTP(sport=1, dport=2) / SCTPChunkData(data=bytes(101))
# A UDP packet whose sum is zero, which goes out as all ones.
FFFF = UDP(sport=1, dport=2) / Raw(bytes.fromhex("e1d1"))
HOP, DEST = IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4))]), IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))])


def far(size, **how):
    """An extension header of so many bytes."""
    return IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(size - 4))], **how)


def cut(packet, size):
    return bytes(packet)[:size]


def changed(packet, at, *new):
    data = bytearray(bytes(packet))
    data[at:at + len(new)] = new
    return bytes(data)


UDP_OK, TCP_OK = UDPCS | L4CS, L4CS
# What it is, packet type, status. Checksums are scapy's.
TABLE = [
    ("nothing that is known", frame(80), 0, 0),
    ("to a group", Ether(dst="01:00:5e:00:00:01", src=B) / IP4 / U, V4 | T_UDP, PIF | IPCS | UDP_OK),
    ("to all", Ether(dst="ff:ff:ff:ff:ff:ff", src=B, type=0x88b5) / DATA, 0, PIF),
    ("IPv4 TCP", ETHER / IP4 / T, V4 | T_TCP, IPCS | TCP_OK),
    ("IPv4 TCP, empty, padded", ETHER / IP4 / TCP() / Padding(b"\x55" * 6), V4 | T_TCP, IPCS | TCP_OK),
    ("IPv4 TCP with options", ETHER / IP4 / TCP(options=[("MSS", 1460)]) / DATA, V4 | T_TCP, IPCS | TCP_OK),
    ("IPv4 UDP", ETHER / IP4 / U, V4 | T_UDP, IPCS | UDP_OK),
    ("IPv4 UDP, checksum 0xffff", ETHER / IP4 / FFFF, V4 | T_UDP, IPCS | UDP_OK),
    ("IPv4 UDP without a checksum", ETHER / IP4 / UDP(sport=1, dport=2, chksum=0) / DATA, V4 | T_UDP, IPCS),
    ("IPv4 UDP, shorter than IP says", changed(ETHER / IP4 / UDP(len=9, sport=1) / b"x", 40, 0, 0), V4 | T_UDP, IPCS),
    ("IPv4 UDP, longer than IP says", ETHER / IP4 / UDP(len=200, sport=1) / DATA, V4 | T_UDP, IPCS),
    ("IPv4 UDP of no length", ETHER / IP4 / UDP(len=7, sport=1) / DATA, V4 | T_UDP, IPCS),
    ("IPv4 SCTP", ETHER / IP4 / S, V4 | T_SCTP, IPCS | L4CS),
    ("IPv4 ICMP", ETHER / IP4 / ICMP() / DATA, V4, IPCS),
    ("IPv4 GRE", ETHER / IP4 / GRE() / IP4 / T, V4, IPCS),
    ("IPv4 with options", ETHER / IP(src="10.0.0.2", dst="10.0.0.1", options=b"\x01" * 40) / T,
     V4 | V4_OPTIONS | T_TCP, IPCS | TCP_OK),
    ("IPv4 AH", ETHER / IP4 / AH() / T, V4 | T_AH, IPCS),
    ("IPv4 ESP", ETHER / IP4 / ESP(data=bytes(40)), V4 | T_ESP, IPCS),
    ("IPv4 in IPv4", ETHER / IP4 / IP4 / T, V4, IPCS),
    ("IPv6 in IPv4, TCP", ETHER / IP4 / IP6 / T, V4 | V6 | T_TCP, IPCS | TCP_OK),
    ("IPv6 in IPv4, extended, UDP", ETHER / IP4 / IP6 / HOP / U, V4 | V6 | V6_EXT | T_UDP, IPCS | UDP_OK),
    ("IPv6 in IPv4, longer than that", ETHER / IP(src="10.0.0.2", dst="10.0.0.1", len=160) / IP6 / T,
     V4 | V6 | T_TCP, IPCS),
    ("a piece of IPv6 in IPv4", ETHER / IP(src="10.0.0.2", dst="10.0.0.1", flags="MF", proto=41) / IP6 / U, V4, IPCS),
    ("IPv4 fragment, first", ETHER / IP(src="10.0.0.2", dst="10.0.0.1", flags="MF") / U, V4, IPCS),
    ("IPv4 fragment, last", ETHER / IP(src="10.0.0.2", dst="10.0.0.1", frag=1) / U, V4, IPCS),
    ("IPv4 whole, DF", ETHER / IP(src="10.0.0.2", dst="10.0.0.1", flags="DF") / T, V4 | T_TCP, IPCS | TCP_OK),
    ("IPv4, wrong", ETHER / IP(src="10.0.0.2", dst="10.0.0.1", chksum=1) / T, V4 | T_TCP, IPCS | IPE | TCP_OK),
    ("IPv4 ICMP, wrong", ETHER / IP(src="10.0.0.2", dst="10.0.0.1", chksum=1) / ICMP() / DATA, V4, IPCS | IPE),
    ("IPv4 TCP, wrong", ETHER / IP4 / TCP(chksum=1) / DATA, V4 | T_TCP, IPCS | TCP_OK | L4E),
    ("IPv4 UDP, wrong", ETHER / IP4 / UDP(chksum=1, sport=1) / DATA, V4 | T_UDP, IPCS | UDP_OK | L4E),
    ("IPv4 SCTP, wrong", ETHER / IP4 / SCTP(chksum=1) / SCTPChunkData(data=b"x"), V4 | T_SCTP, IPCS | L4CS | L4E),
    ("all wrong", ETHER / IP(chksum=1) / UDP(chksum=1) / DATA, V4 | T_UDP, IPCS | IPE | UDP_OK | L4E),
    ("IPv4, longer than the frame", ETHER / IP(src="10.0.0.2", dst="10.0.0.1", len=500) / T, V4 | T_TCP, IPCS),
    ("IPv4, shorter than its header", ETHER / IP(src="10.0.0.2", dst="10.0.0.1", len=19) / T, V4 | T_TCP, IPCS),
    ("IPv4 TCP, its header cut off by IP", ETHER / IP(src="10.0.0.2", dst="10.0.0.1", len=39) / T, V4 | T_TCP, IPCS),
    ("IPv4 TCP, cut off by the frame", cut(ETHER / IP(options=b"\x01" * 40) / T, 74 + 19), V4 | V4_OPTIONS, IPCS),
    ("IPv4, its header cut off", cut(ETHER / IP(options=b"\x01" * 40) / T, 73), 0, 0),
    ("IPv4 of version 5", changed(ETHER / IP4 / T, 14, 0x55), 0, 0),
    ("IPv4 with a header of 16 bytes", changed(ETHER / IP4 / T, 14, 0x44), 0, 0),
    ("IPv6 TCP", ETHER / IP6 / T, V6 | T_TCP, TCP_OK),
    ("IPv6 UDP", ETHER / IP6 / U, V6 | T_UDP, UDP_OK),
    ("IPv6 UDP without a checksum", ETHER / IP6 / UDP(sport=1, dport=2, chksum=0) / DATA, V6 | T_UDP, UDP_OK | L4E),
    ("IPv6 SCTP", ETHER / IP6 / S, V6 | T_SCTP, L4CS),
    ("IPv6 TCP, wrong", ETHER / IP6 / TCP(chksum=1) / DATA, V6 | T_TCP, TCP_OK | L4E),
    ("IPv6 UDP, wrong", ETHER / IP6 / UDP(chksum=1) / DATA, V6 | T_UDP, UDP_OK | L4E),
    ("IPv6 ICMP", ETHER / IPv6(nh=58) / DATA, V6, 0),
    ("IPv6, hop by hop", ETHER / IP6 / HOP / T, V6 | V6_EXT | T_TCP, TCP_OK),
    ("IPv6, three extensions", ETHER / IP6 / HOP / DEST / DEST / U, V6 | V6_EXT | T_UDP, UDP_OK),
    ("IPv6, an extension of 64 bytes", ETHER / IP6 / far(64) / T, V6 | V6_EXT | T_TCP, TCP_OK),
    ("IPv6, an extension of 72 bytes", ETHER / IP6 / far(72) / T, V6 | V6_EXT, 0),
    ("IPv6, routing, no address left", ETHER / IP6 / IPv6ExtHdrRouting(addresses=[]) / T, V6 | V6_EXT | T_TCP, TCP_OK),
    ("IPv6, routing", ETHER / IP6 / IPv6ExtHdrRouting(addresses=["fd00::3"]) / T, V6 | V6_EXT | T_TCP, 0),
    ("IPv6 fragment", ETHER / IP6 / IPv6ExtHdrFragment(m=1) / U, V6 | V6_EXT, 0),
    ("IPv6 ESP", ETHER / IP6 / ESP(data=bytes(40)), V6 | T_ESP, 0),
    ("IPv6, longer than the frame", changed(ETHER / IP6 / T, 18, 2), V6 | T_TCP, 0),
    ("IPv6, shorter than its extensions", changed(ETHER / IP6 / HOP / T, 18, 0, 7), V6 | V6_EXT | T_TCP, 0),
    ("IPv6, an extension cut off", cut(ETHER / IPv6(nh=60) / far(16, nh=6) / T, 54 + 15), V6 | V6_EXT, 0),
    ("IPv6, an extension with nothing behind", cut(ETHER / IPv6(nh=60, plen=16) / far(16), 54 + 16),
     V6 | V6_EXT, 0),
    ("IPv6 of version 4", changed(ETHER / IP6 / T, 14, 0x45), 0, 0),
    ("IPv4 in IPv6", ETHER / IP6 / IP4 / T, V6, 0),
    ("IPv6 in IPv6", ETHER / IPv6(nh=41) / IP6 / T, V6, 0),
    ("tagged IPv4 UDP", ETHER / Dot1Q(vlan=5) / IP4 / U, V4 | T_UDP, IPCS | UDP_OK),
    ("tagged IPv6 TCP", ETHER / Dot1Q(vlan=5) / IP6 / T, V6 | T_TCP, TCP_OK),
    ("two tags", ETHER / Dot1Q(vlan=5) / Dot1Q(vlan=6) / IP4 / U, 0, 0),
    ("SNAP", Dot3(dst=A, src=B) / LLC(dsap=0xaa, ssap=0xaa, ctrl=3) / SNAP() / IP4 / T, V4 | T_TCP, IPCS | TCP_OK),
    ("LLC", Dot3(dst=A, src=B) / LLC(dsap=0x42, ssap=0x42, ctrl=3) / DATA, 0, 0),
]


def words(card, n):
    """Packet type and RSS type, what stands beside, status and errors."""
    return struct.unpack("<III", card.memory[card.rx_ring + 16 * n:card.rx_ring + 16 * n + 12])


def receive(cards, frames, **how):
    """Sends them, and returns what all descriptors say."""
    a, b = cards
    a.rx(entries=len(frames) + 8 & ~7, fctrl=UPE | MPE, **how)
    for data in frames:
        send(b, data)
    for n, data in enumerate(frames):
        assert a.received(n)[:len(data)] == data
    return [words(a, n) for n in range(len(frames))]


def test_packet_types_and_checksum_status(pair):  # noqa: F811
    a, _ = pair
    a.set(RXCSUM, PCSD)
    got = receive(pair, [bytes(packet) for _, packet, _, _ in TABLE])
    for (what, _, types, status), (info, beside, said) in zip(TABLE, got, strict=True):
        assert (info >> 4, said & 0xfff00000, said & 0xfffff) == (
            types, status & 0xfff00000, status & 0xfffff | DD | RX_EOP), what
        assert (info & 15, beside) == (0, 0), what


def test_legacy_descriptors_say_the_same(pair):  # noqa: F811
    a, _ = pair
    a.set(RXCSUM, PCSD)
    receive(pair, [bytes(packet) for _, packet, _, _ in TABLE], advanced=False)
    for n, (what, _, _, status) in enumerate(TABLE):
        assert a.rx_descriptor(n)[1:3] == (status & 0xff | DD | RX_EOP, status >> 24), what


def test_each_bit_that_is_wrong_is_found(pair):  # noqa: F811
    """One bit at a time, in every byte behind the Ethernet header; what must come of it follows from where it is."""
    a, _ = pair
    a.set(RXCSUM, PCSD)
    v4, v6, sctp = (bytes(ETHER / ip / l4 / Raw(b"odd")) for ip, l4 in (
        (IP4, TCP(sport=1, dport=2)), (IP6, UDP(sport=1, dport=2)), (IP4, SCTP(sport=1, dport=2) / SCTPChunkData(data=b"x"))))
    cases = []
    for data, header, keep in (v4, 20, ()), (v6, 40, (0, 4, 5, 6)), (sctp, 20, ()):
        for at in range(14, len(data)):
            # Not: version and length of a header, where it ends, what it carries; UDP's length.
            where = at - 14
            if where in ((0, 2, 3, 6, 7, 9) if header == 20 else keep) or (header == 40 and where in (44, 45)):
                continue
            broken = changed(data, at, data[at] ^ 1 << at % 8)
            if header == 20 and where < 20:
                pseudo = where >= 12 and data is v4
                cases.append((broken, IPCS | IPE | L4CS | (L4E if pseudo else 0)))
            elif header == 40:
                pseudo = where >= 8
                cases.append((broken, UDP_OK | (L4E if pseudo else 0)))
            else:
                cases.append((broken, IPCS | L4CS | L4E))
    got = receive(pair, [data for data, _ in cases])
    for (data, status), (_, _, said) in zip(cases, got, strict=True):
        assert said == status | DD | RX_EOP, data.hex()


def test_fragments_of_udp(pair):  # noqa: F811
    """Their checksums, added up with the pseudo header's sum, tell whether all of it is right."""
    a, _ = pair
    a.set(RXCSUM, IPPCSE)
    whole = bytes(IP4 / UDP(sport=1, dport=2) / Raw(bytes(n * 7 & 0xff for n in range(1001))))[20:]
    pieces = [(at, whole[at:at + 400]) for at in range(0, len(whole), 400)]
    frames = [bytes(ETHER / IP(src="10.0.0.2", dst="10.0.0.1", proto=17, id=0x1234, frag=at // 8,
                               flags="MF" if at + 400 < len(whole) else 0) / Raw(piece)) for at, piece in pieces]
    total = sum(struct.unpack(">4H", raw("0a0000020a000001"))) + 17 + len(whole)
    said = receive(pair, [
        *frames, bytes(ETHER / IP4 / U), bytes(ETHER / IP6 / U), frame(80),
        bytes(ETHER / IP(src="10.0.0.2", dst="10.0.0.1", flags="MF") / T),
        bytes(ETHER / IP(src="10.0.0.2", dst="10.0.0.1", flags="MF") / UDP(chksum=0) / DATA),
        *(bytes(ETHER / IP(src="10.0.0.2", dst="10.0.0.1", flags="MF", len=size) / U) for size in (1500, 19)),
        bytes(ETHER / IP(src="10.0.0.2", dst="10.0.0.1", flags="MF", proto=17) / Raw(b"sixsix") / Padding(b"\xff" * 30))])
    for n, (_, beside, status) in enumerate(said[:len(frames)]):
        assert beside & 0xffff == 0x1234
        assert status == DD | RX_EOP | IPCS | UDPCS | (UDPV if n == 0 else 0)
        total += 0xffff - (beside >> 16)
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    assert total == 0xffff
    rest = said[len(frames):]
    assert [status & ~(DD | RX_EOP) for _, _, status in rest] == [
        IPCS | UDP_OK, UDP_OK, 0, IPCS, IPCS | UDPCS, IPCS, IPCS, IPCS | UDPCS]
    assert [beside != 0 for _, beside, _ in rest] == [False, False, False, False, True, False, False, True]


def test_where_there_is_no_room_for_it(pair):  # noqa: F811
    """The hash takes the place of a fragment's checksum; without IPPCSE there is neither."""
    a, b = pair
    data = bytes(ETHER / IP(src="10.0.0.2", dst="10.0.0.1", id=7, flags="MF") / U)
    a.rx(advanced=False)
    for n, (control, there) in enumerate(((IPPCSE | PCSD, False), (0, False), (IPPCSE, True))):
        a.set(RXCSUM, control)
        send(b, data)
        a.received(n)
        third = words(a, n)[2]                                # length, a fragment's checksum
        assert third & 0xffff == len(data) and (third >> 16 != 0) == there
        assert a.rx_descriptor(n)[1] == DD | RX_EOP | IPCS | (UDPCS if there else 0)


def test_only_the_last_descriptor_of_a_frame_tells(pair):  # noqa: F811
    a, b = pair
    a.set(RXCSUM, PCSD)
    data = bytes(ETHER / IP4 / UDP(sport=1, dport=2) / Raw(bytes(1400)))
    a.rx(buffer=1)
    send(b, data)
    a.received(1)
    assert words(a, 0) == (0, 0, DD)
    assert words(a, 1) == ((V4 | T_UDP) << 4, 0, DD | RX_EOP | IPCS | UDP_OK)


def test_tags_do_not_matter(pair):  # noqa: F811
    """Stripped or not, and of whatever type; one of another type is none."""
    a, b = pair
    a.set(VLNCTRL, a.reg(VLNCTRL) & ~0xffff | 0x88a8)
    a.rx(fctrl=UPE | MPE)
    a.set(0x1028, a.reg(0x1028) | 1 << 30)
    tagged = bytes(ETHER / Dot1Q(vlan=5) / IP4 / U)
    send(b, changed(tagged, 12, 0x88, 0xa8), tagged)
    a.received(1)
    assert a.rx_descriptor(0) == (len(tagged) - 4, DD | RX_EOP | VP | IPCS | UDP_OK, 0, 5)
    assert a.rx_descriptor(1) == (len(tagged), DD | RX_EOP, 0, 0)
    assert words(a, 0)[0] == (V4 | T_UDP) << 4 and words(a, 1)[0] == 0


def test_ethertype_filters(pair):  # noqa: F811
    """One that matches takes the place of the packet type; also in a burst of frames that are alike."""
    a, b = pair
    a.rx(entries=16, fctrl=UPE | MPE)
    a.set(ETQF + 4 * 3, 1 << 31 | 0x88b5)
    a.set(ETQF + 4 * 5, 0x88b6)                               # not enabled
    other = frame(60)[:12] + b"\x88\xb6" + bytes(46)
    tagged = frame(60)[:12] + b"\x81\x00\x00\x05" + frame(60)[12:]
    send(b, frame(60), other, tagged, frame(60), frame(60))
    a.received(4)
    assert [words(a, n)[0] >> 4 for n in range(5)] == [L2 | 3, 0, L2 | 3, L2 | 3, L2 | 3]
    a.set(ETQF + 4 * 3, 0)
    send(b, frame(60))
    a.received(5)
    assert words(a, 5)[0] == 0
