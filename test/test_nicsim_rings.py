# SPDX-License-Identifier: BSD-3-Clause
"""nicsim's receive and transmit rings, descriptor by descriptor; filters, checksums, statistics."""
import binascii
import struct

import pytest
from scapy.all import (IP, TCP, UDP, Dot1Q, Ether, IPv6, Raw, conf, in4_chksum, in6_chksum, rdpcap,
                       wrpcap)

import x540
from lab import wait_for
from x540 import (BAM, CONTEXT, DATA, DD, ENABLE, EOP, IC, IFCS, IOVA, MPE, RS, RX_EOP, TSE, UPE, VLE, Card,
                  DMATXCTL, FCTRL, HLREG0, MAXFRS, MCSTCTRL, MTA0, RAH0, RAL0, RDH, RDT, RXCTRL, RXDCTL, TDH,
                  TDT, TDWBAL, TXDCTL, VFTA0, VLNCTRL)

conf.verb = 0
A, B = "02:00:00:00:00:01", "02:00:00:00:00:02"


def raw(text):
    return bytes.fromhex(text.replace(":", ""))


def frame(size=60, to=A, source=B, fill=None):
    head = raw(to) + raw(source) + b"\x88\xb5"
    body = bytes((n * 7 + size) & 0xff for n in range(size - 14)) if fill is None else fill * (size - 14)
    return head + body


@pytest.fixture
def one(run):
    """A card on a wire of its own."""
    made = []

    def start(wire="sink", memory=x540.MEMORY, args=()):
        process = run.start("nicsim", "--device", "x540", "--socket", run.dir / "s", "--wire", wire, *args)
        process.expect("^nicsim: x540")
        card = Card(run.dir / "s", memory)
        card.process = process
        made.append(card)
        return card
    yield start
    for card in made:
        card.close()


@pytest.fixture
def pair(run):
    """Two cards with a cable between them: what b sends arrives at a."""
    process = run.start("nicsim", *(word for n in "ab" for word in (
        "--device", "x540", "--socket", run.dir / n, "--wire", "cable:it")))
    process.expect("/b, wire")
    with Card(run.dir / "a") as a, Card(run.dir / "b") as b:
        a.process = process
        b.tx()
        yield a, b


def send(card, *frames):
    """Sends frames, one after another, and waits until the card is done with them."""
    for data in frames:
        last = card.queue_frame(data)
    card.kick()
    card.sent(last)


# --- receive ---

@pytest.mark.parametrize("advanced", [True, False], ids=["advanced", "legacy"])
@pytest.mark.parametrize("size", [60, 61, 127, 128, 1514])
def test_receive(pair, advanced, size):
    a, b = pair
    a.rx(advanced=advanced)
    send(b, frame(size))
    assert a.received(0) == frame(size)
    assert a.rx_descriptor(0) == (size, DD | RX_EOP, 0, 0)
    assert a.reg(RDH) == 1
    assert a.rx_descriptor(1)[1] == 0                        # the next one is untouched
    if not advanced:                                         # and so is a legacy descriptor's address
        assert struct.unpack("<Q", a.memory[a.rx_ring:a.rx_ring + 8])[0] == IOVA + a.rx_buffers[0]


@pytest.mark.parametrize("advanced", [True, False], ids=["advanced", "legacy"])
def test_a_frame_in_several_buffers(pair, advanced):
    a, b = pair
    a.rx(buffer=1, advanced=advanced)
    big = frame(1514)
    send(b, big, frame(60))
    a.received(1)
    assert a.rx_descriptor(0)[:2] == (1024, DD) and a.rx_descriptor(1)[:2] == (490, DD | RX_EOP)
    assert a.received(0) + a.received(1) == big
    assert a.received(2) == frame(60)


@pytest.mark.parametrize("buffer", [1, 2])
def test_crc_is_the_real_one(pair, buffer):
    a, b = pair
    a.rx(strip=False, buffer=buffer)
    data = frame(1022)
    send(b, data)
    whole = data + struct.pack("<I", binascii.crc32(data))
    if buffer == 2:
        assert a.received(0) == whole
    else:                                                    # it may be cut in the middle, too
        assert a.received(0) + a.received(1) == whole and len(a.received(1)) == 2


