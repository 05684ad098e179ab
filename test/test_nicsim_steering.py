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
