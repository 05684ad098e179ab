# SPDX-License-Identifier: BSD-3-Clause
"""nicsim's queues: which one a frame goes to (RSS, by Microsoft's published vectors and by a model of its
own), and what several of them keep apart: rings, contexts, counters, interrupts."""
import ipaddress
import random
import struct

import pytest
from scapy.all import IP, TCP, UDP, Dot1Q, Ether, IPv6, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, Raw

import x540
from lab import DOORBELLS, wait_for
from rss import KEY, PUBLISHED, toeplitz
from vfio_user import DATA_EVENTFD, MSIX, TRIGGER, Event
from x540 import (A, B, DATA, DD, EIAC, EIMS, ENABLE, EOP, GPIE, IFCS, IVAR0, MPE, RDH, RDT, RS, RXDCTL, TDT, TXDCTL,
                  UPE, VLE, Card, frame, one, pair, post, raw, send)

RXCSUM, PCSD, MRQC, RETA, RSSRK, RQSMR, TQSM = 0x5000, 0x2000, 0x5818, 0x5c00, 0x5c80, 0x2300, 0x8600
QBRC, QPRDC, QBTC = 0x1034, 0x1430, 0x8700
# MRQC's fields, and the RSS types of a descriptor (82599 datasheet 8.2.3.7.12, 7.1.6.2).
TCP4, IP4, IP6, TCP6, UDP4, UDP6 = (1 << n for n in (16, 17, 20, 21, 22, 23))
ALL = TCP4 | IP4 | IP6 | TCP6 | UDP4 | UDP6
NONE, T_TCP4, T_IP4, T_TCP6, T_IP6, T_UDP4, T_UDP6 = 0, 1, 2, 3, 5, 7, 8

class Queue(Card):
    """Queue n of a card: the same methods, rings of its own."""

    def __init__(self, card, n):
        self.client, self.memory, self.take = card.client, card.memory, card.take

        def at(offset):
            return offset + 0x40 * n if 0x1000 <= offset < 0x1040 or 0x6000 <= offset < 0x6040 else offset
        self.reg = lambda offset: card.reg(at(offset))
        self.set = lambda offset, value: card.set(at(offset), value)

    def path(self, n):
        """Hash and type of a written-back descriptor."""
        first, = struct.unpack("<Q", self.memory[self.rx_ring + 16 * n:self.rx_ring + 16 * n + 8])
        return first >> 32, first & 15


def spread(card, fields=ALL, key=KEY, reta=lambda entry: 0, pcsd=True):
    for n in range(10):
        card.set(RSSRK + 4 * n, int.from_bytes(key[4 * n:4 * n + 4], "little"))
    for n in range(32):
        card.set(RETA + 4 * n, int.from_bytes(bytes(reta(4 * n + i) for i in range(4)), "little"))
    card.set(RXCSUM, PCSD if pcsd else 0)
    card.set(MRQC, 1 | fields)


def queues(card, numbers, **how):
    made = {n: Queue(card, n) for n in numbers}
    for queue in made.values():
        queue.rx(fctrl=UPE | MPE, **how)
    return made


def packet(source, sport, to, dport, transport=TCP, **fields):
    network = IPv6 if ":" in source else IP
    layers = Ether(dst=A, src=B) / network(src=source, dst=to, **fields)
    return bytes(layers / transport(sport=sport, dport=dport) / Raw(bytes(20)) if transport else layers / Raw(bytes(60)))


def hashed(pair, data, **how):
    """What the card makes of one frame: hash and type."""
    a, b = pair
    spread(a, **how)
    queue, = queues(a, [0]).values()
    send(b, data)
    assert queue.received(0)[:len(data)] == data
    return queue.path(0)


# --- the hash ---

@pytest.mark.parametrize("source, sport, to, dport, addresses, ports", PUBLISHED)
def test_published_vectors(pair, source, sport, to, dport, addresses, ports):
    a, b = pair
    six = ":" in source
    spread(a)
    queue, = queues(a, [0]).values()
    send(b, packet(source, sport, to, dport, TCP), packet(source, sport, to, dport, UDP),
         packet(source, sport, to, dport, None))
    queue.received(2)
    assert queue.path(0) == (ports, T_TCP6 if six else T_TCP4)
    assert queue.path(1) == (ports, T_UDP6 if six else T_UDP4)
    assert queue.path(2) == (addresses, T_IP6 if six else T_IP4)