def test_rdt_is_exclusive_and_frames_wait(pair):
    a, b = pair
    a.rx(entries=8)                                          # 7 are the card's
    frames = [frame(60 + n) for n in range(12)]
    send(b, *frames)
    for n in range(7):
        assert a.received(n) == frames[n]
    assert a.reg(RDH) == 7 and a.rx_descriptor(7)[1] == 0
    for n in range(5):
        a.arm(n)
    a.set(RDT, 4)                                            # 7, 0, 1, 2, 3
    for n, at in enumerate((7, 0, 1, 2, 3)):
        assert a.received(at) == frames[7 + n]
    assert a.reg(RDH) == 4 and a.reg(x540.RXMPC0) == a.reg(x540.QPRDC0) == 0


def test_drop_enable(pair):
    a, b = pair
    a.rx(entries=8, drop=True)
    send(b, *[frame(60 + n) for n in range(10)])
    a.received(6)
    dropped = 0

    def count():
        nonlocal dropped
        dropped += a.reg(x540.QPRDC0)
        return dropped == 3
    wait_for(count, "three frames dropped")
    a.arm(0)
    a.set(RDT, 1)
    send(b, frame(100))
    assert a.received(7) == frame(100)


def test_nothing_before_enable(pair):
    """A wire that can wait does: the frames are there when the ring is."""
    a, b = pair
    send(b, frame(60), frame(61))
    a.rx()
    assert a.received(0) == frame(60) and a.received(1) == frame(61)
    a.set(RXDCTL, 0)
    assert a.reg(RXDCTL) & ENABLE == 0


def test_largest_frames(pair):
    a, b = pair
    a.rx(buffer=16, entries=8)

    def arrives(size, vlan=False):
        data = frame(size)
        if vlan:
            data = data[:12] + b"\x81\x00\x00\x05" + data[16:]
        before = a.reg(RDH)
        send(b, data, frame(60))
        wait_for(lambda: a.rx_descriptor((a.reg(RDH) - 1) % 8)[0] == 60 and a.reg(RDH) != before, "the marker")
        return (a.reg(RDH) - before) % 8 == 2

    assert arrives(1514) and a.reg(x540.ROC) == 0
    assert not arrives(1515) and a.reg(x540.ROC) == 1
    a.set(RDT, a.reg(RDH) - 1 & 7)
    assert arrives(1518, vlan=True)
    a.set(MAXFRS, 9728 << 16)
    assert not arrives(1515)                                 # MAXFRS counts with JUMBOEN alone
    a.set(HLREG0, a.reg(HLREG0) | 4)
    a.set(RDT, a.reg(RDH) - 1 & 7)
    for n in range(8):
        a.arm(n)
    assert arrives(9724) and not arrives(9725)


def test_padding_of_short_frames(pair):
    a, b = pair
    a.rx()
    b.set(HLREG0, b.reg(HLREG0) | 0x400)
    send(b, frame(20))
    assert a.received(0) == frame(20) + bytes(40)


# --- filters ---

def accepted(a, b, *addresses):
    """Which of the addresses get a frame through; a broadcast frame marks the end."""
    a.set(FCTRL, a.reg(FCTRL) | BAM)
    a.rx(entries=32, fctrl=a.reg(FCTRL))
    send(b, *[frame(60, to=address) for address in addresses], frame(64, to="ff:ff:ff:ff:ff:ff"))
    got = []
    n = 0
    while True:
        data = a.received(n)
        if len(data) == 64:
            return got
        got.append(":".join(f"{byte:02x}" for byte in data[:6]))
        n += 1


OTHER, GROUP = "02:00:00:00:00:77", "01:00:5e:01:02:03"


def test_unicast_filter(pair):
    a, b = pair
    assert accepted(a, b, A, OTHER, GROUP) == [A]
    a.set(RAL0 + 8 * 127, int.from_bytes(raw(OTHER)[:4], "little"))
    a.set(RAH0 + 8 * 127, 1 << 31 | int.from_bytes(raw(OTHER)[4:], "little"))
    assert accepted(a, b, A, OTHER) == [A, OTHER]
    a.set(RAH0 + 8 * 127, int.from_bytes(raw(OTHER)[4:], "little"))
    assert accepted(a, b, A, OTHER) == [A]
    a.set(RAH0, 0)
    assert accepted(a, b, A, OTHER) == []


