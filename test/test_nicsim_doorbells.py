# SPDX-License-Identifier: BSD-3-Clause
"""nicsim --doorbells mapped: the registers of queues in shared memory, which a driver, or somebody who
means harm, writes at any moment."""
import fcntl
import os
import random
import re
import signal
import socket
import struct

import pytest
from scapy.all import IP, TCP, UDP, Ether, Raw

import lab
import x540
from lab import wait_for
from vfio_user import CAPS, DATA_EVENTFD, GET_REGION_INFO, HEADER, MMAP, MSIX, TRIGGER, Client, Event, Memory, Pages
from x540 import (BAM, DATA, DMATXCTL, ENABLE, EOP, IFCS, IOVA, MPE, RDBAL, RDH, RDLEN, RDT, RS, RXCTRL, SRRCTL, STATUS, TDBAH,
                  TDBAL, TDH, TDLEN, TDT, TXDCTL, UPE, Card, frame, send)

AREAS = [(0x1000, 0x1000), (0xd000, 0x1000), (0x6000, 0x1000), (0x7000, 0x1000)]


def start(run, *wires, args=()):
    """A process with mapped doorbells; its cards' sockets are a, b ..."""
    process = run.start("nicsim", "--doorbells", "mapped", *args, *(word for name, wire in zip("abc", wires) for word in (
        "--device", "x540", "--socket", run.dir / name, "--wire", wire)))
    process.expect(f"/{'abc'[len(wires) - 1]}, wire")
    return process


@pytest.fixture
def mapped(run):
    process = start(run, "sink")
    with Card(run.dir / "a") as card:
        card.process = process
        yield card


@pytest.fixture
def cards(run):
    """Two cards on a cable: b sends, a receives."""
    process = start(run, "cable:it", "cable:it")
    with Card(run.dir / "a") as a, Card(run.dir / "b") as b:
        a.process = b.process = process
        yield a, b


def refused(process):
    """How many accesses to memory the card refused itself, of all cards of the process."""
    before = len(re.findall("refused DMA", process.text))
    cards = len(re.findall("^nicsim: x540", process.text, re.MULTILINE))
    process.signal(signal.SIGUSR1)
    wait_for(lambda: len(re.findall("refused DMA", process.text)) == before + cards, "counters")
    return sum(int(count) for count in re.findall(r"refused DMA (\d+)", process.text)[before:])


# --- what is offered ---

def test_pages_offered(mapped):
    flags, needed, areas, fd = mapped.client.region_window(0, argsz=32)
    assert (flags & (MMAP | CAPS), needed, areas, fd) == (0, 32 + 16 + 16 * len(AREAS), [], None)
    flags, again, areas, fd = mapped.client.region_window(0, argsz=needed)
    assert flags & (MMAP | CAPS) == MMAP | CAPS and again == needed and areas == AREAS
    # It cannot be cut off under either side, and the seals stand.
    assert fcntl.fcntl(fd, fcntl.F_GET_SEALS) == fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
    os.close(fd)
    for region in range(1, 9):
        assert mapped.client.region_window(region)[2:] == ([], None)


def test_trapped_offers_none(run):
    process = run.start("nicsim", "--doorbells", "trapped", "--device", "x540", "--socket", run.dir / "a", "--wire", "sink")
    process.expect("/a, wire")
    with Client(run.dir / "a") as client:
        assert client.region_window(0) == (3, 32, [], None)


def test_many_questions_at_once(mapped):
    """Each answer carries its own descriptor, however many wait to be sent."""
    client = mapped.client
    question = struct.pack("<IIIIQQ", 1024, 0, 0, 0, 0, 0)
    client.socket.sendall(b"".join(HEADER.pack(n, GET_REGION_INFO, HEADER.size + 32, 0, 0) + question for n in range(200)))
    for n in range(200):
        head, fds, _, _ = socket.recv_fds(client.socket, HEADER.size, 4)
        ident, _, size, _, error = HEADER.unpack(head + client._exactly(HEADER.size - len(head)))
        assert (ident, error, len(fds)) == (n, 0, 1)
        client._exactly(size - HEADER.size)
        os.close(fds[0])
    assert client.config(0, 4) == 0x15288086


