# SPDX-License-Identifier: BSD-3-Clause
"""A driver of nicsim's RTL8168 that means harm, what --strict says of one, and traces."""
import re
import struct

import pytest

from lab import program, wait_for
from rtl8168 import *


@pytest.fixture
def sim(run):
    process = serve(run)
    yield process
    assert process.stop() == 0


def test_a_ring_that_is_set_while_the_link_is_busy(run):
    """What was fetched from the old one is forgotten."""
    process = serve(run, wire="sink", options=["--pace"])
    with Card(process.path) as card:
        card.set(CR9346, UNLOCK, 1)
        card.set(CONFIG3, 4, 1)
        card.set(CONFIG4, 1, 1)
        for _ in range(20):
            card.start()
            card.memory[FRAMES:FRAMES + 14] = FRAME[:14]
            for _ in range(ROWS - 1):                 # of which the link is busy for a millisecond
                card.put(IOVA + FRAMES, 9000 | FS | LS)
            card.set(TPPOLL, NPQ, 1)
            for base in TNPDS, THPDS:
                card.set(base, IOVA + HIGH)
            card.set(TPPOLL, NPQ | HPQ, 1)
        card.start()
        card.send(FRAME)
    assert process.stop() == 0


OUTSIDE = 0x7fff00000000


def test_a_driver_that_means_harm(sim, run):
    with Card(sim.path) as card:
        # Rings where no memory is, and at its end.
        for base in RDSAR, TNPDS, THPDS:
            for address in OUTSIDE, IOVA + SIZE - 256, IOVA + SIZE, 0xffffffffffffff00:
                card.start()
                card.set(ISR, 0xffff, 2)
                card.set(base + 4, address >> 32)
                card.set(base, address & 0xffffffff)
                card.send(FRAME) if base == RDSAR else card.set(TPPOLL, HPQ | NPQ, 1)
                card.settle()
                if address != IOVA + SIZE - 256:
                    assert card.reg(ISR, 2) & SYSERR
                card.alive()
        refused = counter(run, "refused")
        assert refused > 0
        # Buffers where no memory is: the frame is lost, its descriptor comes back.
        card.start()
        card.give(0, address=OUTSIDE)
        card.set(ISR, 0xffff, 2)
        card.send(FRAME)
        card.send(FRAME + b"next")
        assert card.received()[:2] == (FS | LS | 1 << 21, 0)
        assert card.received()[2][len(FRAME):-4] == b"next"
        assert card.reg(ISR, 2) & SYSERR and counter(run, "refused") == refused + 1
        card.set(ISR, 0xffff, 2)
        card.put(OUTSIDE, 100 | FS | LS)
        card.send(FRAME + b"more")
        assert card.received()[2][len(FRAME):-4] == b"more"
        assert card.reg(ISR, 2) & (SYSERR | TER) == SYSERR | TER and counter(run, "refused") == refused + 2
        assert card.counters()["tx_errors"] == 1
        # Buffers of no bytes, and a ring that has less room than a frame needs.
        for buffer in 0, 4:
            card.start(buffer=buffer)
            card.send(FRAME)
            card.alive()
        # Rings without an end, chains without an end, chains that are longer than a request can be.
        card.start()
        card.memory[RX + 16 * (ROWS - 1):RX + 16 * ROWS] = struct.pack("<IIQ", OWN | BUFFER, 0, IOVA + BUFFERS)
        for _ in range(ROWS + 1):
            card.send(FRAME)
        card.alive()
        for words in (100, 0), (100 | FS, 0), (0xffff | FS, 0), (0xffff | FS | 1 << 26, 0xffffffff):
            card.start()
            for _ in range(ROWS):
                card.put(IOVA, *words)
            card.set(TPPOLL, NPQ, 1)
            wait_for(lambda: not card.owned(TX), "the chain is given back")
            card.alive()
        card.start()
        table = b"".join(struct.pack("<IIQ", OWN | 1, 0, IOVA) for _ in range(1030))
        card.memory[FRAMES:FRAMES + len(table)] = table
        card.set(TNPDS, IOVA + FRAMES)
        card.set(TPPOLL, NPQ, 1)
        wait_for(lambda: not card.owned(FRAMES + 16 * 1023), "the chain of 1,024 is given back")
        assert card.owned(FRAMES + 16 * 1024)
        card.put(IOVA + FRAMES, 100 | FS | LS)        # then it is at the first again
        card.memory[FRAMES:FRAMES + 16] = card.memory[TX:TX + 16]
        card.set(TPPOLL, NPQ, 1)
        wait_for(lambda: not card.owned(FRAMES), "the first one again")
        card.alive()
        # An end that was moved to where the card has been already.
        for base, ring in (TNPDS, TX), (RDSAR, RX):
            card.start()
            for _ in range(6):
                card.send(FRAME)
                card.received()
            for n in range(1024):
                card.memory[ring + 16 * n:ring + 16 * n + 16] = struct.pack(
                    "<IIQ", OWN | (EOR if n == 2 else 0) | (1 if base == TNPDS else 0), 0, IOVA)
            if base == TNPDS:
                card.set(TPPOLL, NPQ, 1)
                wait_for(lambda: not card.owned(TX + 16 * 1023), "the chain is given back")
            else:
                card.memory[HIGH + 0x8000:HIGH + 0x8010] = struct.pack("<IIQ", OWN | EOR | FS | LS | len(FRAME), 0, IOVA + FRAMES)
                card.set(THPDS, IOVA + HIGH + 0x8000)
                card.set(TPPOLL, HPQ, 1)
                card.settle()
            card.alive()
        # Frames that cannot be.
        card.counters(1)
        for n, (length, tag) in enumerate(((0, 0), (1, 1 << 17), (11, 1 << 17), (13, 0), (1519, 0), (1515, 1 << 17), (0xffff, 0)), 1):
            card.start()
            card.put(IOVA, length | FS | LS, tag)
            card.set(TPPOLL, NPQ, 1)
            wait_for(lambda: not card.owned(TX), "it is given back")
            assert card.counters()["tx_errors"] == n
        card.alive()
        # Not a master: nothing is read or written.
        card.start()
        card.client.set_config(4, 2, 3)
        at = card.post(FRAME)
        card.settle()
        assert card.owned(at)
        card.client.set_config(4, 2, 7)
        wait_for(lambda: not card.owned(at), "now it is sent")


