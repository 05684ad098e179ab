# SPDX-License-Identifier: BSD-3-Clause
"""nicsim and its client's memory: map boundaries, what is out of reach, what goes away."""
import os
import struct

import vfio_user
import x540
from lab import wait_for
from x540 import (A, B, DATA, ENABLE, EOP, IFCS, IOVA, RS, UPE, DMATXCTL, FCTRL, HLREG0, MAXFRS, RDH, RDT,
                  RXCTRL, RXDCTL, TDH, TDT, TXDCTL, frame, one, raw, send)


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
    card.client.dma_map(0x20001000, 4096, only, prot=vfio_user.READABLE)
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


def test_memory_that_goes_away(one):
    """A file cut short under its map: SIGBUS at the next access."""
    card = one("loop")
    memory = x540.Memory(2 << 20)
    card.client.dma_map(0x40000000, 2 << 20, memory)
    card.rx()
    card.tx()
    os.ftruncate(memory.fd, 4096)
    last = card.queue(0x40100000, 60 | DATA | EOP | IFCS | RS, 60 << 14)
    card.kick()
    card.sent(last)
    send(card, frame(60))
    assert card.received(0)[:6] in (raw(A), bytes(6))
    assert card.process.running()
    card.process.signal(10)
    assert card.process.expect(r"lost files (\d)").group(1) == "1"
