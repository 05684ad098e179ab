# SPDX-License-Identifier: BSD-3-Clause
"""nicsim's filters that lead frames to queues: by EtherType, by TCP's SYN, by addresses and ports (82599 datasheet
7.1.2)."""
import ipaddress
import struct

import pytest
from scapy.all import ICMP, IP, SCTP, TCP, UDP, Dot1Q, Ether, IPv6, Raw

from test_nicsim_queues import packet, queues, spread
from x540 import A, B, RDH, frame, pair, send  # noqa: F401

ETQF, ETQS, SYNQF = 0x5128, 0xec00, 0xec30
SAQF, DAQF, SDPQF, FTQF, L34TIMIR = 0xe000, 0xe200, 0xe400, 0xe600, 0xe800
ON = 1 << 31
# Fields of FTQF that are not compared.
SOURCE, TO, SPORT, DPORT, PROTOCOL = (1 << n for n in range(25, 30))
OF_TCP, OF_UDP, OF_SCTP, OF_OTHER = range(4)

FLOW = ("10.0.0.2", 1000, "10.0.0.1", 2000)


def filter_for(card, n, queue, mask=0, protocol=OF_TCP, priority=1, flow=FLOW, on=ON):
    source, sport, to, dport = flow

    def address(text):
        return int.from_bytes(ipaddress.ip_address(text).packed, "little")
    card.set(SAQF + 4 * n, address(source))
    card.set(DAQF + 4 * n, address(to))
    card.set(SDPQF + 4 * n, int.from_bytes(struct.pack(">HH", sport, dport), "little"))
    card.set(L34TIMIR + 4 * n, queue << 21 | 1 << 19)
    card.set(FTQF + 4 * n, protocol | priority << 2 | mask | on | 1 << 30)


class Went:
    """Where frames went, by the heads of queues that each have a ring of 64."""

    def __init__(self, cards, numbers):
        self.card, self.other = cards
        self.of = queues(self.card, numbers, entries=64)
        self.heads = dict.fromkeys(numbers, 0)

    def __call__(self, *frames):
        """The queue of each; None: it is in none of them. A frame to queue 0 behind it tells when it is there."""
        found = []
        for data in frames:
            send(self.other, data, frame(99))
            at = self.heads[0]
            if self.of[0].received(at) != frame(99):
                assert self.of[0].received(at + 1) == frame(99)
            now = {n: queue.reg(RDH) for n, queue in self.of.items()}
            moved = [n for n in now if now[n] - self.heads[n] > (n == 0)]
            assert len(moved) <= 1
            for n in moved:
                assert self.of[n].received(self.heads[n])[:len(data)] == data
            self.heads = now
            found.append(moved[0] if moved else None)
        return found


def test_ethertypes(pair):  # noqa: F811
    a, _ = pair
    went = Went(pair, [0, 3, 5])
    other = frame(60)[:12] + b"\x88\xb6" + bytes(46)
    tagged = frame(60)[:12] + b"\x81\x00\x00\x05" + other[12:]
    a.set(ETQF + 4 * 7, ON | 0x88b6)
    assert went(other) == [0]                                 # it has a number, and no queue
    a.set(ETQS + 4 * 7, 3 << 16)
    assert went(other) == [0]
    a.set(ETQS + 4 * 7, ON | 3 << 16)
    assert went(other, tagged, frame(60)) == [3, 3, 0]
    a.set(ETQF, ON | 0x88b6)                                  # the first one counts
    a.set(ETQS, ON | 5 << 16)
    assert went(other) == [5]
    a.set(ETQF, 0x88b6)
    assert went(other) == [3]


def test_syn(pair):  # noqa: F811
    a, _ = pair
    went = Went(pair, [0, 1, 2])
    syn, six = packet(*FLOW), bytes(Ether(dst=A, src=B) / IPv6() / TCP(flags="SA"))
    data = bytes(Ether(dst=A, src=B) / IP(src=FLOW[0], dst=FLOW[2]) / TCP(sport=1000, dport=2000, flags="PA") / Raw(b"x"))
    a.set(SYNQF, 1 << 1)
    assert went(syn) == [0]
    a.set(SYNQF, 1 << 1 | 1)
    assert went(syn, six, data, packet(*FLOW, UDP)) == [1, 1, 0, 0]
    filter_for(a, 0, 2)
    assert went(syn, data) == [2, 2]
    a.set(SYNQF, ON | 1 << 1 | 1)
    assert went(syn, data) == [1, 2]


