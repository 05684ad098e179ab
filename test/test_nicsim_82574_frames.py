# SPDX-License-Identifier: BSD-3-Clause
"""Which frames nicsim's 82574L takes, how long they may be, what it counts, what it does to those that it sends. A loop brings
back what is sent: each test tells a frame that is taken by the one after it, which always is."""
import struct

import pytest
from scapy.all import IP, TCP, UDP, Ether, Raw

from i82574 import *
from lab import wait_for

UPE, MPE, LPE, CFIEN, CFI, BSEX = 1 << 3, 1 << 4, 1 << 5, 1 << 19, 1 << 20, 1 << 25
MTA, RAL, RAH, AV, ROC, TPR, TPT, TORL, TOTL = 0x5200, 0x5400, 0x5404, 1 << 31, 0x40ac, 0x40d0, 0x40d4, 0x40c0, 0x40c8
PRC64, PTC64, BPRC, MPRC, MPTC, BPTC, GOTCL = 0x405c, 0x40d8, 0x4078, 0x407c, 0x40f0, 0x40f4, 0x4090
GROUP, OTHER_MAC = "01:00:5e:12:34:56", "02:00:00:00:00:77"
IC, RS_EOP = 1 << 26, EOP | IFCS | RS


def frame(to, size=60, fill=0):
    return (bytes.fromhex(to.replace(":", "")) + bytes.fromhex("020000000002") + b"\x88\xb5").ljust(size, bytes([fill]))


@pytest.fixture
def card(run):
    process = run.start("nicsim", "--device", "82574l", "--socket", run.dir / "card", "--wire", "loop", "--mac", MAC)
    process.expect("^nicsim: 82574l")
    with Card(run.dir / "card") as card:
        yield card
    assert process.stop() == 0


def taken(card, data, rctl=0, ctrl=0):
    """Whether a frame arrives, by what comes first: it or its successor."""
    card.sent = 0
    card.start(rctl, ctrl)
    mine = frame(MAC, fill=0xfe)
    card.send(data), card.send(mine)
    came = card.received(0, 0)[2]
    assert came.startswith(data) or came.startswith(mine)
    return came.startswith(data)


def test_addresses(card):
    broadcast = "ff:ff:ff:ff:ff:ff"
    for to, rctl, arrives in ((MAC, 0, True), (OTHER_MAC, 0, False), (OTHER_MAC, UPE, True), (OTHER_MAC, MPE, False),
                              (GROUP, 0, False), (GROUP, UPE, False), (GROUP, MPE, True), (broadcast, 0, True)):
        assert taken(card, frame(to), rctl) == arrives, (to, rctl)
    # Without BAM; a group's address among the exact ones; the sixteenth of those; one that is not valid.
    card.start()
    card.set(RCTL, EN | SECRC)
    card.sent = 0
    card.ring(TX, RINGS + 0x2000)
    card.send(frame(broadcast)), card.send(frame(MAC, fill=1))
    assert card.received(0, 0)[2].startswith(frame(MAC, fill=1))
    raw = bytes.fromhex(GROUP.replace(":", ""))
    low, high = struct.unpack("<IH", raw)
    for n, valid, arrives in ((15, AV, True), (15, 0, False), (1, AV, True)):
        card.set(RAL + 8 * n, low), card.set(RAH + 8 * n, high | valid)
        assert taken(card, frame(GROUP)) == arrives
        card.set(RAH + 8 * n, 0)


@pytest.mark.parametrize("offset, shift", [(0, 4), (1, 3), (2, 2), (3, 0)])
def test_multicast_hash(card, offset, shift):
    """12 bits of the address's last 16, by RCTL.MO."""
    raw = bytes.fromhex(GROUP.replace(":", ""))
    value = (raw[4] | raw[5] << 8) >> shift & 0xfff
    assert not taken(card, frame(GROUP), offset << 12)
    card.set(MTA + 4 * (value >> 5), 1 << (value & 31))
    assert taken(card, frame(GROUP), offset << 12)
    assert not taken(card, frame(OTHER_MAC), offset << 12)
    card.set(MTA + 4 * (value >> 5), ~(1 << (value & 31)) & 0xffffffff)
    assert not taken(card, frame(GROUP), offset << 12)


def test_the_canonical_bit(card):
    def tagged(tag):
        return FRAME[:12] + struct.pack(">HH", 0x8100, tag) + FRAME[12:]
    card.set(VFTA + 4 * (5 >> 5), 1 << 5)
    for tag, rctl, arrives in ((5, 0, True), (6, 0, True), (5, VFE, True), (6, VFE, False), (0x1005, VFE, True),
                               (0x1005, VFE | CFIEN, False), (0x1005, VFE | CFIEN | CFI, True), (5, VFE | CFIEN | CFI, False)):
        assert taken(card, tagged(tag), rctl) == arrives, (tag, rctl)