V4, V6 = PUBLISHED[0], PUBLISHED[5]


@pytest.mark.parametrize("fields, of, transport, expected", [
    (IP4, V4, TCP, (V4[4], T_IP4)), (TCP4, V4, TCP, (V4[5], T_TCP4)), (TCP4, V4, UDP, (0, NONE)),
    (TCP4 | IP4, V4, UDP, (V4[4], T_IP4)), (UDP4, V4, UDP, (V4[5], T_UDP4)), (UDP4, V4, TCP, (0, NONE)),
    (IP6 | TCP6 | UDP6, V4, TCP, (0, NONE)), (IP4 | TCP4 | UDP4, V6, TCP, (0, NONE)), (IP6, V6, TCP, (V6[4], T_IP6)),
    (TCP6, V6, TCP, (V6[5], T_TCP6)), (UDP6, V6, UDP, (V6[5], T_UDP6)), (TCP6, V6, UDP, (0, NONE))])
def test_fields_of_mrqc(pair, fields, of, transport, expected):
    assert hashed(pair, packet(*of[:4], transport), fields=fields) == expected


def test_without_rss_or_pcsd_there_is_no_hash(pair):
    a, b = pair
    spread(a, pcsd=False, reta=lambda entry: 3)
    of = queues(a, [0, 3])
    send(b, packet(*V4[:4]))
    of[3].received(0)
    assert of[3].path(0) == (0, NONE)                        # it went by its hash all the same
    a.set(RXCSUM, PCSD)
    a.set(MRQC, ALL)
    send(b, packet(*V4[:4]))
    of[0].received(0)
    assert of[0].path(0) == (0, NONE)


def test_what_has_ports_and_what_has_not(pair):
    a, b = pair
    tagged = Ether(dst=A, src=B) / Dot1Q(vlan=5) / IP(src=V4[0], dst=V4[2]) / TCP(sport=V4[1], dport=V4[3])
    six = Ether(dst=A, src=B) / IPv6(src=V6[0], dst=V6[2])
    ports = TCP(sport=V6[1], dport=V6[3]) / Raw(bytes(20))
    four = packet(*V4[:4])                                   # 74 bytes

    def begins(byte, data=four):
        return data[:14] + bytes([byte]) + data[15:]
    cases = [(bytes(tagged / Raw(bytes(20))), (V4[5], T_TCP4)),
             (packet(*V4[:4], options=b"\x01" * 8), (V4[5], T_TCP4)),
             (packet(*V4[:4], flags="DF"), (V4[5], T_TCP4)),
             (packet(*V4[:4], flags="MF"), (V4[4], T_IP4)),
             (packet(*V4[:4], frag=1), (V4[4], T_IP4)), (packet(*V4[:4], frag=0x1000), (V4[4], T_IP4)),
             (bytes(six / IPv6ExtHdrHopByHop() / ports), (V6[4], T_IP6)),
             (bytes(six / IPv6ExtHdrFragment() / ports), (V6[4], T_IP6)),
             (begins(0x4f), (V4[4], T_IP4)),                 # a header to the frame's last byte, no ports behind it
             (begins(0x4f, four[:73]), (0, NONE)),           # and one byte beyond
             (begins(0x44), (0, NONE)), (begins(0x65), (0, NONE)), (begins(0x45, packet(*V6[:4])), (0, NONE)),
             (frame(60), (0, NONE))]
    spread(a)
    queue, = queues(a, [0], entries=16).values()
    send(b, *(data for data, _ in cases))
    for n, (data, expected) in enumerate(cases):
        assert queue.received(n) == data
        assert queue.path(n) == expected, data.hex()


def model(key, data):
    """Hash and type by the documentation's rules, of a frame as it is on the wire."""
    data = data.ljust(60, b"\0")
    kind, at = struct.unpack(">H", data[12:14])[0], 14
    if kind == 0x8100:
        kind, at = struct.unpack(">H", data[16:18])[0], 18
    ip = data[at:]
    if kind == 0x0800:
        header = 4 * (ip[0] & 15)
        if ip[0] >> 4 != 4 or not 20 <= header <= len(ip):
            return 0, NONE
        whole = not struct.unpack(">H", ip[6:8])[0] & 0x3fff
        ports = ip[header:header + 4] if whole and ip[9] in (6, 17) and len(ip) >= header + 4 else b""
        kinds = {6: T_TCP4, 17: T_UDP4}
        return toeplitz(key, ip[12:20] + ports), kinds[ip[9]] if ports else T_IP4
    if kind == 0x86dd:
        if ip[0] >> 4 != 6 or len(ip) < 40:
            return 0, NONE
        ports = ip[40:44] if ip[6] in (6, 17) and len(ip) >= 44 else b""
        kinds = {6: T_TCP6, 17: T_UDP6}
        return toeplitz(key, ip[8:40] + ports), kinds[ip[6]] if ports else T_IP6
    return 0, NONE