def test_promiscuous(pair):
    a, b = pair
    a.set(FCTRL, UPE)
    assert accepted(a, b, A, OTHER, GROUP) == [A, OTHER]
    a.set(FCTRL, MPE)
    assert accepted(a, b, A, OTHER, GROUP) == [A, GROUP]
    a.set(FCTRL, UPE | MPE)
    assert accepted(a, b, A, OTHER, GROUP) == [A, OTHER, GROUP]


@pytest.mark.parametrize("offset, shift, outside", [(0, 4, 0), (1, 3, 15), (2, 2, 15), (3, 0, 15)])
def test_multicast_hash(pair, offset, shift, outside):
    a, b = pair

    def flipped(bit):
        """GROUP with one of the last 16 bits changed."""
        last = int.from_bytes(raw(GROUP)[4:], "little") ^ 1 << bit
        return f"{GROUP[:11]}:{last & 255:02x}:{last >> 8:02x}"

    value = int.from_bytes(raw(GROUP)[4:], "little") >> shift & 0xfff
    a.set(MTA0 + 4 * (value >> 5), 1 << (value & 31))
    a.set(MCSTCTRL, offset)
    assert accepted(a, b, GROUP) == []                       # MFE is off
    a.set(MCSTCTRL, offset | 4)
    others = [flipped(shift), flipped(shift + 11), flipped(outside)]
    assert accepted(a, b, GROUP, *others) == [GROUP, flipped(outside)]
    a.set(MTA0 + 4 * (value >> 5), 0)
    assert accepted(a, b, GROUP) == []


def test_broadcast(pair):
    a, b = pair
    a.rx(fctrl=0)
    send(b, frame(64, to="ff:ff:ff:ff:ff:ff"), frame(60))
    assert a.received(0) == frame(60)
    assert a.reg(x540.BPRC) == 0


def test_pause_frames_end_in_the_mac(pair):
    a, b = pair
    a.set(0x4294, 8)                                         # MFLCN.RFCE
    a.rx(fctrl=MPE)
    pause = raw("0180c2000001") + raw(B) + b"\x88\x08\x00\x01\x00\x05" + bytes(42)
    send(b, pause, frame(60))
    assert a.received(0) == frame(60)
    assert a.reg(0x41a8) == 1 and a.reg(0x41a8) == 0


def test_vlan(pair):
    a, b = pair
    tagged = bytes(Ether(dst=A, src=B) / Dot1Q(vlan=0x123, prio=5) / Raw(bytes(range(60))))
    a.rx()
    a.set(RXDCTL, ENABLE | 1 << 30)
    send(b, tagged)
    assert a.received(0) == tagged[:12] + tagged[16:]
    assert a.rx_descriptor(0) == (len(tagged) - 4, DD | RX_EOP | 8, 0, 0xa123)
    a.set(RXDCTL, ENABLE)
    send(b, tagged)
    assert a.received(1) == tagged and a.rx_descriptor(1)[1] == DD | RX_EOP
    a.set(VLNCTRL, a.reg(VLNCTRL) | 1 << 30)
    send(b, tagged, frame(60))
    assert a.received(2) == frame(60)
    a.set(VFTA0 + 4 * (0x123 >> 5), 1 << (0x123 & 31))
    send(b, tagged)
    assert a.received(3) == tagged


# --- transmit ---

@pytest.mark.parametrize("advanced", [True, False], ids=["advanced", "legacy"])
def test_dd_comes_for_rs_alone(pair, advanced):
    a, b = pair
    a.rx(entries=16)
    plain = [b.queue_frame(frame(60 + n), EOP | IFCS, advanced=advanced) for n in range(5)]
    marked = b.queue_frame(frame(70), EOP | IFCS | RS, advanced=advanced)
    before = [b.tx_descriptor(n) for n in plain]
    told = b.tx_descriptor(marked)
    b.kick()
    b.sent(marked)
    assert [b.tx_descriptor(n) for n in plain] == before     # not a bit has changed
    assert b.tx_descriptor(marked) == (told[0], told[1], told[2] | DD)
    assert b.reg(TDH) == 6
    assert [a.received(n) for n in range(6)] == [frame(60), frame(61), frame(62), frame(63), frame(64), frame(70)]


