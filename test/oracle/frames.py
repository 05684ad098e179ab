# SPDX-License-Identifier: BSD-3-Clause
"""Frames for the oracle's programs, built from a random source: what is in them, and where."""
import dataclasses
import struct

IPV4, IPV6, VLAN = 0x0800, 0x86dd, 0x8100
TYPES = 0x88b5, 0x0806, 0x9000          # of frames that are nothing else
TCP, UDP, SCTP = 6, 17, 132
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << n for n in range(8))


def checksum(data):
    """The Internet checksum's sum (RFC 1071), folded and not inverted."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def _crc32c_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82f63b78 if value & 1 else 0)
        table.append(value)
    return table


_CRC32C = _crc32c_table()


def crc32c(data):
    value = 0xffffffff
    for byte in data:
        value = value >> 8 ^ _CRC32C[(value ^ byte) & 0xff]
    return value ^ 0xffffffff


@dataclasses.dataclass
class Frame:
    """A frame and where its headers are; `l4` 0: it has none that a card knows, or is a fragment."""
    data: bytes
    mac: int = 14       # bytes of each header
    ip: int = 0
    l4: int = 0
    version: int = 0    # 4, 6; 0: no IP
    protocol: int = 0

    @property
    def sum_at(self):
        return self.mac + self.ip + {TCP: 16, UDP: 6, SCTP: 8}[self.protocol]

    @property
    def end(self):
        """Of the IP packet, by its length."""
        ip = self.data[self.mac:]
        at, header = (2, 0) if self.version == 4 else (4, 40)
        return self.mac + header + int.from_bytes(ip[at:at + 2], "big")

    def pseudo(self, length=True):
        """The pseudo header's sum."""
        ip = self.data[self.mac:]
        addresses = ip[12:20] if self.version == 4 else ip[8:40]
        size = len(self.data) - self.mac - self.ip if length else 0
        return checksum(addresses + struct.pack(">II", size, self.protocol))


def _layer4(draw, protocol, length):
    ports = draw.randbytes(4)
    if protocol == TCP:
        options = b"\1" * (4 * draw.choice([0, 0, 0, 3, 10]))
        words = 5 + len(options) // 4
        flags = ACK | draw.choice([0, 0, PSH, FIN | PSH, CWR, CWR | ECE, URG, SYN])
        head = ports + struct.pack(">IIBBHHH", draw.getrandbits(32), draw.getrandbits(32), words << 4, flags,
                                   draw.getrandbits(16), 0, draw.getrandbits(16)) + options
    elif protocol == UDP:
        head = ports + struct.pack(">HH", 8 + length, 0)
    elif protocol == SCTP:
        head = ports + draw.randbytes(4) + bytes(4)
    else:
        head = b""
    return head


def _ipv4(draw, protocol, length, fragment):
    options = b"\1" * (4 * draw.choice([0, 0, 0, 0, 1, 10]))
    head = struct.pack(">BBHHHBB", 0x40 | 5 + len(options) // 4, draw.getrandbits(8) & 0xfc,
                       20 + len(options) + length, draw.getrandbits(16), fragment or draw.choice([0, 0x4000]),
                       draw.randint(1, 255), protocol)
    addresses = draw.randbytes(8)
    total = checksum(head + addresses + options)
    return head + struct.pack(">H", total ^ 0xffff) + addresses + options


def _ipv6(draw, protocol, length, extended):
    extension, first = b"", protocol
    if extended:
        first = draw.choice([0, 60])                # hop by hop, destination: nothing but padding
        extension = struct.pack(">BBBB", protocol, 0, 1, 4) + bytes(4)
    head = struct.pack(">IHBB", 6 << 28 | draw.getrandbits(20), len(extension) + length, first, draw.randint(1, 255))
    return head + draw.randbytes(32) + extension


