# SPDX-License-Identifier: BSD-3-Clause
"""A driver of nicsim's 82574L for tests: what each of them needs. Offsets are the 82574 datasheet's."""
import struct

from scapy.all import Ether, Raw

from lab import wait_for
from vfio_user import Client, Memory

CTRL, STATUS, EERD, CTRL_EXT, MDIC, EXTCNF, SWSM = 0x0, 0x8, 0x14, 0x18, 0x20, 0xf00, 0x5b50
ICR, ICS, IMS, IMC, EIAC, IAM, IVAR, EITR0 = 0xc0, 0xc8, 0xd0, 0xd8, 0xdc, 0xe0, 0xe4, 0xe8
RCTL, PSRCTL, RXCSUM, RFCTL, MRQC, RETA, RSSRK, VFTA = 0x100, 0x2170, 0x5000, 0x5008, 0x5818, 0x5c00, 0x5c80, 0x5600
RX, TX, TCTL = 0x2800, 0x3800, 0x400
BAL, BAH, LEN, HEAD, TAIL = 0x0, 0x4, 0x8, 0x10, 0x18
SLU, VME, RST = 1 << 6, 1 << 30, 1 << 26
EN, LOOPBACK, SPLIT, BAM, VFE, SECRC = (1 << n for n in (1, 6, 10, 15, 18, 26))
EXTENDED = 1 << 15
GPRC, GPTC, MPC, RNBC, GORCL, GORCH = 0x4074, 0x4080, 0x4010, 0x40a0, 0x4088, 0x408c
EOP, IFCS, RS, DEXT, VLE, TSE = (1 << n for n in (24, 25, 27, 29, 30, 26))
DATA = 1 << 20 | DEXT
RXQ0, RXQ1, TXQ0, OTHER, LSC = 1 << 20, 1 << 21, 1 << 22, 1 << 24, 1 << 2
MAC = "02:00:00:00:00:01"
IOVA, SIZE, ROWS, BUFFER = 0x10000000, 1 << 20, 16, 2048
# Where things lie in the memory.
RINGS, BUFFERS, FRAMES = 0, 0x10000, 0x80000


class Card:
    """A client with one ring of 16 descriptors a queue and direction."""

    def __init__(self, path):
        self.client = Client(path)
        self.memory = Memory(SIZE)
        self.client.dma_map(IOVA, SIZE, self.memory)
        self.client.set_config(4, 2, 0x0006)
        self.reg, self.set = self.client.reg, self.client.set_reg
        self.sent = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()
        self.memory.close()

    def start(self, rctl=0, ctrl=0, extended=False):
        """Queues 0 and 1 receive, queue 0 sends; all but one of the descriptors are the card's."""
        self.set(CTRL, SLU | ctrl)
        self.set(RFCTL, EXTENDED if extended else 0)
        for queue in 0, 1:
            ring = RINGS + 0x1000 * queue
            for n in range(ROWS):
                self.memory[ring + 16 * n:ring + 16 * n + 16] = struct.pack("<QQ", IOVA + self.buffer(queue, n), 0)
            self.ring(RX + 0x100 * queue, ring)
            self.set(RX + 0x100 * queue + TAIL, ROWS - 1)
        self.ring(TX, RINGS + 0x2000)
        self.set(RCTL, EN | BAM | SECRC | rctl)
        self.set(TCTL, 0x2 | 0x8)
        wait_for(lambda: self.reg(STATUS) & 2, "the link")

    def ring(self, base, at):
        self.set(base + BAL, IOVA + at)
        self.set(base + BAH, 0)
        self.set(base + LEN, 16 * ROWS)
        self.set(base + HEAD, 0)
        self.set(base + TAIL, 0)

    @staticmethod
    def buffer(queue, n):
        return BUFFERS + 0x10000 * queue + BUFFER * n

    def put(self, first, second):
        """A transmit descriptor; returns its place."""
        at = RINGS + 0x2000 + 16 * (self.sent % ROWS)
        self.memory[at:at + 16] = struct.pack("<QQ", first, second)
        self.sent += 1
        return at

    def go(self):
        self.set(TX + TAIL, self.sent % ROWS)

    def post(self, frame, command=0, high=0):
        """One in a single descriptor, whose place it returns."""
        self.memory[FRAMES:FRAMES + len(frame)] = frame
        at = self.put(IOVA + FRAMES, len(frame) | EOP | IFCS | RS | command | high << 32)
        self.go()
        return at

    def send(self, frame, command=0, high=0):
        """As far as its write-back."""
        at = self.post(frame, command, high)
        wait_for(lambda: self.memory[at + 12] & 1, "the transmit descriptor done")

    def received(self, queue, n):
        """The written-back quadwords of a descriptor and its buffer's bytes."""
        at = RINGS + 0x1000 * queue + 16 * n
        wait_for(lambda: self.reg(RX + 0x100 * queue + HEAD) != n, f"descriptor {n} of queue {queue}")
        return (*struct.unpack("<QQ", self.memory[at:at + 16]),
                self.memory[self.buffer(queue, n):self.buffer(queue, n) + BUFFER])

    def settle(self):
        """What a message gives the card to do, it does before the next but one."""
        for _ in range(4):
            self.reg(STATUS)

    def alive(self):
        """It does what it was told, then after a reset it still sends and receives."""
        self.settle()
        self.set(CTRL, RST)
        self.sent = 0
        self.start()
        self.send(FRAME)
        assert self.received(0, 0)[2].startswith(FRAME)


FRAME = bytes(Ether(dst=MAC, src="02:00:00:00:00:02", type=0x88b5) / Raw(bytes(range(100))))
