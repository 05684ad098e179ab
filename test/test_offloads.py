# SPDX-License-Identifier: BSD-3-Clause
"""ixgbed --offloads: metadata in front of the frames of a client that owns a queue. What the card makes of a frame is
compared with what scapy makes of it; others notice nothing, and nonsense is refused in its place."""
import errno
import socket
import struct

import pytest
from scapy.all import IP, TCP, UDP, Dot1Q, Ether, IPv6, Raw

import lab
from owner_client import RX, TX, Owner, buffers
from ring_client import Ring
from stack import MAC, Stack, frame
from test_recorder import WRITE, Trace
from test_survive import up
from test_upgrade import upgrade

MORE, ERROR, META = 1, 2, 4  # flags of an entry
VLAN, IP_GOOD, IP_BAD, L4_GOOD, L4_BAD, IP_SUM, L4_SUM, SEGMENT = 1, 4, 8, 16, 32, 256, 512, 1024
IPV4, IPV6, IS_TCP, IS_UDP = 1, 4, 16, 32
RX_OFFLOADS, TX_META = 2 | 4 | 8, 16
HEAD = struct.Struct("<HHIHHHBB")  # struct scheme_meta
MFLCN, RFCE, FCCFG, TFCE = 0x4294, 8, 0x3d00, 8
PAYLOAD = bytes(range(256)) * 80


def meta(flags, type_=0, vlan=0, mss=0, l3=20, l2=14, l4=0):
    return HEAD.pack(flags, vlan, 0, type_, mss, l3, l2, l4)


def ether():
    return Ether(dst=MAC["b"], src=MAC["a"])


def finished(packet):
    """Its bytes, checksums and all."""
    return bytes(packet)


def pseudo(packet, length):
    """The sum of a pseudo header, not inverted."""
    if IP in packet:
        head = packet[IP]
        words = bytes(map(int, head.src.split("."))) + bytes(map(int, head.dst.split(".")))
    else:
        words = socket.inet_pton(socket.AF_INET6, packet[IPv6].src) + socket.inet_pton(socket.AF_INET6, packet[IPv6].dst)
    number = 6 if TCP in packet else 17
    total = sum(struct.unpack(f"!{len(words) // 2}H", words)) + number + length
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def unfinished(packet, length=None):
    """As the card wants it: no IPv4 checksum, that of TCP or UDP is the pseudo header's."""
    data = bytearray(finished(packet))
    l3 = 20 if IP in packet else 40
    if IP in packet:
        data[24:26] = b"\0\0"
    at = 14 + l3 + (16 if TCP in packet else 6)
    data[at:at + 2] = pseudo(packet, len(data) - 14 - l3 if length is None else length).to_bytes(2, "big")
    return bytes(data)


class Client:
    """Owns queue 0 of a card."""

    def __init__(self, stack, card):
        self.owner = Owner(stack.run.schemes, f"{card}_ixgbe", size=4 << 20, tx=256)
        self.offsets = buffers(4 << 20)
        self.owner.feed(self.offsets[:32])
        lab.wait_for(lambda: self.owner.status("link_up"), "the link")

    def send(self, data, head, split=2048):
        """With that metadata, in as many entries as it takes."""
        entries = []
        for i, at in enumerate(range(0, len(data), split)):
            offset, size, _ = self.owner.put(self.offsets[100 + i], data[at:at + split])
            entries.append((offset, size, (META if at == 0 else 0) | (MORE if at + split < len(data) else 0)))
        self.owner.put(self.offsets[100] - HEAD.size, head)
        self.owner.provide(TX, entries)
        self.owner.sent()

    def received(self):
        """The next frame of one entry: its metadata, or None, and its data."""
        at = self.owner.slots[RX] + 8 * (self.owner.seen[RX] % self.owner.entries[RX])
        (offset, data), = self.owner.wait(1)
        flags = struct.unpack_from("<IHH", self.owner.rings, at)[2]
        assert flags in (0, META)
        return HEAD.unpack_from(self.owner.frames, offset - HEAD.size) if flags else None, data


@pytest.fixture
def cable(run):
    stack = Stack(run, a="cable:offloads", b="cable:offloads")
    stack.pcid(driver=("--offloads", "--mtu", "3000"))
    for card in "ab":
        stack.wait_link(card)
    return stack