def test_strict(run):
    process = serve(run, options=["--strict"])
    with Card(process.path) as card:
        card.set(IDR, 0)
        card.set(MAR, 0, 2)
        card.set(CONFIG3, 1, 1)
        card.set(PHYSTATUS, 1, 1)
        card.set(TNPDS, 0x1010)
        card.reg(0x18)
        card.set(0x200, 7)
        for rows, buffer in ([(1519 | FS | LS,)], 64), ([(100 | LS, )], 64), ([(0xffff | FS,), (0xffff | LS,)], 64), \
                ([(100 | FS | LS, 1 << 29)], 64), ([(100 | FS | LS | 1 << 26,)], 64), ([(100 | FS,)] * ROWS, 64), ([(100 | FS | LS,)], 0), \
                ([(100 | FS | LS,)], 6):
            card.start(buffer=buffer)
            card.memory[FRAMES:FRAMES + 14] = FRAME[:14]
            for row in rows:
                card.put(IOVA + FRAMES, *row)
            card.set(TPPOLL, NPQ, 1)
            wait_for(lambda: not card.owned(TX), "it is given back")
        for address, size in (BUFFERS + 4, BUFFER), (BUFFERS, 7), (BUFFERS, 8):
            card.start()
            card.give(0, size, IOVA + address)
            card.send(FRAME)
            wait_for(lambda: not card.owned(RX), "it is received")
    assert process.stop() == 0
    assert re.findall(r"strict: (.*)", process.text) == [
        "write of 0x0 to register 0x00, which is locked by 9346CR", "write of 2 bytes to register 0x08, which takes four",
        "write of 0x1 to register 0x54, which is locked by 9346CR", "write of 0x1 to read-only register 0x6c",
        "a ring at 0x1010, which is no multiple of 256", "read of unknown register 0x018",
        "write of 0x7 to unknown register 0x200", "a frame of 1519 bytes to be sent", "a transmit chain with FS not on its first",
        "a transmit request of more than 81920 bytes", "a checksum request that does not fit its frame",
        "a segmentation request that does not fit its frame", "a transmit chain without an end",
        *["a frame of 104 bytes is more than the whole ring holds"] * 2,
        *["a receive buffer of less than 8 bytes, or off a multiple of 8"] * 2]


@pytest.mark.parametrize("options, tcr", [((), 0x28b00000), (("--device", "rtl8168c"), 0x3c200000)])
def test_a_trace_is_played(run, options, tcr):
    """Accesses of each size; what depends on the wire is not compared (doc/recorder.md)."""
    read, write, bar2 = 1, 2, {4: 0x02, 2: 0x22, 1: 0x12}
    records = [(read, 4, IDR, 0x44332206), (read, 4, IDR + 4, 0x6655), (read, 4, TCR, tcr), (write, 1, CR, RST), (read, 1, CR, 0),
               (write, 2, IMR, 0x1234), (read, 2, IMR, 0x0034), (read, 1, IMR, 0x34), (read, 1, PHYSTATUS, 0), (read, 2, ISR, 0x20),
               (read, 1, IDR + 5, 0x67)]
    trace = struct.pack("<QII4Q4HIB3x32s32s128s", 0x6372547467696c46, 1, 24, 10**9, 0, 0, 0, 0x10ec, 0x8168, 0x10ec, 0x8168,
                        0x20000, 3, b"rtl8168", b"a test", b"nowhere")
    for n, (kind, size, offset, value) in enumerate(records, 1):
        trace += struct.pack("<QIIQ", n, offset, value, n | kind << 32 | bar2[size] << 40)
    (run.dir / "trace").write_bytes(trace)
    code, said = run.call(program("nicsim"), "replay", run.dir / "trace", *options)
    lines = said.splitlines()
    device = options[-1] if options else "rtl8168"
    # That the FIFO is empty is of the wire, and so are the link and what happened.
    assert lines == [
        f"record 10: BAR 2 0x00005: the card answered 0x00000067, {device} 0x00000066",
        f"{run.dir}/trace (10ec:8168, a test) on {device}: 9 reads, 7 compared, 2 writes; 1 differences"], said
    assert code == 1
    # An access of no size, or beside a register's boundary, is none of this card's.
    for size, offset in (0x32, 0), (0x02, 2), (0x22, 1), (0x02, 4096):
        (run.dir / "trace").write_bytes(trace[:256] + struct.pack("<QIIQ", 1, offset, 0, 1 | read << 32 | size << 40))
        code, said = run.call("nicsim", "replay", run.dir / "trace")
        assert (code, "no record of this card's kind" in said) == (2, True), said