def build(draw, to, source, size, kinds=("plain", "ip4", "ip6"), protocols=(TCP, UDP, SCTP, 1), tag=None,
          extended=False, fragment=False):
    """A frame of one of these kinds, of `size` bytes or, where its headers have more, no payload. `tag`: in 802.1Q;
    `extended`: behind an IPv6 extension header; `fragment`: an IPv4 one that is not the first."""
    head = to + source + (b"" if tag is None else struct.pack(">HH", VLAN, tag))
    kind = draw.choice(kinds)
    mac = len(head) + 2
    if kind == "plain":
        head += struct.pack(">H", draw.choice(TYPES))
        return Frame(head + draw.randbytes(max(0, size - mac)), mac)
    protocol = draw.choice(protocols)
    fragment = kind == "ip4" and fragment
    state = draw.getstate()
    layer3 = layer4 = b""
    # Twice: the first time shows how long the headers are.
    for payload in (lambda: 0, lambda: max(0, size - mac - len(layer3) - len(layer4))):
        length = payload()
        draw.setstate(state)
        layer4 = b"" if fragment else _layer4(draw, protocol, length)
        if kind == "ip4":
            layer3 = _ipv4(draw, protocol, len(layer4) + length, draw.randint(1, 0x1fff) if fragment else 0)
        else:
            layer3 = _ipv6(draw, protocol, len(layer4) + length, extended)
    head += struct.pack(">H", IPV4 if kind == "ip4" else IPV6)
    frame = Frame(head + layer3 + layer4 + draw.randbytes(length), mac, len(layer3), len(layer4),
                  4 if kind == "ip4" else 6, protocol if layer4 else 0)
    return with_sum(frame) if frame.protocol else frame


def put(data, at, piece):
    return data[:at] + piece + data[at + len(piece):]


def with_sum(frame):
    """The frame with its layer 4 checksum."""
    data = put(frame.data, frame.sum_at, bytes(4 if frame.protocol == SCTP else 2))
    layer4 = data[frame.mac + frame.ip:]
    if frame.protocol == SCTP:
        total = struct.pack("<I", crc32c(layer4))
    else:
        total = checksum(layer4 + bytes(len(layer4) % 2) + struct.pack(">H", frame.pseudo())) ^ 0xffff
        total = struct.pack(">H", total or (0xffff if frame.protocol == UDP else 0))
    return dataclasses.replace(frame, data=put(data, frame.sum_at, total))


def without_sum(frame):
    """A frame whose checksum comes to 0, by the first bytes of its payload."""
    at = frame.mac + frame.ip + frame.l4
    if frame.protocol not in (TCP, UDP) or len(frame.data) < at + 2:
        return frame
    data = put(put(frame.data, frame.sum_at, bytes(2)), at, bytes(2))
    frame = dataclasses.replace(frame, data=data)
    layer4 = data[frame.mac + frame.ip:]
    total = checksum(layer4 + bytes(len(layer4) % 2) + struct.pack(">H", frame.pseudo()))
    return with_sum(dataclasses.replace(frame, data=put(data, at, struct.pack(">H", total ^ 0xffff))))


def parse(data):
    """Where the headers of a frame that build() made are."""
    mac = 14
    while data[mac - 2:mac] == b"\x81\x00":
        mac += 4
    kind = int.from_bytes(data[mac - 2:mac], "big")
    ip = data[mac:]
    if kind == IPV4:
        protocol, size = ip[9], 4 * (ip[0] & 15)
        fragment = int.from_bytes(ip[6:8], "big") & 0x3fff
    elif kind == IPV6:
        protocol, size, fragment = ip[6], 40, 0
        if protocol in (0, 60):
            protocol, size = ip[40], 48
    else:
        return Frame(data, mac)
    version = 4 if kind == IPV4 else 6
    if fragment or protocol not in (TCP, UDP, SCTP):
        return Frame(data, mac, size, 0, version)
    layer4 = {TCP: 4 * (ip[size + 12] >> 4) if protocol == TCP else 0, UDP: 8, SCTP: 12}[protocol]
    return Frame(data, mac, size, layer4, version, protocol)