def test_checksums_and_tags(cable):
    b = cable.open("b")
    a = Client(cable, "a")
    with a.owner:
        assert a.owner.status("offloads") == RX_OFFLOADS | TX_META
        assert b"offloads 30\n" in cable.value("a", "/queue/0")
        over4, over6 = IP(src="10.0.0.1", dst="10.0.0.2", id=7), IPv6(src="fd00::1", dst="fd00::2")
        for size in 1, 100, 1401, 2900:
            for packet, flags, kind, l3 in (
                    (ether() / over4 / UDP(sport=1, dport=2) / PAYLOAD[:size], IP_SUM | L4_SUM, IPV4 | IS_UDP, 20),
                    (ether() / over4 / TCP(sport=3, dport=4, seq=5) / PAYLOAD[:size], IP_SUM | L4_SUM, IPV4 | IS_TCP, 20),
                    (ether() / over6 / UDP(sport=5, dport=6) / PAYLOAD[:size], L4_SUM, IPV6 | IS_UDP, 40),
                    (ether() / over6 / TCP(sport=7, dport=8, seq=9) / PAYLOAD[:size], L4_SUM, IPV6 | IS_TCP, 40)):
                want = finished(packet)
                a.send(unfinished(packet), meta(flags, kind, l3=l3))
                assert b.read()[:len(want)] == want
                a.send(unfinished(packet), meta(flags | VLAN, kind, vlan=0x6123, l3=l3))
                tagged = want[:12] + bytes.fromhex("81006123") + want[12:]
                assert b.read()[:len(tagged)] == tagged
        lab.wait_for(lambda: a.owner.status("sent") == 32, "all are sent")
        assert a.owner.status("refused") == 0


def test_segments(cable):
    """Compared with a segmentation in software."""
    b = cable.open("b")
    a = Client(cable, "a")
    with a.owner:
        for version, mss, size, split in (4, 1460, 20000, 2048), (6, 1440, 20000, 600), (4, 2900, 5800, 2048), (4, 64, 1000, 2048):
            base = IP(src="10.0.0.1", dst="10.0.0.2", id=100) if version == 4 else IPv6(src="fd00::1", dst="fd00::2")
            tcp = TCP(sport=3, dport=4, seq=1000, ack=77, flags="FPA")
            whole = ether() / base / tcp / PAYLOAD[:size]
            data = bytearray(unfinished(whole, 0))
            data[16 if version == 4 else 18:18 if version == 4 else 20] = b"\0\0"
            kind = IS_TCP | (IPV4 if version == 4 else IPV6)
            a.send(bytes(data), meta(IP_SUM * (version == 4) | L4_SUM | SEGMENT, kind, mss=mss, l3=20 if version == 4 else 40, l4=20),
                   split)
            for n, at in enumerate(range(0, size, mss)):
                last = at + mss >= size
                segment = whole.copy()
                segment[TCP].seq = 1000 + at
                segment[TCP].flags = "FPA" if last else "A"
                segment[TCP].remove_payload()
                segment = segment / Raw(PAYLOAD[at:min(at + mss, size)])
                if version == 4:
                    segment[IP].id = 100 + n
                    del segment[IP].len, segment[IP].chksum
                else:
                    del segment[IPv6].plen
                del segment[TCP].chksum
                want = bytes(segment)
                assert b.read()[:len(want)] == want, (version, mss, n)
        lab.wait_for(lambda: a.owner.status("sent") == 4, "all are sent")
        assert a.owner.status("refused") == 0


def test_what_the_card_found_out(cable):
    a = cable.open("a")
    b = Client(cable, "b")
    plain = ether() / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=2) / PAYLOAD[:100]
    wrong_ip, wrong_udp = bytearray(finished(plain)), bytearray(finished(plain))
    wrong_ip[24] ^= 1
    wrong_udp[60] ^= 1
    with b.owner:
        for data, good, bad in (finished(plain), IP_GOOD | L4_GOOD, 0), (wrong_ip, L4_GOOD, IP_BAD), (wrong_udp, IP_GOOD, L4_BAD):
            a.write(bytes(data))
            head, got = b.received()
            assert got == bytes(data)
            checks = IP_GOOD | IP_BAD | L4_GOOD | L4_BAD
            assert (head[0] & checks, head[3] & (IPV4 | IPV6 | IS_TCP | IS_UDP)) == (good | bad, IPV4 | IS_UDP)
        # A tag stays where it is.
        tagged = finished(Ether(dst=MAC["b"], src=MAC["a"]) / Dot1Q(vlan=5) / plain[IP])
        a.write(tagged)
        assert b.received()[1] == tagged