def test_each_client_has_its_own(run):
    """Who has left still holds his pages, and reaches nobody by them."""
    process = start(run, "sink")
    with Client(run.dir / "a") as client:
        fd = client.region_window(0)[3]
        old = Pages(os.dup(fd), AREAS)
        first = os.fstat(fd).st_ino
    with Card(run.dir / "a") as card:
        other = card.client.region_window(0)[3]
        assert os.fstat(other).st_ino != first
        card.tx()
        for offset in range(0x6000, 0x6040, 4):
            old[offset] = 0xffffffff
        send(card, frame())
        assert card.ask(TDH) == 1 and card.ask(TDBAL) == card.reg(TDBAL) == IOVA + card.tx_ring
        os.close(other)
    old.close()
    os.close(fd)
    assert process.stop() == 0


# --- registers ---

def test_both_ways_to_a_register(mapped):
    mapped.set(RDBAL, 0x12345680)
    assert mapped.ask(RDBAL) == 0x12345680
    mapped.tell(RDBAL, 0x00ff0080)
    assert mapped.reg(RDBAL) == 0x00ff0080
    mapped.set(0x2100, 3)                                    # another name of SRRCTL, in a page that is trapped
    assert mapped.reg(SRRCTL) == 3
    for queue in range(128):
        rx = 0x1000 + 0x40 * queue if queue < 64 else 0xd000 + 0x40 * (queue - 64)
        for offset in (rx + 0x18, 0x6018 + 0x40 * queue):
            mapped.set(offset, queue + 1)
            assert mapped.ask(offset) == queue + 1
    mapped.set(x540.CTRL, 1 << 26)
    assert mapped.reg(RDBAL) == 0 and mapped.reg(SRRCTL) == 0x402 and mapped.reg(0x7fd8) == 0
    assert mapped.ask(STATUS) & 1 << 7


def test_bits_that_are_not_there(mapped):
    """What cannot be written is taken back when the card has seen it."""
    for offset, writable in ((RDLEN, 0xfff80), (RDBAL, 0xffffff80), (x540.QPRC0, 0), (0x1fe0, 0)):
        mapped.set(offset, 0xffffffff)
        assert mapped.ask(offset) == mapped.reg(offset) == writable


def test_reset_by_message_and_by_leaving(run):
    process = start(run, "sink")
    with Card(run.dir / "a") as card:
        card.set(TDLEN, 0x1000)
        card.client.reset()
        assert card.reg(TDLEN) == 0
        card.set(TDLEN, 0x1000)
    with Card(run.dir / "a") as card:
        assert card.reg(TDLEN) == card.ask(TDLEN) == 0 and card.reg(SRRCTL) == 0x402
    assert process.stop() == 0


# --- frames ---

def test_queues_that_come_on_without_a_message(cards):
    """Enables are in the pages, too: nothing but memory is written here after the first frame."""
    a, b = cards
    a.rx(entries=32)
    b.tx(entries=8)
    sent = 0
    for turn in range(50):
        size = 60 + turn
        last = b.queue_frame(frame(size), EOP | IFCS | RS)
        b.set(TDT, b.tx_tail)
        b.sent(last)
        assert a.received(sent % 32) == frame(size)
        a.memory[a.rx_ring + 16 * (sent % 32):a.rx_ring + 16 * (sent % 32) + 16] = struct.pack(
            "<QQ", IOVA + a.rx_buffers[sent % 32], 0)
        a.set(RDT, sent % 32)
        sent += 1
        b.set(TXDCTL, 0)
        b.set(TDH, 0)
        b.set(TDT, 0)
        b.set(TXDCTL, ENABLE)
        b.tx_tail = 0
        b.memory[b.tx_ring:b.tx_ring + 128] = bytes(128)
    wait_for(lambda: a.reg(RDH) == sent % 32, "the head of the receive ring")
    assert a.ask(x540.GPRC) == b.ask(x540.GPTC) == sent


def test_interrupts(cards):
    a, b = cards
    event = Event()
    a.client.set_irqs(MSIX, DATA_EVENTFD | TRIGGER, 0, 1, fds=[event.fd])
    a.set(x540.GPIE, 1 << 4)
    a.set(x540.IVAR0, 0x80)
    a.rx(entries=8)
    b.tx()
    a.set(x540.EIMS, 1)
    for n in range(5):
        b.queue_frame(frame())
        b.kick()
        assert event.wait() >= 1
        a.received(n)
    event.close()