CHANGED = {SOURCE: ("10.0.0.3", 1000, "10.0.0.1", 2000), TO: ("10.0.0.2", 1000, "10.0.0.7", 2000),
           SPORT: ("10.0.0.2", 1001, "10.0.0.1", 2000), DPORT: ("10.0.0.2", 1000, "10.0.0.1", 2001)}


def test_each_field_of_five(pair):  # noqa: F811
    a, _ = pair
    went = Went(pair, [0, 1])
    filter_for(a, 127, 1)
    assert went(packet(*FLOW), packet(*FLOW, UDP), *(packet(*flow) for flow in CHANGED.values())) == [1, 0, 0, 0, 0, 0]
    for ignored, flow in CHANGED.items():
        filter_for(a, 127, 1, mask=ignored)
        assert went(packet(*flow), *(packet(*it) for field, it in CHANGED.items() if field != ignored)) == [1, 0, 0, 0]
    filter_for(a, 127, 1, mask=PROTOCOL)
    assert went(packet(*FLOW), packet(*FLOW, UDP)) == [1, 1]
    filter_for(a, 127, 1, on=0)
    assert went(packet(*FLOW)) == [0]


def test_protocols(pair):  # noqa: F811
    a, _ = pair
    went = Went(pair, [0, 1])
    ether, ip = Ether(dst=A, src=B), IP(src=FLOW[0], dst=FLOW[2])
    kinds = [packet(*FLOW), packet(*FLOW, UDP), bytes(ether / ip / SCTP(sport=1000, dport=2000) / Raw(bytes(20))),
             bytes(ether / ip / ICMP() / Raw(bytes(20)))]
    for protocol, data in enumerate(kinds):
        filter_for(a, 5, 1, protocol=protocol, mask=SPORT | DPORT)
        assert went(*kinds) == [1 if data is it else 0 for it in kinds]
    # What has no ports, or not all of them, matches none.
    filter_for(a, 5, 1, protocol=OF_OTHER, flow=(FLOW[0], 0, FLOW[2], 0))
    piece = bytes(ether / IP(src=FLOW[0], dst=FLOW[2], flags="MF") / UDP(sport=0, dport=0) / Raw(bytes(20)))
    assert went(kinds[3], piece) == [0, 0]
    for mask, expected in (SPORT, 0), (DPORT, 0), (SPORT | DPORT, 1):
        filter_for(a, 5, 1, protocol=OF_OTHER, mask=mask, flow=(FLOW[0], 0, FLOW[2], 0))
        assert went(kinds[3], piece) == [expected, expected]
    # Behind a tag, and not in IPv6.
    filter_for(a, 5, 1, mask=SOURCE | TO | SPORT | DPORT)
    assert went(bytes(ether / Dot1Q(vlan=5) / ip / TCP() / Raw(bytes(20))), packet("fd00::2", 1, "fd00::1", 2)) == [1, 0]


def test_priorities_and_what_comes_after(pair):  # noqa: F811
    a, _ = pair
    spread(a, reta=lambda entry: 6)
    went = Went(pair, [0, 1, 2, 3, 6])
    assert went(packet(*FLOW)) == [6]
    filter_for(a, 9, 1, priority=3)
    filter_for(a, 20, 2, priority=3)
    assert went(packet(*FLOW)) == [1]
    filter_for(a, 20, 2, priority=4)
    assert went(packet(*FLOW), packet(*FLOW, UDP)) == [2, 6]
    filter_for(a, 3, 3, priority=7)
    assert went(packet(*FLOW)) == [3]
    assert went.of[3].path(0)[1] == 1                         # the hash is there all the same
    filter_for(a, 3, 100, priority=7)                         # there is no such queue
    assert went(packet(*FLOW)) == [None]
    a.set(0, 1 << 26)
    assert a.reg(FTQF + 4 * 3) == 0


@pytest.mark.parametrize("queue", [16, 64, 127])
def test_queues_that_are_not_served(pair, queue):  # noqa: F811
    """Enabled though they are."""
    a, _ = pair
    went = Went(pair, [0])
    a.set((0x1028 if queue < 64 else 0xc028) + 0x40 * queue, 1 << 25)
    filter_for(a, 0, queue)
    assert went(packet(*FLOW), packet(*FLOW, UDP)) == [None, 0]