def test_random_frames_against_a_model(pair):
    """Bytes that look like headers, cut off anywhere; the model knows the published vectors, too."""
    for source, sport, to, dport, addresses, ports in PUBLISHED:
        assert model(KEY, packet(source, sport, to, dport))[0] == ports
        assert model(KEY, packet(source, sport, to, dport, None))[0] == addresses
    chance = random.Random(5)
    key = chance.randbytes(40)
    a, b = pair
    spread(a, key=key, reta=lambda entry: entry % 16)
    of = queues(a, range(16), entries=64)
    taken = dict.fromkeys(of, 0)
    for _ in range(12):
        burst = []
        for _ in range(32):
            body = bytearray(chance.randbytes(chance.randrange(46, 120)))
            kind = chance.choice((b"\x08\x00", b"\x86\xdd", b"\x81\x00", b"\x88\xb5"))
            at = 0
            if kind == b"\x81\x00":
                kind += body[0:2] + chance.choice((b"\x08\x00", b"\x86\xdd"))
            version = 4 if kind.endswith(b"\x08\x00") else 6
            body[at] = chance.choice((version << 4 | 5, version << 4 | chance.randrange(16), chance.randrange(256)))
            if version == 4:
                body[at + 6] &= chance.choice((0, 0x40, 0xff))
                body[at + 7] &= chance.choice((0, 0, 0xff))
                body[at + 9] = chance.choice((6, 17, 1))
            else:
                body[at + 6] = chance.choice((6, 17, 58))
            burst.append(raw(A) + raw(B) + kind + bytes(body))
        send(b, *burst)
        for data in burst:
            hash_, kind = model(key, data)
            queue = hash_ % 128 % 16 if kind else 0
            n = taken[queue] % 64
            assert of[queue].received(n)[:len(data)] == data
            assert of[queue].path(n) == (hash_, kind), data.hex()
            of[queue].arm(n)
            of[queue].set(RDT, n)
            taken[queue] += 1
    assert sum(taken.values()) == 12 * 32 and min(taken.values()) > 0


# --- several receive queues ---

def flows(wanted, count=1):
    """Frames whose hash ends in each of `wanted` entries of RETA."""
    found = {entry: [] for entry in wanted}
    for port in range(1, 65536):
        entry = toeplitz(KEY, bytes([10, 0, 0, 1, 10, 0, 0, 2]) + struct.pack(">HH", port, 9)) & 127
        if entry in found and len(found[entry]) < count:
            found[entry].append(packet("10.0.0.1", port, "10.0.0.2", 9, UDP))
            if all(len(frames) == count for frames in found.values()):
                return found
    raise AssertionError("no such flows")


def test_reta_leads_to_queues_with_counters_and_vectors(pair):
    a, b = pair
    events = [Event() for _ in range(6)]
    a.client.set_irqs(MSIX, DATA_EVENTFD | TRIGGER, 0, 6, fds=[event.fd for event in events])
    a.set(GPIE, 1 << 4 | 1 << 30)
    a.set(EIAC, 0xffff)
    a.set(EIMS, 0xffff)
    for n in range(3):                                       # queue n: vector n + 1 for RX alone
        a.set(IVAR0 + 4 * n, (0x80 | 2 * n + 1) | (0x80 | 2 * n + 2) << 16)
    a.set(RQSMR, 0x09030201)                                 # counters 1, 2, 3 and 9
    spread(a, reta=lambda entry: 15 if entry == 9 else entry % 4)
    of = queues(a, [0, 1, 2, 3, 15])
    by_entry = flows([0, 1, 2, 3, 7, 9])
    frames = {entry: frames[0] for entry, frames in by_entry.items()}
    send(b, frames[0], frames[1], frames[2], frames[3], frames[7], frames[9])
    for entry, queue, n in (0, 0, 0), (1, 1, 0), (2, 2, 0), (3, 3, 0), (7, 3, 1), (9, 15, 0):
        assert of[queue].received(n) == frames[entry]
    assert [of[n].reg(RDH) for n in of] == [1, 1, 1, 2, 1]
    for n in range(4):
        assert events[n + 1].wait() >= 1
    assert events[5].wait(0) == events[0].wait(0) == 0
    size = len(frames[0])
    assert [a.reg(0x1030 + 0x40 * n) for n in (0, 1, 2, 3, 9)] == [1, 1, 1, 1, 2]
    assert a.reg(QBRC + 0x40 * 9) == 2 * size
    # What has no hash goes to queue 0, whatever the table says.
    a.set(RETA, 0x03030303)
    send(b, frame(60))
    assert of[0].received(1) == frame(60)


