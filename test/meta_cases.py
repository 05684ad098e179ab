# SPDX-License-Identifier: BSD-3-Clause
"""Frames with metadata for test/nic_meta.c, and what has to come back: checksums as scapy computes them, segments as they
are cut here."""
import functools
import random
import socket
import struct

from scapy.all import IP, SCTP, TCP, UDP, Ether, IPv6, IPv6ExtHdrHopByHop, Raw, raw

import rss

# nic.h
VLAN, HASH, IP_GOOD, IP_BAD, L4_GOOD, L4_BAD, IP_SUM, L4_SUM, SEGMENT = (1 << n for n in (0, 1, 2, 3, 4, 5, 8, 9, 10))
IPV4, IPV4_OPTIONS, IPV6, IPV6_EXTENSIONS, T_TCP, T_UDP, T_SCTP = (1 << n for n in range(7))
RX_VLAN, RX_CHECKSUM, RX_HASH, RX_TYPE, TX_META = (1 << n for n in range(5))
EVERYTHING = RX_VLAN | RX_CHECKSUM | RX_HASH | RX_TYPE | TX_META

KEY = bytes.fromhex("6d5a") * 20  # of nic/ixgbe/ixgbe_rss.c, as it lies in RSSRK
SOURCE, TARGET = {4: "10.1.2.3", 6: "fd00::1:2"}, {4: "10.9.8.7", 6: "fd00::9:8"}
L4 = {"tcp": (6, T_TCP, 16), "udp": (17, T_UDP, 6), "sctp": (132, T_SCTP, 8)}


@functools.cache
def toeplitz(data):
    return rss.toeplitz(KEY, data)


def network(version, **how):
    ether = Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02")
    if version == 4:
        return ether / IP(src=SOURCE[4], dst=TARGET[4], id=0x1234, **how)
    return ether / IPv6(src=SOURCE[6], dst=TARGET[6], **how)


def transport(name, **how):
    return {"tcp": TCP(sport=1024, dport=80, seq=0xfffff000, ack=7, **{"flags": "PA", **how}),
            "udp": UDP(sport=5353, dport=53), "sctp": SCTP(sport=9, dport=10, tag=3)}[name]


