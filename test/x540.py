# SPDX-License-Identifier: BSD-3-Clause
"""A driver for nicsim's X540 in a few lines: enough to set up one ring each way and to look at what
the card does with single descriptors. Offsets are the X540 datasheet's."""
import struct

import pytest

from lab import wait_for
from vfio_user import Client, Memory

CTRL, STATUS = 0x0, 0x8
EICR, EICS, EIAC, EIMS, EIMC, EIAM, GPIE = 0x800, 0x808, 0x810, 0x880, 0x888, 0x890, 0x898
EITR0, IVAR0, IVAR_MISC = 0x820, 0x900, 0xa00
RDBAL, RDBAH, RDLEN, RDH, SRRCTL, RDT, RXDCTL = 0x1000, 0x1004, 0x1008, 0x1010, 0x1014, 0x1018, 0x1028
RDRXCTL, RXCTRL, RXPBSIZE0 = 0x2f00, 0x3000, 0x3c00
TDBAL, TDBAH, TDLEN, TDH, TDT, TXDCTL, TDWBAL, TDWBAH = (
    0x6000, 0x6004, 0x6008, 0x6010, 0x6018, 0x6028, 0x6038, 0x603c)
DMATXCTL, HLREG0, MAXFRS = 0x4a80, 0x4240, 0x4268
FCTRL, VLNCTRL, MCSTCTRL, MTA0, VFTA0, RAL0, RAH0 = 0x5080, 0x5088, 0x5090, 0x5200, 0xa000, 0xa200, 0xa204
BAM, UPE, MPE = 0x400, 0x200, 0x100
ENABLE = 1 << 25
LINKS = 0x42a4
GPRC, BPRC, MPRC, GPTC, GORCL, GORCH, GOTCL, GOTCH = 0x4074, 0x4078, 0x407c, 0x4080, 0x4088, 0x408c, 0x4090, 0x4094
TPR, TPT, ROC, RLEC, RXMPC0, QPRC0, QPRDC0, QPTC0 = 0x40d0, 0x40d4, 0x40ac, 0x4040, 0x3fa0, 0x1030, 0x1430, 0x6030

# Transmit commands, as they lie in a descriptor's second quadword.
EOP, IFCS, IC, RS, DEXT, VLE, TSE = (1 << n for n in (24, 25, 26, 27, 29, 30, 31))
DATA, CONTEXT = 3 << 20 | DEXT, 2 << 20 | DEXT
DD, RX_EOP = 1, 2

MEMORY = 4 << 20
IOVA = 0x10000000