# --- the flow director ---

FDIRCTRL, FDIRHASH, FDIRCMD, FDIRFREE, FDIRUSTAT, FDIRFSTAT, FDIRMATCH, FDIRMISS, FDIRHKEY, FDIRSKEY = (
    0xee00, 0xee28, 0xee2c, 0xee38, 0xee50, 0xee54, 0xee58, 0xee5c, 0xee68, 0xee6c)
ADD, REMOVE, QUERY, VALID, UPDATE, CLEAR = 1, 2, 3, 4, 8, 0x100
FLM = 4
# Linux's keys.
BUCKET_KEY, SIGNATURE_KEY = 0x3DAD14E2, 0x174D3614
F_UDP, F_TCP, F_SCTP, F_IPV6 = 1, 2, 3, 4


def hashes(source, to, ports=(0, 0), kind=F_TCP, tag=0, flex=0x0800, keys=(BUCKET_KEY, SIGNATURE_KEY)):
    """Bucket and signature as FDIRHASH holds them. What Linux's driver makes of them judges this (test_judge_linux.py)."""
    words = [ports[0] << 16 | ports[1], flex << 16]
    for text in source, to:
        data = ipaddress.ip_address(text).packed
        words += struct.unpack(f">{len(data) // 4}I", data)
    flow, common = kind << 16 | tag, 0
    for word in words:
        common ^= word

    def one(key):
        total = 0
        for n in range(32):
            if not key >> n & 1:
                continue
            window = common ^ flow ^ flow >> 16
            if n < 16:
                window = common << 16 | common >> 16
                if n:
                    window ^= flow ^ flow << 16
            total ^= (window & 0xffffffff) >> n % 16
        return total & 0x7fff
    return one(keys[0]) | one(keys[1]) << 16


def direct(card, value, command=ADD | UPDATE, queue=0):
    card.set(FDIRHASH, value)
    card.set(FDIRCMD, command | 1 << 15 | queue << 16)
    return card.reg(FDIRCMD)


def start(card, memory=1):
    card.set(FDIRHKEY, BUCKET_KEY)
    card.set(FDIRSKEY, SIGNATURE_KEY)
    card.set(FDIRCTRL, memory | 6 << 16)
    assert card.reg(FDIRCTRL) & 8


IN4, IN6 = ("10.0.0.2", "10.0.0.1"), ("fd00::2", "fd00::1")


def test_flow_director(pair):  # noqa: F811
    a, _ = pair
    spread(a, reta=lambda entry: 6)
    went = Went(pair, [0, 1, 2, 3, 6])
    ether = Ether(dst=A, src=B)
    ports = (1000, 2000)
    kinds = [
        (packet(*FLOW), hashes(*IN4, ports)),
        (packet(*FLOW, UDP), hashes(*IN4, ports, F_UDP)),
        (bytes(ether / IP(src=IN4[0], dst=IN4[1]) / SCTP(sport=1000, dport=2000) / Raw(bytes(20))), hashes(*IN4, ports, F_SCTP)),
        (bytes(ether / IP(src=IN4[0], dst=IN4[1]) / ICMP() / Raw(bytes(20))), hashes(*IN4, kind=0)),
        (bytes(ether / IP(src=IN4[0], dst=IN4[1], flags="MF") / TCP() / Raw(bytes(20))), hashes(*IN4, kind=0)),
        (packet(IN6[0], 1000, IN6[1], 2000), hashes(*IN6, ports, F_TCP | F_IPV6, flex=0x86dd)),
        (packet(IN6[0], 1000, IN6[1], 2000, UDP), hashes(*IN6, ports, F_UDP | F_IPV6, flex=0x86dd)),
        (bytes(ether / Dot1Q(vlan=5, prio=3) / IP(src=IN4[0], dst=IN4[1]) / TCP(sport=1000, dport=2000) / Raw(bytes(9))),
         hashes(*IN4, ports, tag=0x6005, flex=0x8100)),
        (bytes(ether / IP(src=IN4[0], dst=IN4[1]) / IPv6(src=IN6[0], dst=IN6[1]) / TCP() / Raw(bytes(9))),
         hashes(*IN4, kind=0)),
    ]
    assert went(packet(*FLOW)) == [6] and a.reg(FDIRMISS) == 0
    start(a)
    assert a.reg(FDIRFREE) == 8190
    for data, value in kinds:
        assert went(data) == [6], data.hex()
        assert (a.reg(FDIRMATCH), a.reg(FDIRMISS)) == (0, 1)
        direct(a, value, queue=2)
        assert (a.reg(FDIRUSTAT), a.reg(FDIRFREE)) == (1, 8189)
        assert went(data) == [2], data.hex()
        assert went.of[2].rx_descriptor(went.heads[2] - 1)[1] & FLM
        assert went.of[2].path(went.heads[2] - 1)[1]          # the hash of RSS as ever
        assert (a.reg(FDIRMATCH), a.reg(FDIRMISS)) == (1, 0)
        assert went(packet("10.0.0.2", 1000, "10.0.0.1", 2001), frame(60)) == [6, 0]
        assert (a.reg(FDIRMATCH), a.reg(FDIRMISS)) == (0, 1)
        direct(a, value, REMOVE)
        assert (a.reg(FDIRUSTAT), a.reg(FDIRFREE)) == (1 << 16, 8190)
        assert went(data) == [6]
        assert went.of[6].rx_descriptor(went.heads[6] - 1)[1] & FLM == 0
        a.reg(FDIRMISS)
    # Filters that are asked before it.
    direct(a, kinds[0][1], queue=2)
    filter_for(a, 0, 1)
    assert went(packet(*FLOW)) == [1]