def test_a_sleeping_card_wakes(mapped):
    """Each frame is found by the card itself, after pauses in which it has gone to sleep."""
    mapped.tx()
    for _ in range(20):
        last = mapped.queue_frame(frame())
        mapped.kick()
        mapped.sent(last)
        # As long as it takes for the process to be seen asleep.
        wait_for(lambda: " S " in open(f"/proc/{mapped.process.pid}/stat", encoding="ascii").read(), "asleep")


def play(run, how):
    """Frames of many kinds over a cable; everything that is left of them in memory and in the counters."""
    directory = run.dir / how
    directory.mkdir()
    process = run.start("nicsim", "--doorbells", how, *(word for name in "ab" for word in (
        "--device", "x540", "--socket", directory / name, "--wire", f"cable:{how}")))
    process.expect("/b, wire")
    result = []
    with Card(directory / "a") as a, Card(directory / "b") as b:
        chance = random.Random(5)
        for advanced, drop, fctrl, entries in ((True, False, BAM, 512), (False, False, BAM | UPE, 512),
                                               (True, True, BAM | MPE, 64)):
            for card in (a, b):
                card.tell(x540.CTRL, 1 << 26)
                card._next = 0
            a.tell(0x5128, 1 << 31 | 0x88b6)                 # ETQF
            a.rx(entries=entries, advanced=advanced, drop=drop, fctrl=fctrl)
            b.tx(entries=512)
            b.set(TDH, 0)
            last = None
            for n in range(300):
                size = chance.choice((60, 60, 60, 61, 64, 65, 100, 123, 124, 252, 508, 1020, 1500, 1514, 1518, 14, 59))
                data = bytearray(frame(size, to=chance.choice((x540.A, x540.A, "ff:ff:ff:ff:ff:ff", x540.GROUP, x540.OTHER))))
                if chance.random() < 0.3:
                    data[12:14] = chance.choice((b"\x08\x00", b"\x86\xdd", b"\x81\x00", b"\x00\x20", b"\x88\x08", b"\x88\xb6"))
                elif size > 60 and chance.random() < 0.2:    # a packet, the half of them with a wrong checksum
                    packet = Ether() / IP() / chance.choice((UDP, TCP))()
                    data[12:] = bytes(packet / Raw(bytes(size - len(packet))))[12:]
                    data[chance.choice((30, size - 1))] ^= chance.choice((0, 1))
                command = EOP | IFCS | (RS if chance.random() < 0.3 or n == 299 else 0)
                if chance.random() < 0.1:
                    command |= x540.VLE
                if size > 100 and chance.random() < 0.1:     # in two descriptors
                    at = b.place(bytes(data))
                    b.queue(at, 50 | IFCS | DATA, size << 14)
                    last = b.queue(at + 50, size - 50 | DATA | command, size << 14)
                else:
                    last = b.queue_frame(bytes(data), command, advanced=chance.random() < 0.7)
                if chance.random() < 0.2:
                    b.kick()
                    if command & RS:
                        b.sent(last)
            b.kick()
            b.sent(last)
            counters = {offset: b.ask(offset) for offset in (
                x540.GPTC, x540.GOTCL, x540.TPT, *range(0x40d8, 0x40f8, 4), 0x87a0, x540.QPTC0, 0x8700)}
            # The cable has given back what it was given.
            counters[x540.TPR] = 0

            def arrived(counters=counters):
                counters[x540.TPR] += a.ask(x540.TPR)        # reading clears it
                return counters[x540.TPR] == counters[x540.GPTC]
            wait_for(arrived, "all frames at the other end")
            counters |= {offset: a.ask(offset) for offset in (
                0x40c0, x540.GPRC, x540.GORCL, *range(0x405c, 0x4074, 4), x540.BPRC, x540.MPRC, 0x41b0, 0x41b4, 0x2f50, 0x2f54,
                x540.QPRC0, 0x1034, x540.QPRDC0, x540.ROC, x540.RLEC, x540.RXMPC0)}
            result.append((counters, [a.memory[a.rx_ring:a.rx_ring + 16 * entries], a.ask(RDH)],
                           [bytes(a.memory[at:at + 2048]) for at in a.rx_buffers],
                           bytes(b.memory[b.tx_ring:b.tx_ring + 16 * 512])))
            for card in (a, b):
                card.memory[0:card.memory.size] = bytes(card.memory.size)
    assert process.stop() == 0
    return result