def test_nonsense_is_refused_in_its_place(run, cable):
    b = cable.open("b")
    a = Client(cable, "a")
    packet = ether() / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=2) / PAYLOAD[:100]
    want = finished(packet)
    udp = dict(type_=IPV4 | IS_UDP)
    nonsense = (meta(0x8000), meta(L4_SUM, 0), meta(L4_SUM, IPV4 | IPV6 | IS_UDP), meta(IP_SUM, IPV4, l3=19), meta(IP_SUM, IPV4, l3=61),
                meta(IP_SUM | L4_SUM, l2=13, **udp), meta(IP_SUM | L4_SUM, l2=128, **udp), meta(SEGMENT, mss=63, l4=8, **udp),
                meta(SEGMENT, mss=60000, l4=8, **udp), meta(SEGMENT, mss=100, l4=7, **udp), bytes([255]) * 16)
    with a.owner:
        for count, head in enumerate(nonsense):
            a.send(unfinished(packet), head)
            lab.wait_for(lambda: a.owner.status("writes") == 2 * count + 1, "what became of it")
            assert (a.owner.status("refused"), a.owner.status("error")) == (count + 1, -errno.EINVAL), head
            a.send(unfinished(packet), meta(IP_SUM | L4_SUM, **udp))
            assert b.read()[:len(want)] == want
            lab.wait_for(lambda: a.owner.status("writes") == 2 * count + 2, "what became of it")
    # Who shares the card's frames has no metadata.
    with Ring(run.schemes, "a_ixgbe") as ring:
        up(ring)
        assert ring.status("offloads") == 0
        at = ring.slot("tx", 0)
        ring.put(finished(packet))
        ring.slots[at] |= META << 48
        ring.publish()
        lab.wait_for(lambda: ring.status("refused") == 1, "it is refused")
        for _ in range(3):
            ring.provide()
        back = finished(Ether(dst=MAC["a"], src=MAC["b"]) / packet[IP])
        b.write(back)
        assert lab.wait_for(ring.receive, "a frame") == back
        assert ring.slots[ring.slot("rx", 0)] >> 48 == 0


def test_it_goes_on_with_the_next_driver(run, cable):
    b = cable.open("b")
    a = Client(cable, "a")
    packet = ether() / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=2) / PAYLOAD[:100]
    want = finished(packet)
    with a.owner:
        for turn in range(3):
            for _ in range(5):
                a.send(unfinished(packet), meta(IP_SUM | L4_SUM, IPV4 | IS_UDP))
                assert b.read()[:len(want)] == want
            if turn < 2:
                upgrade(run, "a")
        lab.wait_for(lambda: a.owner.status("sent") == 15, "all are sent")
        assert (a.owner.status("refused"), a.owner.status("offloads")) == (0, 30)
    stats = cable.stats("a")
    assert (stats["upgrades"], stats["restarts"]) == (2, 0)


@pytest.mark.parametrize("when", ["always", "never"])
def test_frames_without_a_buffer(run, when):
    """They are dropped and counted, or wait in the card."""
    stack = Stack(run, a="cable:drop", b="cable:drop")
    stack.pcid(driver=("--drop", when))
    stack.wait_link("a")
    a = stack.open("a")
    with Owner(run.schemes, "b_ixgbe") as b:
        up(a)
        lab.wait_for(lambda: b.status("link_up"), "the link")
        for number in range(40):
            a.write(frame(100, fill=number))
        lab.wait_for(lambda: stack.stats("a")["tx_frames"] == 40, "all are sent")
        if when == "always":
            lab.wait_for(lambda: stack.stats("b")["rx_dropped"] == 40, "all are dropped")
            want = []
        else:
            want = [frame(100, fill=number) for number in range(40)]
        b.feed(buffers(1 << 20)[:60])
        if when == "always":
            lab.wait_for(lambda: stack.stats("b")["rx_held"] == 60, "the card has buffers")
        a.write(frame(101))
        assert [data for _, data in b.wait(len(want) + 1)] == [*want, frame(101)]
        stats = stack.stats("b")
        assert (stats["rx_dropped"], stats["rx_missed"]) == (40 - len(want), 0)


@pytest.mark.parametrize("pause, obeys, sends", [((), 0, 0), (("--pause", "rx"), RFCE, 0), (("--pause", "tx"), 0, TFCE),
                                                 (("--pause", "both"), RFCE, TFCE)])
def test_flow_control(run, pause, obeys, sends):
    """What the card is told; what it does then is tested where the card is."""
    stack = Stack(run, a="loop")
    daemon = stack.ixgbed("a", "--name", "a_ixgbe", "--record", run.dir / "a.trace", *pause)
    stack.wait_link("a")
    assert daemon.stop() == 0
    trace = Trace(run.dir / "a.trace")
    assert [value & RFCE for value in trace.values(WRITE, MFLCN)] == [obeys]
    assert trace.values(WRITE, FCCFG) == [sends]


def test_not_every_card_has_them(run):
    code, said = run.call("e1000d", "--device", "x", "--offloads")
    assert (code, said) == (2, "e1000d: --offloads: its cards have none here; see e1000d --help")
    stack = Stack(run, ("82574l",), a="loop")
    code, said = run.call("e1000d", "--device", stack.address("a"), "--drop", "always")
    assert code == 1 and said.endswith(": it cannot drop what finds no buffer"), said
    for option, wanted in ("--pause", "rx, tx or both"), ("--drop", "never or always"):
        code, said = run.call("ixgbed", "--device", "x", option, "x")
        assert (code, said) == (2, f"ixgbed: {option} x: expected {wanted}; see ixgbed --help")