@pytest.mark.parametrize("drop", [True, False], ids=["DROP_EN", "waits"])
def test_a_queue_without_buffers(pair, drop):
    a, b = pair
    a.set(RQSMR, 0x03020100)
    spread(a, reta=lambda entry: entry % 2)
    of = queues(a, [0, 1], drop=drop)
    first, second = (frames[0] for frames in flows([0, 1]).values())
    send(b, *[second] * 9, first)                            # queue 1 has seven buffers
    of[1].received(6)
    if drop:                                                 # the others go on
        assert of[0].received(0) == first
        assert (a.reg(QPRDC), a.reg(QPRDC + 0x40)) == (0, 2)
    else:                                                    # all wait behind the one that does not fit
        assert of[0].reg(RDH) == 0
        of[1].arm(0)
        of[1].set(RDT, 0)
        of[1].received(7)
        assert of[0].reg(RDH) == 0
        of[1].arm(1)
        of[1].set(RDT, 1)
        assert of[0].received(0) == first
        assert a.reg(QPRDC + 0x40) == 0


def test_a_queue_that_is_off(pair):
    a, b = pair
    spread(a, reta=lambda entry: entry % 2)
    of = queues(a, [0, 1])
    first, second = (frames[0] for frames in flows([0, 1]).values())
    of[1].set(RXDCTL, 0)
    send(b, second, first)
    assert of[0].received(0) == first and of[1].reg(RDH) == 0
    of[1].set(RXDCTL, ENABLE)
    send(b, second)
    assert of[1].received(0) == second
    # With all of them off a wire that can wait does.
    of[0].set(RXDCTL, 0)
    of[1].set(RXDCTL, 0)
    a.ask(x540.STATUS)
    post(b, first, second)
    of[1].set(RXDCTL, ENABLE)
    assert of[1].received(1) == second
    assert of[0].reg(RDH) == 1


def test_what_waited_is_there_after_the_queue_was_off(pair):
    """82599 datasheet 4.6.7.1.1: frames in the packet buffer are received after the queue is enabled again."""
    a, b = pair
    spread(a, reta=lambda entry: entry % 2)
    of = queues(a, [0, 1])
    second = flows([1])[1][0]
    send(b, *[second] * 8)
    of[1].received(6)
    of[1].set(RXDCTL, 0)
    of[1].set(RDT, 0)
    assert of[1].reg(RDH) == 7
    of[1].set(RXDCTL, ENABLE)
    assert of[1].received(7) == second


# --- several transmit queues ---

def test_transmit_queues_take_turns(pair):
    a, b = pair
    a.rx(entries=128, fctrl=UPE | MPE)
    of = {n: Queue(b, n) for n in (0, 1, 40, 63)}
    numbers = {n: 0x100 + n for n in of}
    for queue in of.values():
        queue.tx(entries=64)
    b.set(x540.DMATXCTL, 0)
    for n, queue in of.items():
        for _ in range(24):
            last = queue.queue_frame(frame(numbers[n]))
        queue.last = last
        queue.kick()
    b.set(x540.DMATXCTL, 1)
    for queue in of.values():
        queue.sent(queue.last)
    order = [len(a.received(n)) for n in range(96)]
    assert sorted(order) == sorted(24 * list(numbers.values()))
    # No queue waits for another one's end: each has begun before any has sent two thirds of its frames.
    for size in numbers.values():
        assert all(order[:order.index(size)].count(other) <= 16 for other in numbers.values())