def test_long_frames(card):
    """1,522 bytes with CRC without LPE (10.2.5.1), 16 KiB with it; in buffers of all sizes."""
    assert taken(card, frame(MAC, 1518))
    assert not taken(card, frame(MAC, 1519))
    assert card.reg(ROC) == 1
    assert taken(card, frame(MAC, 1519), LPE)
    long = bytearray(frame(MAC, 9018))
    long[14:] = bytes(n * 31 & 0xff for n in range(9004))
    for rctl, room in ((0, 2048), (1 << 16, 1024), (2 << 16, 512), (BSEX | 3 << 16, 4096), (BSEX | 2 << 16, 8192),
                       (BSEX | 1 << 16, 16384), (3 << 27, 3072)):
        card.sent = 0
        for queue in 0, 1:                            # buffers that do not overlap
            card.memory[RINGS + 0x1000 * queue:RINGS + 0x1000 * queue + 16 * ROWS] = bytes(16 * ROWS)
        card.start(LPE | rctl)
        for n in range(ROWS):
            at = RINGS + 16 * n
            card.memory[at:at + 16] = struct.pack("<QQ", IOVA + BUFFERS + (n * room) % 0x60000, 0)
        if room == 512:
            long_now = bytes(long[:7000])             # 14 buffers of 15
        else:
            long_now = bytes(long)
        card.send(long_now)
        last = (len(long_now) - 1) // room
        wait_for(lambda last=last: card.reg(RX + HEAD) == last + 1, "the last buffer")
        words = [struct.unpack("<Q", card.memory[RINGS + 16 * n + 8:RINGS + 16 * n + 16])[0] for n in range(last + 1)]
        assert [word & 0xffff for word in words] == [room] * last + [len(long_now) - room * last]
        assert [word >> 32 & 3 for word in words] == [1] * last + [3]
        assert card.memory[BUFFERS:BUFFERS + len(long_now)] == long_now


def test_statistics(card):
    card.start(UPE | MPE)
    sizes = (60, 61, 123, 124, 251, 252, 507, 508, 1019, 1020, 1514)
    frames = [frame(MAC, size) for size in sizes] + [frame("ff:ff:ff:ff:ff:ff"), frame(GROUP)]
    for data in frames:
        card.send(data)
    card.received(0, len(frames) - 1)
    octets = sum(len(data) + 4 for data in frames)
    bins = [3, 2, 2, 2, 2, 2]                         # 64, to 127, 255, 511, 1023, above
    for name, counter, value in (("rx", GPRC, 13), ("tx", GPTC, 13), ("rx", TPR, 13), ("tx", TPT, 13), ("rx", BPRC, 1),
                                 ("rx", MPRC, 1), ("tx", BPTC, 1), ("tx", MPTC, 1), ("rx", GORCL, octets), ("tx", GOTCL, octets),
                                 ("rx", TORL, octets), ("tx", TOTL, octets),
                                 *(("rx", PRC64 + 4 * n, bins[n]) for n in range(6)),
                                 *(("tx", PTC64 + 4 * n, bins[n]) for n in range(6))):
        assert card.reg(counter) == value, (name, hex(counter))
    for n in range(6):                                # reading has cleared them
        assert card.reg(PRC64 + 4 * n) == card.reg(PTC64 + 4 * n) == 0


def test_two_queues_take_turns(card):
    """40 frames by each; in what comes none waits for all of the other's."""
    card.start(UPE | 3 << 16)                         # buffers of 256 bytes
    card.set(RCTL, 0)
    for queue, fill in (0, 0xaa), (1, 0xbb):
        at = RINGS + 0x3000 + 0x1000 * queue
        card.memory[FRAMES + 0x1000 * queue:FRAMES + 0x1000 * queue + 60] = frame(MAC, fill=fill)
        for n in range(64):
            card.memory[at + 16 * n:at + 16 * n + 16] = struct.pack("<QQ", IOVA + FRAMES + 0x1000 * queue, 60 | EOP | IFCS)
        base = TX + 0x100 * queue
        card.set(base + BAL, IOVA + at), card.set(base + BAH, 0), card.set(base + LEN, 16 * 64)
        card.set(base + HEAD, 0)
    at = RINGS + 0x6000                               # a receive ring for all
    for n in range(128):
        card.memory[at + 16 * n:at + 16 * n + 16] = struct.pack("<QQ", IOVA + BUFFERS + 256 * n, 0)
    card.set(RX + BAL, IOVA + at), card.set(RX + LEN, 16 * 128), card.set(RX + HEAD, 0), card.set(RX + TAIL, 127)
    card.set(RCTL, EN | BAM | SECRC | UPE | 3 << 16)
    card.set(TCTL, 0)
    for queue in 0, 1:
        card.set(TX + 0x100 * queue + TAIL, 40)
    card.set(TCTL, 2 | 8)
    wait_for(lambda: card.reg(RX + HEAD) == 80, "all frames")
    order = [card.memory[BUFFERS + 256 * n + 20] for n in range(80)]
    assert order.count(0xaa) == order.count(0xbb) == 40
    for n in range(0, 64, 32):
        assert {0xaa, 0xbb} == set(order[n:n + 32])


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("layer", [TCP, UDP])
def test_checksums_by_their_offsets(card, layer, extended):
    """The sum of everything from a place on, put at another (7.2.10): what the driver left there is part of it."""
    packet = Ether(dst=MAC, src="02:00:00:00:00:02") / IP(src="10.0.0.1", dst="10.0.0.2") / \
        layer(sport=1, dport=2) / Raw(bytes(range(101)))
    right = bytes(packet)
    at = 34 + (16 if layer is TCP else 6)
    unsummed = bytearray(right)
    length, protocol = len(right) - 34, 6 if layer is TCP else 17
    total = sum(struct.unpack("!4H", right[26:34])) + protocol + length
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    unsummed[at:at + 2] = struct.pack("!H", total)
    if extended:
        unsummed[24:26] = b"\0\0"
    card.start()
    card.memory[FRAMES:FRAMES + len(unsummed)] = bytes(unsummed)
    if extended:                                      # a context: IP from 14 to 33, at 24; TCP or UDP from 34 on
        card.put(14 | 24 << 8 | 33 << 16 | 34 << 32 | at << 40, DEXT)
        done = card.put(IOVA + FRAMES, len(unsummed) | DATA | RS_EOP | 3 << 40)
    else:
        done = card.put(IOVA + FRAMES, len(unsummed) | RS_EOP | IC | at << 16 | 34 << 40)
    card.go()
    wait_for(lambda: card.memory[done + 12] & 1, "it is sent")
    assert card.received(0, 0)[2].startswith(right)