def folded(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def addresses(version):
    family = {4: socket.AF_INET, 6: socket.AF_INET6}[version]
    return socket.inet_pton(family, SOURCE[version]) + socket.inet_pton(family, TARGET[version])


def pseudo(version, name, length):
    """The pseudo header's sum, not inverted."""
    return folded(addresses(version) + struct.pack(">IBBBB", length, 0, 0, 0, L4[name][0]))


def put(frame, at, value):
    return frame[:at] + value + frame[at + len(value):]


class Case:
    def __init__(self, sent, back, cut=2048, flags=0, type=0, vlan=0, mss=0, l2=0, l3=0, l4=0, found=0, found_type=0,
                 hashed=None):
        self.line = " ".join(f"{n:x}" for n in (len(back), cut, flags, type, vlan, mss, l2, l3, l4)) + " " + sent.hex()
        self.vlan, self.tagged = vlan, bool(flags & VLAN)
        # The card pads what it sends, with its tag, to 60 bytes.
        self.back = [frame.ljust(56 if self.tagged else 60, b"\0") for frame in back]
        self.found, self.found_type, self.hashed = found, found_type, hashed

    def expected(self, offloads):
        """The lines of what comes to a queue with those offloads."""
        for frame in self.back:
            flags = vlan = kind = value = 0
            if offloads & RX_CHECKSUM:
                flags |= self.found
            if self.tagged and offloads & RX_VLAN:
                flags, vlan = flags | VLAN, self.vlan
            elif self.tagged:
                frame = frame[:12] + struct.pack(">HH", 0x8100, self.vlan) + frame[12:]
            if offloads & RX_TYPE:
                kind = self.found_type
            if self.hashed is not None and offloads & RX_HASH:
                flags, value = flags | HASH, toeplitz(self.hashed)
            yield f"{flags:x} {kind:x} {vlan:x} {value:x} {frame.hex()}"


def hashed(version, frame, name):
    """What the hash is over: SCTP has none of its own, but its addresses', as what is behind extension headers."""
    ports = frame[14 + {4: 20, 6: 40}[version]:][:4] if name in ("tcp", "udp") else b""
    return addresses(version) + ports


def checksums(rng):
    for version in (4, 6):
        for name in L4:
            for size in (0, 1, 2, 3, 100, 999, 1440):
                head = {4: 20, 6: 40}[version]
                want = raw(network(version) / transport(name) / Raw(rng.randbytes(size)))
                protocol, kind, at = L4[name]
                at += 14 + head
                field = b"\0" * 4 if name == "sctp" else struct.pack(">H", pseudo(version, name, len(want) - 14 - head))
                sent = put(want, at, field)
                flags = L4_SUM
                if version == 4:
                    sent, flags = put(sent, 24, b"\0\0"), flags | IP_SUM
                what = {"found": L4_GOOD | (IP_GOOD if version == 4 else 0), "hashed": hashed(version, want, name),
                        "found_type": (IPV4 if version == 4 else IPV6) | kind}
                ask = {"type": what["found_type"], "l2": 14, "l3": head}
                yield Case(sent, [want], flags=flags, **ask, **what)
                if size in (1, 999):
                    yield Case(sent, [want], flags=flags | VLAN, vlan=0xa000 | size, **ask, **what)
                    yield Case(sent, [want], flags=flags, cut=14 + head + 20, **ask, **what)
                if size == 100:
                    # Not asked for: what was sent is what comes, and is found wrong.
                    wrong = dict(what, found=L4_BAD | (IP_BAD if version == 4 else 0))
                    yield Case(sent, [sent], **wrong)
                    yield Case(want, [want], **what)


def others(rng):
    """Frames that have little to be found out about, tags, and large ones."""
    arp = raw(Ether(dst="ff:ff:ff:ff:ff:ff", src="02:00:00:00:00:02", type=0x88b5) / Raw(rng.randbytes(80)))
    yield Case(arp, [arp])
    for vlan in (0, 1, 0xfff, 0xffff):
        yield Case(arp, [arp], flags=VLAN, vlan=vlan, l2=14)
    short = arp[:20]
    yield Case(short, [short], flags=VLAN, vlan=5, l2=14)
    options = raw(network(4, options=[b"\x94\x04\x00\x00"]) / transport("tcp") / Raw(b"x" * 50))
    yield Case(put(options, 24, b"\0\0"), [options], flags=IP_SUM, type=IPV4, l2=14, l3=24, found=IP_GOOD | L4_GOOD,
               found_type=IPV4 | IPV4_OPTIONS | T_TCP, hashed=addresses(4) + options[38:42])
    extended = raw(network(6) / IPv6ExtHdrHopByHop() / transport("udp") / Raw(b"y" * 50))
    sent = put(extended, 14 + 48 + 6, struct.pack(">H", pseudo(6, "udp", 58)))
    yield Case(sent, [extended], flags=L4_SUM, type=IPV6 | T_UDP, l2=14, l3=48, found=L4_GOOD,
               found_type=IPV6 | IPV6_EXTENSIONS | T_UDP, hashed=addresses(6))
    for size in (1959, 1960, 1961, 4000, 6090, 8912, 8946):  # around buffers, and the MTU of 9,000
        large = raw(network(4) / transport("tcp") / Raw(rng.randbytes(size)))
        sent = put(put(large, 50, struct.pack(">H", pseudo(4, "tcp", size + 20))), 24, b"\0\0")
        for flags in (0, VLAN):
            yield Case(sent, [large], flags=IP_SUM | L4_SUM | flags, vlan=9 if flags else 0, type=IPV4 | T_TCP, l2=14, l3=20,
                       found=IP_GOOD | L4_GOOD, found_type=IPV4 | T_TCP, hashed=addresses(4) + large[34:38])


def cut_up(version, name, packet, mss):
    """The segments of a frame, in software."""
    head = 14 + {4: 20, 6: 40}[version]
    whole = raw(packet)
    header = head + (8 if name == "udp" else (whole[head + 12] >> 4) * 4)
    payload = whole[header:]
    flags = whole[head + 13] if name == "tcp" else 0
    pieces = [payload[i:i + mss] for i in range(0, len(payload), mss)]
    for i, piece in enumerate(pieces):
        segment = Ether(whole[:header] + piece)
        if version == 4:
            segment[IP].id = (0x1234 + i) & 0xffff
            segment[IP].len = len(segment) - 14
            del segment[IP].chksum
        else:
            segment[IPv6].plen = len(segment) - 54
        if name == "tcp":
            segment[TCP].seq = (0xfffff000 + i * mss) & 0xffffffff
            keep = 0xff
            if i + 1 < len(pieces):
                keep &= ~0x09  # FIN and PSH are the last one's
            if i:
                keep &= ~0x80  # CWR is the first one's
            segment[TCP].flags = flags & keep
            del segment[TCP].chksum
        else:
            segment[UDP].len = 8 + len(piece)
            del segment[UDP].chksum
        yield raw(segment)


def segments(rng):
    for version in (4, 6):
        for name, options in (("tcp", []), ("tcp", [("Timestamp", (1, 2)), ("NOP", None), ("NOP", None)]), ("udp", [])):
            for mss, size in ((64, 640), (100, 301), (536, 535), (536, 536), (1400, 1401), (1388, 20000), (1448, 60000),
                              (8800, 40000)):
                extra = {"options": options, "flags": "FPAC"} if name == "tcp" else {}
                packet = network(version) / transport(name, **extra) / Raw(rng.randbytes(size))
                whole = raw(packet)
                head = {4: 20, 6: 40}[version]
                l4 = 8 if name == "udp" else (whole[14 + head + 12] >> 4) * 4
                _, kind, at = L4[name]
                sent = put(whole, 14 + head + at, struct.pack(">H", pseudo(version, name, 0)))
                if version == 4:
                    sent = put(sent, 24, b"\0\0")
                back = list(cut_up(version, name, packet, mss))
                assert b"".join(frame[14 + head + l4:] for frame in back) == whole[14 + head + l4:]
                for flags, cut in ((0, 2048), (VLAN, 1777 if size < 50000 else 2000)):
                    yield Case(sent, back, cut=cut, flags=SEGMENT | flags, vlan=77 if flags else 0,
                               type=(IPV4 if version == 4 else IPV6) | kind, mss=mss, l2=14, l3=head, l4=l4,
                               found=L4_GOOD | (IP_GOOD if version == 4 else 0),
                               found_type=(IPV4 if version == 4 else IPV6) | kind, hashed=hashed(version, whole, name))


@functools.cache
def cases():
    rng = random.Random(82599)
    return [*checksums(rng), *others(rng), *segments(rng)]


def write(path, some):
    path.write_text("".join(f"{case.line}\n" for case in some))


def judge(lines, some, offloads):
    """What nic_meta printed: all that was expected, in order, and nothing else."""
    want = [(number, line) for number, case in enumerate(some) for line in case.expected(offloads)]
    for (number, line), got in zip(want, lines):
        assert got == line, f"case {number}: {got[:150]} is not {line[:150]}, of {some[number].line[:200]}"
    assert lines[len(want):] == ["end"]