def test_contexts_are_each_queues_own(pair):
    a, b = pair
    a.rx(fctrl=UPE | MPE)
    of = {n: Queue(b, n) for n in (0, 5)}
    for n, queue in of.items():
        queue.tx()
        queue.context(vlan=100 + n)
        queue.kick()
    for n, queue in of.items():
        last = queue.queue_frame(frame(64), EOP | IFCS | RS | VLE)
        queue.kick()
        queue.sent(last)
    tags = [struct.unpack(">HH", a.received(n)[12:16]) for n in range(2)]
    assert tags == [(0x8100, 100), (0x8100, 105)]


def test_counters_and_vectors_of_transmit_queues(pair):
    a, b = pair
    a.rx(fctrl=UPE | MPE)
    event = Event()
    b.client.set_irqs(MSIX, DATA_EVENTFD | TRIGGER, 3, 1, fds=[event.fd])
    b.set(GPIE, 1 << 4)
    b.set(EIMS, 0xffff)
    b.set(IVAR0 + 4 * 31, 0x83 << 24)                        # TX queue 63: vector 3
    b.set(TQSM + 4 * 15, 0x0c000000)                         # and counter 12
    last, first = Queue(b, 63), Queue(b, 0)
    last.tx()
    first.tx()
    send(last, frame(100), frame(100))
    send(first, frame(60))
    a.received(2)
    assert event.wait() >= 1
    assert b.reg(x540.QPTC0 + 0x40 * 12) == 2 and b.reg(x540.QPTC0) == 1
    assert b.reg(QBTC + 8 * 12) == 208 and b.reg(QBTC) == 64


def test_a_queue_that_is_turned_off_is_forgotten(pair):
    """Its frames do not go out when it is turned on again, and it holds up nobody."""
    a, b = pair
    of = {n: Queue(b, n) for n in (0, 1)}
    for queue in of.values():
        queue.tx(entries=512, wthresh=4)
    address = b.place(frame(1514))
    for _ in range(511):
        of[1].queue(address, 1514 | DATA | EOP | IFCS | RS, 1514 << 14)
    of[1].kick()                                             # nobody listens: the cable fills up

    def stands():
        first = of[1].reg(x540.TDH)
        # With mapped doorbells there is nothing but the other card's descriptors to fill.
        return (first > 0 or DOORBELLS == "mapped") and all(of[1].reg(x540.TDH) == first for _ in range(20))
    wait_for(stands, "the cable to be full")
    of[1].set(TXDCTL, 0)
    sent = b.ask(x540.TDH + 0x40)                            # a message: the card knows that it is off
    assert sent < 511
    of[1].set(x540.TDH, 0)
    of[1].set(TDT, 0)
    of[1].set(TXDCTL, ENABLE)
    of[1].tx_tail = 0
    last = of[1].queue_frame(frame(61))
    of[1].kick()
    a.rx(entries=512, fctrl=UPE | MPE)
    of[1].sent(last)
    send(of[0], *[frame(60)] * 4)
    assert a.received(sent) == frame(61)
    assert a.received(sent + 4) == frame(60)
    assert a.rx_descriptor(sent + 5)[1] & DD == 0


@pytest.mark.parametrize("interval", [0, 0xff8])
def test_groups_of_several_queues(pair, interval):
    """WTHRESH: what does not fill a group is reported after the interval, each queue's."""
    a, b = pair
    a.rx(entries=64, fctrl=UPE | MPE)
    b.set(x540.EITR0, interval)
    of = {n: Queue(b, n) for n in (0, 7, 63)}
    for queue in of.values():
        queue.tx(wthresh=8)
    for n, queue in of.items():
        for _ in range(3):
            queue.last = queue.queue_frame(frame(60 + n))
        queue.kick()
    for queue in of.values():
        queue.sent(queue.last)
        assert all(queue.tx_descriptor(n)[2] & DD for n in range(3))


def test_beyond_what_there_is(one):
    card = one(args=["--strict"])
    process = card.process
    far = Queue(card, 64)
    far.tx()
    process.expect("TX queue 64 enabled: without DCB and virtualization there are 64")
    last = far.queue_frame(frame(60))
    far.kick()
    assert far.reg(x540.TDH) == 0 and far.tx_descriptor(last)[2] & DD == 0
    card.set(0x1028 + 0x40 * 20, ENABLE)
    process.expect("RX queue 20 enabled: RSS leads to queues 0 to 15")
    card.set(MRQC, 8)
    process.expect("MRQC mode 8 is not served")
