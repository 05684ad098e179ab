# SPDX-License-Identifier: BSD-3-Clause
"""nicsim's checksums and segmentation, against scapy's."""
import struct

import pytest
from scapy.all import IP, TCP, UDP, Ether, IPv6, Raw, in4_chksum, in6_chksum

import x540
from x540 import (A, B, DATA, EOP, IC, IFCS, RS, TSE, frame, pair, raw, send)


def ip4(payload, **how):
    return Ether(dst=A, src=B) / IP(src="10.0.0.2", dst="10.0.0.1", **how) / payload


def ip6(payload):
    return Ether(dst=A, src=B) / IPv6(src="fd00::2", dst="fd00::1") / payload


def pseudo(layer, protocol, length):
    """The pseudo header's sum, as a driver puts it into the checksum's place: not inverted."""
    if isinstance(layer, IP):
        head = raw("0a000002") + raw("0a000001") + struct.pack(">BBH", 0, protocol, length)
    else:
        head = b"".join(bytes.fromhex("fd00" + "00" * 13) + bytes([n]) for n in (2, 1)) + \
            struct.pack(">IHBB", length, 0, 0, protocol)
    total = sum(struct.unpack(f">{len(head) // 2}H", head))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


@pytest.mark.parametrize("build, header", [(ip4, 20), (ip6, 40)], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("l4", ["tcp", "udp"])
@pytest.mark.parametrize("size", [0, 1, 999])
def test_checksum_insertion(pair, build, header, l4, size):
    a, b = pair
    a.rx()
    layer = {"tcp": TCP(sport=1, dport=2, flags="PA", seq=5), "udp": UDP(sport=1, dport=2)}[l4]
    want = bytes(build(layer / Raw(bytes(n & 0xff for n in range(size)))))
    length, protocol = len(want) - 14 - header, {"tcp": 6, "udp": 17}[l4]
    at = 14 + header + {"tcp": 16, "udp": 6}[l4]
    seed = pseudo(IP() if build is ip4 else IPv6(), protocol, length)
    data = want[:at] + struct.pack(">H", seed) + want[at + 2:]
    if build is ip4:
        data = data[:24] + b"\0\0" + data[26:]
    b.context(ip=header, ipv4=build is ip4, l4type={"udp": 0, "tcp": 1}[l4])
    b.queue_frame(data, EOP | IFCS | RS, options=0x300)
    b.kick()
    assert a.received(0)[:len(want)] == want


def test_ip_checksum_includes_what_its_field_holds(pair):
    """A driver may cancel headers between the outer IP header and the next layer that way."""
    a, b = pair
    a.rx()
    want = bytes(ip4(UDP(sport=1, dport=2) / Raw(b"x" * 50)))
    between = sum(struct.unpack(">4H", want[34:42]))
    while between >> 16:
        between = (between & 0xffff) + (between >> 16)
    b.context(ip=28)
    b.queue_frame(want[:24] + struct.pack(">H", between ^ 0xffff) + want[26:], EOP | IFCS | RS, options=0x100)
    b.kick()
    assert a.received(0) == want


def test_legacy_checksum(pair):
    a, b = pair
    a.rx()
    want = bytes(ip4(UDP(sport=1, dport=2) / Raw(b"x" * 50)))
    seed = pseudo(IP(), 17, len(want) - 34)
    data = want[:40] + struct.pack(">H", seed) + want[42:]
    b.queue(b.place(data), len(data) | 40 << 16 | EOP | IFCS | IC | RS, 34 << 8)
    b.kick()
    assert a.received(0) == want


@pytest.mark.parametrize("where", [
    dict(ip=511), dict(mac=127), dict(ip=20, l4type=3), dict(ip=40, mac=30), dict(ip=3)])
def test_checksum_requests_that_do_not_fit(pair, where):
    a, b = pair
    a.rx()
    data = frame(60)
    b.context(**where)
    b.queue_frame(data, EOP | IFCS | RS, options=0x300)
    send(b, frame(61))
    assert len(a.received(1)) == 61 and a.process.running()


@pytest.mark.parametrize("build, header", [(ip4, 20), (ip6, 40)], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("mss", [536, 1000, 1440])
def test_segmentation(pair, build, header, mss):
    a, b = pair
    a.rx(entries=128)
    payload = bytes(n * 3 & 0xff for n in range(20000))
    packet = build(TCP(sport=1, dport=2, flags="FPA", seq=0xfffff000))
    whole = bytes(packet)
    if build is ip4:
        whole = whole[:24] + b"\0\0" + whole[26:]
    head = whole[:14 + header + 16] + struct.pack(">H", pseudo(IP() if build is ip4 else IPv6(), 6, 0)) + \
        whole[14 + header + 18:]
    first = b.place(head + payload[:5000])
    second = b.place(payload[5000:])
    b.context(ip=header, l4=20, mss=mss, ipv4=build is ip4, l4type=1)
    b.queue(first, len(head) + 5000 | DATA | TSE | IFCS, 20000 << 14 | 0x300)
    last = b.queue(second, 15000 | DATA | TSE | IFCS | EOP | RS)
    b.kick()
    b.sent(last)
    count = -(-20000 // mss)
    got = b""
    for n in range(count):
        data = a.received(n)
        parsed = Ether(data)
        layer = parsed[IP if build is ip4 else IPv6]
        tcp = layer[TCP]
        piece = payload[n * mss:(n + 1) * mss]
        assert data[14 + header + 20:] == piece
        assert tcp.seq == (0xfffff000 + n * mss) & 0xffffffff
        assert str(tcp.flags) == ("FPA" if n == count - 1 else "A")
        segment = bytearray(data[14 + header:])
        found = tcp.chksum
        segment[16:18] = b"\0\0"
        if build is ip4:
            assert layer.len == len(data) - 14 and layer.id == 1 + n
            assert sum(struct.unpack(">10H", data[14:34])) % 0xffff == 0
            assert found == in4_chksum(6, layer, bytes(segment))
        else:
            assert layer.plen == len(data) - 54
            assert found == in6_chksum(6, layer, bytes(segment))
        got += piece
    assert got == payload and b.reg(x540.GPTC) == count


@pytest.mark.parametrize("context", [
    dict(mss=0, l4=20, l4type=1), dict(mss=65535, l4=20, l4type=1), dict(mss=100, l4=0, l4type=1),
    dict(mss=100, l4=20, ip=0, l4type=1), dict(mss=100, l4=255, ip=511, mac=127, l4type=1),
    dict(mss=100, l4=20, mac=0, l4type=1), dict(mss=100, l4=20, l4type=2)])
def test_segmentation_requests_that_do_not_fit(pair, context):
    a, b = pair
    a.rx()
    b.context(**context)
    b.queue_frame(frame(600), EOP | IFCS | RS | TSE, options=0x300)
    send(b, frame(61))
    assert a.received(0) == frame(61) and a.process.running()