def test_what_is_done_to_flow_director_filters(pair):  # noqa: F811
    a, _ = pair
    start(a)
    value = hashes(*IN4, (1, 2))
    assert direct(a, value, QUERY) & VALID == 0
    assert direct(a, value, REMOVE) and a.reg(FDIRFSTAT) == 1 << 16
    for queue, command, done, failed, now in ((3, ADD, 1, 0, 3), (4, ADD, 0, 1, 3), (5, ADD | UPDATE, 1, 0, 5)):
        assert direct(a, value, command, queue) & 3 == 0
        assert (a.reg(FDIRUSTAT), a.reg(FDIRFSTAT)) == (done, failed)
        assert direct(a, value, QUERY) & (VALID | 0x7f << 16) == VALID | now << 16
    # Others of the same bucket, the middle one of which goes.
    bucket = value & 0x7fff
    for signature in 7, 8, 9:
        direct(a, bucket | signature << 16, queue=signature)
    direct(a, bucket | 8 << 16, REMOVE)
    found = [direct(a, it, QUERY) for it in (value, *(bucket | signature << 16 for signature in (7, 8, 9)))]
    assert [it >> 16 & 0x7f if it & VALID else None for it in found] == [5, 7, None, 9]
    assert a.reg(FDIRFREE) == 8190 - 3
    direct(a, 1, queue=1)                                     # takes the place of the one that is gone
    assert direct(a, 1, QUERY) & VALID and a.reg(FDIRFREE) == 8190 - 4
    a.set(FDIRCMD, CLEAR)
    assert a.reg(FDIRFREE) == 8190 and direct(a, value, QUERY) & VALID == 0
    # As many as there is memory for.
    a.reg(FDIRUSTAT)
    for n in range(8190):
        a.client.region_write(0, FDIRHASH, struct.pack("<II", n * 4, ADD), posted=True)
    assert (a.reg(FDIRFREE), a.reg(FDIRFSTAT), a.reg(FDIRUSTAT)) == (0, 0, 8190)
    direct(a, 3)
    assert a.reg(FDIRFSTAT) == 1 and direct(a, 3, QUERY) & VALID == 0
    direct(a, 8, REMOVE)
    direct(a, 3)
    assert direct(a, 3, QUERY) & VALID and a.reg(FDIRFREE) == 0
    for memory, free in ((2, 16382), (3, 32766), (0, 0)):
        start(a, memory)
        assert a.reg(FDIRFREE) == free and direct(a, 3, QUERY) & VALID == 0
    start(a)
    direct(a, 3)
    a.set(0, 1 << 26)
    assert a.reg(FDIRFREE) == 0
    start(a)
    assert direct(a, 3, QUERY) & VALID == 0
