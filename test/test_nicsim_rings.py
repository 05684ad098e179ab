# SPDX-License-Identifier: BSD-3-Clause
"""nicsim's receive and transmit rings, descriptor by descriptor; filters, statistics, wires."""
import binascii
import struct

import pytest
from scapy.all import Dot1Q, Ether, Raw, rdpcap, wrpcap

import x540
from lab import wait_for
from x540 import (A, B, BAM, DATA, DD, ENABLE, EOP, IFCS, IOVA, MPE, RS, RX_EOP, UPE, VLE, DMATXCTL, FCTRL,
                  HLREG0, MAXFRS, MCSTCTRL, MTA0, RAH0, RAL0, RDH, RDT, RXDCTL, TDBAH, TDBAL,
                  TDH, TDLEN, TDT, TDWBAH, TDWBAL, TXDCTL, VFTA0, VLNCTRL, GROUP, OTHER, frame, one, pair, post, raw,
                  send)
from vfio_user import Memory


UTA0 = 0xf400


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
    post(b, *frames)
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
    post(b, frame(60), frame(61))
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
    # The table for single stations is another one, by the same bits.
    value = int.from_bytes(raw(OTHER)[4:], "little") >> shift & 0xfff
    a.set(UTA0 + 4 * (value >> 5), 1 << (value & 31))
    assert accepted(a, b, GROUP, OTHER, A) == [OTHER, A]
    a.set(MCSTCTRL, offset)
    assert accepted(a, b, OTHER, A) == [A]


def test_broadcast(pair):
    a, b = pair
    a.rx(fctrl=0)
    send(b, frame(64, to="ff:ff:ff:ff:ff:ff"), frame(60))
    assert a.received(0) == frame(60)
    assert a.reg(x540.BPRC) == 0


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
    # CFIEN: the tag's bit must be VLNCTRL's.
    marked = tagged[:14] + bytes([tagged[14] | 0x10]) + tagged[15:]
    for at in range(4):
        a.arm(at)
    a.set(RDT, 3)
    for control, arrive in (0, (tagged, marked)), (2, (tagged,)), (3, (marked,)):
        a.set(VLNCTRL, 0x8100 | 1 << 30 | control << 28)
        send(b, tagged, marked, frame(60))
        for data in (*arrive, frame(60)):
            at += 1
            assert a.received(at % 8) == data


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
    wait_for(lambda: b.reg(TXDCTL) & 1 << 26 == 0, "the flush bit clears itself")
    b.sent(5)


def test_head_write_back(pair):
    """Where RS is set TDH goes to memory; no descriptor is written, and WTHRESH does not count."""
    a, b = pair
    a.rx(entries=32)
    memory = Memory(4096)
    b.client.dma_map(5 << 32, 4096, memory)
    memory[:4096] = b"\xff" * 4096
    b.set(TXDCTL, 0)
    b.set(TDWBAL, 64 | 1)
    b.set(TDWBAH, 5)
    b.tx(entries=8, wthresh=4)

    def head(value):
        wait_for(lambda: struct.unpack("<I", memory[64:68])[0] == value, f"head {value} in memory")

    def transmit(*commands, advanced=True):
        """What the descriptors hold that are now sent, each with a frame of its own."""
        before = [b.tx_descriptor(b.queue_frame(frame(60), EOP | IFCS | more, advanced=advanced))
                  for more in commands]
        b.kick()
        wait_for(lambda: b.reg(TDH) == b.tx_tail, "all of them to be sent")
        return before

    first = transmit(0, 0, RS, 0)
    head(3)
    first += transmit(RS, advanced=False)                    # legacy ones are left alone as well
    head(5)
    assert [b.tx_descriptor(n) for n in range(5)] == first
    transmit(0, 0, RS)                                       # round the ring's end
    head(0)
    assert memory[:64] + memory[68:4096] == b"\xff" * 4092
    b.set(TDWBAL, 64)                                        # off: descriptors again, by WTHRESH
    transmit(0, 0, 0, 0)
    b.sent(3)
    assert memory[64:68] == bytes(4)


def test_one_ring_both_ways(pair):
    """Receive and transmit ring are the same memory: frames go back from where they lie."""
    a, b = pair
    a.rx(entries=8, advanced=False)
    b.rx(fctrl=BAM | UPE)
    at = a.place(b"\xff" * 64)
    a.set(TDWBAL, at & 0xffffffff | 1)
    a.set(DMATXCTL, 1)
    a.set(TDBAL, IOVA + a.rx_ring)
    a.set(TDBAH, 0)
    a.set(TDLEN, 16 * 8)
    a.set(TXDCTL, ENABLE)
    for turn in range(5):                                    # three frames each, round the end
        frames = [frame(60 + 3 * turn + n) for n in range(3)]
        send(b, *frames)
        for n, data in enumerate(frames):
            slot = (3 * turn + n) % 8
            assert a.received(slot) == data
            word = a.rx_ring + 16 * slot + 8
            a.memory[word:word + 8] = struct.pack("<Q", len(data) | EOP | IFCS | (RS if n == 2 else 0))
        tail = (3 * turn + 3) % 8
        a.set(TDT, tail)
        wait_for(lambda: a.memory[at - IOVA:at - IOVA + 4] == struct.pack("<I", tail), "the head in memory")
        a.set(RDT, (tail + 7) % 8)
        for n, data in enumerate(frames):
            slot = (3 * turn + n) % 8
            assert b.received(slot) == data
            b.arm(slot)
        b.set(RDT, (tail + 7) % 8)
    assert [struct.unpack("<Q", a.memory[a.rx_ring + 16 * n:a.rx_ring + 16 * n + 8])[0] for n in range(8)] == [
        IOVA + buffer for buffer in a.rx_buffers]


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
        assert b.ask(offset) == value, hex(offset)
    for offset in expected:
        assert b.ask(offset) == 0, hex(offset)
    expected = {x540.TPR: 11, 0x40c0: octets, 0x40c4: 0, x540.GPRC: 10, x540.BPRC: 1, x540.MPRC: 1,
                x540.GORCL: octets - 64, x540.GORCH: 0, x540.QPRC0: 10, 0x1034: octets - 64 - 40, 0x1038: 0}
    for offset, value in expected.items():
        assert a.ask(offset) == value, hex(offset)
    for offset in expected:
        assert a.ask(offset) == 0, hex(offset)


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


def test_a_loop_forgets_what_a_client_sent_that_left(run):
    run.start("nicsim", "--device", "x540", "--socket", run.dir / "s", "--wire", "loop").expect("^nicsim: x540")
    with x540.Card(run.dir / "s") as gone:
        gone.tx()
        for size in range(60, 70):
            last = gone.queue_frame(frame(size))
        gone.kick()
        gone.sent(last)
    with x540.Card(run.dir / "s") as card:
        card.rx()
        card.tx()
        card.queue_frame(frame(99))
        card.kick()
        assert card.received(0) == frame(99)