def test_same_as_trapped(run):
    """The quick way for bursts and the exact one leave the same behind: descriptors, frames, counters."""
    trapped, quick = play(run, "trapped"), play(run, "mapped")
    for before, after in zip(trapped, quick):
        assert after[0] == before[0]
        assert after[1:] == before[1:]
        assert before[0][x540.GPTC] > 250
    assert [before[0][x540.QPRC0] > 100 for before in trapped] == [True, True, False]
    assert [before[0][x540.QPRDC0] > 100 for before in trapped] == [False, False, True]


# --- harm ---

def test_wild_tails_and_lengths(cards):
    a, b = cards
    a.rx()
    b.tx(entries=8)
    for offset, value in ((TDT, 8), (TDT, 0xffff), (TDT, 0xffffffff), (TDH, 0xffff), (TDH, 9), (TDLEN, 0xffffffff),
                          (TDLEN, 0)):
        good = b.reg(offset)
        b.set(offset, value)
        assert b.ask(STATUS) & 1 << 7
        b.set(offset, good)
    for offset, value in ((RDT, 8), (RDT, 0xffffffff), (RDH, 0xffff), (RDLEN, 0), (RDLEN, 0xffffffff), (SRRCTL, 0)):
        good = a.reg(offset)
        a.set(offset, value)
        assert a.ask(STATUS) & 1 << 7
        a.set(offset, good)
    # Neither has lost its mind.
    for card in cards:
        card.tell(x540.CTRL, 1 << 26)
        card._next = 0
        card.memory[0:1 << 20] = bytes(1 << 20)
    a.rx()
    b.tx()
    send(b, frame(77))
    assert a.received(0) == frame(77)


def test_wild_base(cards):
    a, b = cards
    a.rx()
    b.tx(entries=8)
    before = refused(a.process)
    b.set(TDBAL, 0xfffff000)
    b.set(TDBAH, 0xffffffff)
    b.set(TDT, 3)
    wait_for(lambda: refused(a.process) > before, "a refused access")
    assert b.ask(STATUS) & 1 << 7


def scribble(run, card, seed):
    """Starts test/scribble.c on the card's pages."""
    fd = card.client.region_window(0)[3]
    process = run.start_with([str(lab.BUILD / "test" / "scribble"), str(fd), str(seed)], pass_fds=[fd])
    os.close(fd)
    process.expect("^begins")
    return process


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_scribbling(run, seed):
    """Somebody writes all over the pages while the card works: it reaches nothing that was not mapped for it, goes on
    answering, and serves its neighbour."""
    process = start(run, "gen:60", "cable:x", "cable:x")
    with Card(run.dir / "a") as card, Card(run.dir / "b") as b, Card(run.dir / "c") as c:
        # The lower half of a file is mapped for the card; the upper one must stay as it is.
        beyond = Memory(8 << 20)
        beyond[4 << 20:] = b"\xa5" * (4 << 20)
        card.client.dma_unmap(IOVA, x540.MEMORY)
        card.client.dma_map(IOVA, 4 << 20, beyond)
        beyond[0:4 << 20] = struct.pack("<QII", IOVA + 0x100000, 60 | DATA | EOP | IFCS | RS, 60 << 14) * (4 << 16)
        card.set(DMATXCTL, card.reg(DMATXCTL) | 1)
        card.set(RXCTRL, 1)
        scribbler = scribble(run, card, seed)
        b.rx(entries=64, fctrl=BAM | UPE)
        c.tx()
        for n in range(60):
            send(c, frame(60 + n))
            assert b.received(n) == frame(60 + n)
            assert card.ask(STATUS) & 1 << 7
        wait_for(lambda: card.ask(x540.GPTC), "frames that the scribbler sent by chance")
        assert scribbler.running()
        scribbler.kill()
        assert beyond[4 << 20:] == b"\xa5" * (4 << 20)
        beyond.close()
    assert process.stop() == 0