class Card:
    """A client with bus mastering and one piece of memory, mapped at IOVA, its allocator a counter."""

    def __init__(self, path, memory=MEMORY, **how):
        self.client = Client(path, **how)
        self.client.map_pages()
        self.memory = Memory(memory)
        self.client.dma_map(IOVA, memory, self.memory)
        self.client.set_config(4, 2, 0x0006)
        self._next = 0
        self.reg, self.set = self.client.reg, self.client.set_reg

    def ask(self, offset):
        """Reads a register by a message, though its page may be mapped."""
        return int.from_bytes(self.client.region_read(0, offset, 4), "little")

    def tell(self, offset, value):
        """Writes one so."""
        self.client.region_write(0, offset, value.to_bytes(4, "little"))

    def close(self):
        self.client.close()
        self.memory.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def take(self, size, align=128):
        """An offset into the memory for `size` bytes."""
        at = -(-self._next // align) * align
        self._next = at + size
        assert self._next <= self.memory.size
        return at

    def rx(self, entries=8, buffer=2, advanced=True, drop=False, strip=True, fctrl=BAM, base=None):
        """Starts the receive ring with buffers of `buffer` KiB; all but one descriptor are the card's."""
        self.rx_size, self.rx_kib = entries, buffer
        self.rx_advanced = advanced
        ring = self.take(16 * entries)
        self.rx_ring = ring
        self.rx_buffers = [self.take(buffer << 10) for _ in range(entries)]
        for n in range(entries):
            self.arm(n)
        hlreg = self.reg(HLREG0) & ~2
        self.set(HLREG0, hlreg | (2 if strip else 0))
        self.set(RDRXCTL, self.reg(RDRXCTL) & ~2 | (2 if strip else 0))
        self.set(FCTRL, fctrl)
        base = IOVA + ring if base is None else base
        self.set(RDBAL, base & 0xffffffff)
        self.set(RDBAH, base >> 32)
        self.set(RDLEN, 16 * entries)
        self.set(RDH, 0)
        self.set(SRRCTL, buffer | (1 << 25 if advanced else 0) | (1 << 28 if drop else 0))
        self.set(RXDCTL, ENABLE)
        assert self.reg(RXDCTL) & ENABLE
        self.set(RDT, entries - 1)
        self.set(RXCTRL, 1)

    def arm(self, n):
        self.memory[self.rx_ring + 16 * n:self.rx_ring + 16 * n + 16] = struct.pack(
            "<QQ", IOVA + self.rx_buffers[n], 0)

    def rx_descriptor(self, n):
        """(length, status, errors, vlan) of a written-back descriptor; status has DD."""
        at = self.rx_ring + 16 * n
        first, second = struct.unpack("<QQ", self.memory[at:at + 16])
        if self.rx_advanced:
            return second >> 32 & 0xffff, second & 0xfffff, second >> 20 & 0xfff, second >> 48
        return second & 0xffff, second >> 32 & 0xff, second >> 40 & 0xff, second >> 48

    def received(self, n):
        """Waits for descriptor n and returns its piece of a frame."""
        wait_for(lambda: self.rx_descriptor(n)[1] & DD, f"RX descriptor {n}")
        length = self.rx_descriptor(n)[0]
        return self.memory[self.rx_buffers[n]:self.rx_buffers[n] + length]

    def tx(self, entries=64, wthresh=0, base=None):
        self.tx_size = entries
        ring = self.take(16 * entries)
        self.tx_ring, self.tx_tail = ring, 0
        base = IOVA + ring if base is None else base
        self.set(DMATXCTL, self.reg(DMATXCTL) | 1)
        self.set(TDBAL, base & 0xffffffff)
        self.set(TDBAH, base >> 32)
        self.set(TDLEN, 16 * entries)
        self.set(TDH, 0)
        self.set(TDT, 0)
        self.set(TXDCTL, ENABLE | wthresh << 16)
        assert self.reg(TXDCTL) & ENABLE

    def queue(self, address, command, status=0):
        """Writes one transmit descriptor; the card does not hear of it yet. Returns its number."""
        n = self.tx_tail
        at = self.tx_ring + 16 * n
        self.memory[at:at + 16] = struct.pack("<QII", address, command, status)
        self.tx_tail = (n + 1) % self.tx_size
        return n

    def place(self, data):
        """Puts bytes into memory; returns their bus address."""
        at = self.take(len(data), 64)
        self.memory[at:at + len(data)] = data
        return IOVA + at

    def queue_frame(self, data, command=EOP | IFCS | RS, options=0, advanced=True):
        extra = DATA if advanced else 0
        status = len(data) << 14 | options if advanced else options
        return self.queue(self.place(data), len(data) | command | extra, status)

    def context(self, mac=14, ip=20, l4=0, mss=0, vlan=0, ipv4=True, l4type=0, index=0, rs=False):
        return self.queue(ip | mac << 9 | vlan << 16,
                          CONTEXT | (1 << 10 if ipv4 else 0) | l4type << 11 | (RS if rs else 0),
                          index << 4 | l4 << 8 | mss << 16)

    def kick(self):
        self.set(TDT, self.tx_tail)

    def tx_descriptor(self, n):
        at = self.tx_ring + 16 * n
        return struct.unpack("<QII", self.memory[at:at + 16])

    def sent(self, n):
        wait_for(lambda: self.tx_descriptor(n)[2] & DD, f"TX descriptor {n}")


# --- what the tests of rings share ---

A, B = "02:00:00:00:00:01", "02:00:00:00:00:02"
OTHER, GROUP = "02:00:00:00:00:77", "01:00:5e:01:02:03"


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

    def start(wire="sink", memory=MEMORY, args=(), device="x540"):
        process = run.start("nicsim", "--device", device, "--socket", run.dir / "s", "--wire", wire, *args)
        process.expect(f"^nicsim: {device} ")
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


def post(card, *frames):
    """Lets the card send frames, which may have to wait; returns the last one's number."""
    for data in frames:
        last = card.queue_frame(data)
    card.kick()
    return last


def send(card, *frames):
    """Sends frames, one after another, and waits until the card is done with them."""
    card.sent(post(card, *frames))