@pytest.mark.parametrize("advanced", [True, False], ids=["advanced", "legacy"])
@pytest.mark.parametrize("pieces", [2, 3, 40])
def test_chains(pair, advanced, pieces):
    a, b = pair
    a.rx()
    data = frame(1514)
    cuts = [len(data) * n // pieces for n in range(pieces + 1)]
    kind = DATA if advanced else 0
    numbers = []
    for first, last in zip(cuts, cuts[1:]):
        end = EOP | RS if last == len(data) else 0
        numbers.append(b.queue(b.place(data[first:last]), (last - first) | kind | IFCS | end, len(data) << 14))
    # Until all of it is published nothing is sent.
    b.set(TDT, numbers[-1])
    assert b.reg(TDT) == numbers[-1]
    assert b.reg(TDH) == 0 and a.reg(x540.TPR) == 0
    b.kick()
    assert a.received(0) == data
    b.sent(numbers[-1])
    assert all(b.tx_descriptor(n)[2] & DD == 0 for n in numbers[:-1])


def test_rs_in_the_middle_of_a_chain(pair):
    a, b = pair
    a.rx()
    data = frame(200)
    b.queue(b.place(data[:100]), 100 | DATA | IFCS | RS, 200 << 14)
    last = b.queue(b.place(data[100:]), 100 | DATA | IFCS | EOP | RS)
    b.kick()
    b.sent(last)
    assert b.tx_descriptor(0)[2] & DD
    assert a.received(0) == data


def test_a_chain_that_is_too_long_is_not_sent(pair):
    a, b = pair
    a.rx()
    at = b.place(frame(1000))
    for n in range(41):
        last = b.queue(at + 10 * n, 10 | DATA | IFCS | (EOP | RS if n == 40 else 0), 410 << 14)
    b.kick()
    b.sent(last)
    send(b, frame(99))
    assert a.received(0) == frame(99)


def test_the_ring_wraps(pair):
    a, b = pair
    b.set(TXDCTL, 0)
    b.tx(entries=8)
    a.rx(entries=64)
    for n in range(50):
        b.memory[b.tx_ring + 16 * b.tx_tail + 12:b.tx_ring + 16 * b.tx_tail + 16] = bytes(4)
        send(b, frame(60 + n))
    assert [len(a.received(n)) for n in range(50)] == list(range(60, 110))


def test_write_back_threshold(pair):
    """WTHRESH > 0: RS does not matter, everything is written back in groups."""
    a, b = pair
    a.rx(entries=32)
    b.set(TXDCTL, 0)
    b.set(0x900, 0x8000)                                     # TX queue 0 leads to vector 0 ...
    b.set(0x820, 0x1ff << 3)                                 # ... whose interval is 1 ms
    b.tx(entries=64, wthresh=4)
    for n in range(4):
        b.queue_frame(frame(60), EOP | IFCS)
    b.kick()
    b.sent(3)
    assert all(b.tx_descriptor(n)[2] & DD for n in range(4))
    b.queue_frame(frame(60), EOP | IFCS)                     # a group that does not fill: the timer's
    b.kick()
    b.sent(4)
    b.set(TXDCTL, ENABLE | 100 << 16)
    b.set(0x820, 0x1ff << 3)
    b.queue_frame(frame(60), EOP | IFCS)
    b.kick()
    b.set(TXDCTL, ENABLE | 100 << 16 | 1 << 26)              # software flush clears itself
    assert b.reg(TXDCTL) & 1 << 26 == 0
    b.sent(5)


def test_head_write_back(pair):
    a, b = pair
    a.rx()
    at = b.place(b"\xff" * 64)
    b.set(TDWBAL, at & 0xffffffff | 1)
    last = b.queue_frame(frame(60))
    b.kick()
    wait_for(lambda: b.memory[at - IOVA:at - IOVA + 4] == struct.pack("<I", last + 1), "the head in memory")
    assert b.tx_descriptor(last)[2] & DD == 0


def test_transmit_is_gated(pair):
    a, b = pair
    a.rx()
    b.set(DMATXCTL, b.reg(DMATXCTL) & ~1)
    b.queue_frame(frame(60))
    b.kick()
    assert b.reg(TDH) == 0 and b.reg(x540.GPTC) == 0
    b.client.set_config(4, 2, 2)                             # no bus mastering either
    b.set(DMATXCTL, b.reg(DMATXCTL) | 1)
    assert b.reg(TDH) == 0 and b.reg(x540.GPTC) == 0
    b.client.set_config(4, 2, 6)
    assert a.received(0) == frame(60)


def test_crc_of_the_driver(pair):
    a, b = pair
    a.rx()
    data = frame(80)
    good = data + struct.pack("<I", binascii.crc32(data))
    b.queue_frame(good[:-1] + bytes([good[-1] ^ 1]), EOP | RS)
    b.queue_frame(good, EOP | RS)
    b.kick()
    assert a.received(0) == data and a.rx_descriptor(1)[1] == 0


def test_sizes_that_cannot_be_sent(pair):
    a, b = pair
    a.rx(fctrl=BAM | UPE)
    at = b.place(bytes(65536))
    for size in (0, 13, 20000, 65535):
        last = b.queue(at, size | DATA | EOP | IFCS | RS, size << 14)
        b.kick()
        b.sent(last)
    send(b, frame(60))
    assert a.received(0) == frame(60)
    assert b.reg(x540.GPTC) == 1


def test_vlan_insertion(pair):
    a, b = pair
    a.rx()
    data = frame(100)
    b.queue_frame(data, EOP | IFCS | RS | VLE, options=0x6123 << 16, advanced=False)
    b.context(vlan=0x2045)
    b.queue_frame(data, EOP | IFCS | RS | VLE)
    b.kick()
    assert a.received(0) == data[:12] + b"\x81\x00\x61\x23" + data[12:]
    assert a.received(1) == data[:12] + b"\x81\x00\x20\x45" + data[12:]


def test_context_descriptors_have_two_places(pair):
    a, b = pair
    a.rx()
    b.context(vlan=1, index=0)
    b.context(vlan=2, index=1, rs=True)
    b.queue_frame(frame(60), EOP | IFCS | VLE | RS, options=1 << 4)
    b.queue_frame(frame(60), EOP | IFCS | VLE | RS)
    b.kick()
    assert a.received(0)[14:16] == b"\x00\x02" and a.received(1)[14:16] == b"\x00\x01"
    assert b.tx_descriptor(1)[2] & DD and b.tx_descriptor(0)[2] & DD == 0


# --- checksums and segmentation ---

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


# --- statistics ---

def test_statistics_are_cleared_by_reading(pair):
    a, b = pair
    a.rx(entries=32, fctrl=BAM | MPE)
    sizes = (60, 61, 123, 124, 252, 508, 1020, 1514)
    frames = [frame(size) for size in sizes] + [
        frame(60, to="ff:ff:ff:ff:ff:ff"), frame(60, to=GROUP), frame(60, to=OTHER)]
    send(b, *frames)
    a.received(9)
    octets = sum(len(f) + 4 for f in frames)
    expected = {x540.GPTC: 11, x540.TPT: 11, x540.GOTCL: octets, x540.GOTCH: 0, 0x40f0: 1, 0x40f4: 1,
                x540.QPTC0: 11, 0x8700: octets, 0x8704: 0}
    for offset, value in expected.items():
        assert b.reg(offset) == value, hex(offset)
    for offset in expected:
        assert b.reg(offset) == 0, hex(offset)
    expected = {x540.TPR: 11, 0x40c0: octets, 0x40c4: 0, x540.GPRC: 10, x540.BPRC: 1, x540.MPRC: 1,
                x540.GORCL: octets - 64, x540.GORCH: 0, x540.QPRC0: 10, 0x1034: octets - 64 - 40, 0x1038: 0}
    for offset, value in expected.items():
        assert a.reg(offset) == value, hex(offset)
    for offset in expected:
        assert a.reg(offset) == 0, hex(offset)


def test_size_counters(pair):
    a, b = pair
    a.rx(entries=32)
    #        64  65 127  128 255  256 511  512 1023  1024 1518 with CRC
    sizes = (60, 61, 123, 124, 251, 252, 507, 508, 1019, 1020, 1514)
    send(b, *[frame(size) for size in sizes])
    a.received(len(sizes) - 1)
    assert [b.reg(0x40d8 + 4 * n) for n in range(6)] == [1, 2, 2, 2, 2, 2]
    assert [a.reg(0x405c + 4 * n) for n in range(6)] == [1, 2, 2, 2, 2, 2]


def test_length_errors_and_octet_halves(pair):
    a, b = pair
    a.rx()
    data = frame(100)
    send(b, data[:12] + struct.pack(">H", 200) + data[14:], data[:12] + struct.pack(">H", 86) + data[14:])
    a.received(0)
    assert a.reg(x540.RLEC) == 1 and a.reg(x540.GPRC) == 1
    assert a.reg(x540.GORCL) == 104 and a.reg(x540.GORCL) == 104 and a.reg(x540.GORCH) == 0
    assert a.reg(x540.GORCL) == 0


def test_a_full_packet_buffer_counts_what_it_misses(one):
    """A generator with a rate does not wait: what finds neither descriptor nor packet buffer is lost."""
    card = one("gen:1514@200000")
    card.set(x540.RXPBSIZE0, 64 << 10)
    card.rx(entries=8, fctrl=BAM | UPE | MPE)
    missed = 0

    def count():
        nonlocal missed
        missed += card.reg(x540.RXMPC0)
        return missed > 10
    wait_for(count, "missed frames")
    assert card.reg(x540.EICR) & 1 << 17 and card.reg(x540.QPRDC0) == 0
    assert card.reg(RDH) == 7
    for n in range(40):                                      # the buffer holds 43 of them
        at = (7 + n) % 8
        card.arm((at + 1) % 8)
        card.set(RDT, (at + 1) % 8)
        assert len(card.received(at)) == 1514


# --- wires ---

def test_loop(one):
    card = one("loop")
    card.rx()
    card.tx()
    send(card, frame(300))
    assert card.received(0) == frame(300)


def test_pcap_in_and_out(one, run):
    frames = [Ether(frame(60 + n, to=A)) for n in range(200)]
    wrpcap(str(run.dir / "in.pcap"), frames)
    card = one(f"pcap:{run.dir}/in.pcap,{run.dir}/out.pcap")
    card.rx(entries=16)
    card.tx(entries=256)
    at = 0
    for n in range(200):
        data = card.received(at)
        assert data == bytes(frames[n])
        card.queue_frame(data, EOP | IFCS | RS)
        card.kick()
        card.arm(at)
        card.set(RDT, at)
        at = (at + 1) % 16
    card.sent(199)
    assert card.process.stop() == 0
    assert [bytes(p) for p in rdpcap(str(run.dir / "out.pcap"))] == [bytes(f) for f in frames]


def test_mac_loopback(one):
    card = one("sink")
    card.set(HLREG0, card.reg(HLREG0) | 1 << 15)
    card.rx()
    card.tx()
    card.set(HLREG0, card.reg(HLREG0) | 1 << 15)
    send(card, frame(100))
    assert card.received(0) == frame(100)


# --- memory ---

def test_dma_over_4k_maps_with_unrelated_offsets(run):
    """As a client behind a vIOMMU maps: each page elsewhere in the file, everything crosses pages."""
    process = run.start("nicsim", "--device", "x540", "--socket", run.dir / "s", "--wire", "loop")
    process.expect("^nicsim")
    pages = 512
    order = [(n * 211 + 17) % pages for n in range(pages)]
    base = 0x7fff00000000
    with x540.Client(run.dir / "s") as client:
        memory = x540.Memory(pages * 4096)
        for n, where in enumerate(order):
            client.dma_map(base + n * 4096, 4096, memory, where * 4096)
        client.set_config(4, 2, 6)

        def at(offset, size):
            while size:
                page, inside = divmod(offset, 4096)
                n = min(size, 4096 - inside)
                start = order[page] * 4096 + inside
                yield slice(start, start + n)
                offset, size = offset + n, size - n

        def write(offset, data):
            for piece in at(offset, len(data)):
                memory[piece] = data[:piece.stop - piece.start]
                data = data[piece.stop - piece.start:]

        def read(offset, size):
            return b"".join(memory[piece] for piece in at(offset, size))

        client.set_reg(HLREG0, client.reg(HLREG0) | 6)
        client.set_reg(0x2f00, client.reg(0x2f00) | 2)
        client.set_reg(MAXFRS, 9728 << 16)
        client.set_reg(FCTRL, UPE)
        size = 8000
        data = raw(A) + raw(B) + b"\x88\xb5" + bytes(n * 5 & 0xff for n in range(size - 14))
        source, target = 100 * 4096 + 4000, 200 * 4096 + 2050
        write(source, data)
        write(0, struct.pack("<QQ", base + target, 0) * 8)
        write(8 * 4096, struct.pack("<QII", base + source, size | DATA | EOP | IFCS | RS, size << 14))
        for queue, where in ((0x1000, 0), (0x6000, 8 * 4096)):
            client.set_reg(queue, base + where & 0xffffffff)
            client.set_reg(queue + 4, base + where >> 32)
            client.set_reg(queue + 8, 128)
        client.set_reg(0x1014, 10 | 1 << 25)
        client.set_reg(RXDCTL, ENABLE)
        client.set_reg(RDT, 7)
        client.set_reg(RXCTRL, 1)
        client.set_reg(DMATXCTL, 1)
        client.set_reg(TXDCTL, ENABLE)
        client.set_reg(TDT, 1)
        wait_for(lambda: read(8, 1)[0] & 1, "the frame")
        assert read(target, size) == data
        # A page in the middle goes: what crosses it is refused, whole.
        client.dma_unmap(base + 201 * 4096, 4096)
        write(target, bytes(size))
        client.set_reg(TDT, 0)
        client.set_reg(TXDCTL, 0)
        client.set_reg(TDH, 0)
        client.set_reg(TXDCTL, ENABLE)
        write(8 * 4096, struct.pack("<QII", base + source, size | DATA | EOP | IFCS | RS, size << 14))
        client.set_reg(TDT, 1)
        wait_for(lambda: read(8 * 4096 + 12, 1)[0] & 1, "the frame is sent")
        wait_for(lambda: client.reg(RDH) == 2, "the descriptor is used up")
        assert read(16 + 8, 1)[0] & 1 == 0
        assert read(target, size) == bytes(size)
    assert process.running()


def refused(process):
    process.signal(10)                                       # SIGUSR1
    return int(process.expect(r"refused DMA (\d+)").group(1))


def test_accesses_outside_the_maps_are_counted(one):
    card = one("loop")
    card.rx()
    card.tx()
    last = card.queue(0xdead0000, 60 | DATA | EOP | IFCS | RS, 60 << 14)
    card.kick()
    card.sent(last)
    assert card.reg(x540.GPTC) == 0
    last = card.queue(IOVA + card.memory.size - 30, 60 | DATA | EOP | IFCS | RS, 60 << 14)
    last = card.queue((1 << 64) - 30, 60 | DATA | EOP | IFCS | RS, 60 << 14)
    card.kick()
    card.sent(last)
    send(card, frame(60))
    assert card.received(0) == frame(60)
    assert refused(card.process) == 3


def test_maps_without_files_and_read_only_maps(one):
    card = one("loop")
    card.client.dma_map(0x20000000, 4096)
    only = x540.Memory(4096)
    only[0:60] = frame(60)
    card.client.dma_map(0x20001000, 4096, only, prot=x540.vfio_user.READABLE)
    card.rx()
    card.tx()
    card.queue(0x20000000, 60 | DATA | EOP | IFCS | RS, 60 << 14)
    last = card.queue(0x20001000, 60 | DATA | EOP | IFCS | RS, 60 << 14)
    card.kick()
    card.sent(last)
    assert card.received(0) == frame(60)
    # A receive buffer that must not be written: the frame is lost, the next one is not.
    card.memory[card.rx_ring + 16:card.rx_ring + 24] = struct.pack("<Q", 0x20001000)
    send(card, frame(70), frame(80))
    assert card.received(2) == frame(80) and card.rx_descriptor(1)[1] == 0
    assert only[0:60] == frame(60)
    assert refused(card.process) == 2


@pytest.mark.parametrize("how", ["truncate", "punch"])
def test_memory_that_goes_away(one, how):
    """A file cut short under its map, and huge pages taken out of it: SIGBUS at the next access."""
    import ctypes
    import os
    card = one("loop")
    if how == "punch":
        try:
            memory = x540.Memory(2 << 20, os.MFD_CLOEXEC | os.MFD_HUGETLB)
        except OSError:
            pytest.skip("no huge pages on this machine")
    else:
        memory = x540.Memory(2 << 20)
    card.client.dma_map(0x40000000, 2 << 20, memory)
    card.rx()
    card.tx()
    if how == "truncate":
        os.ftruncate(memory.fd, 4096)
    else:
        ctypes.CDLL(None).fallocate(memory.fd, 3, ctypes.c_long(0), ctypes.c_long(2 << 20))
    last = card.queue(0x40100000, 60 | DATA | EOP | IFCS | RS, 60 << 14)
    card.kick()
    card.sent(last)
    send(card, frame(60))
    assert card.received(0)[:6] in (raw(A), bytes(6))
    assert card.process.running()
    if how == "truncate":
        card.process.signal(10)
        assert card.process.expect(r"lost files (\d)").group(1) == "1"
