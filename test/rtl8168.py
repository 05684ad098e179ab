# SPDX-License-Identifier: BSD-3-Clause
"""A driver of nicsim's RTL8168 for tests: what each of them needs. Offsets are the RTL8169 datasheet's."""
import struct

from scapy.all import Ether, Raw

from lab import wait_for
from stack import ask
from vfio_user import Client, Memory

IDR, MAR, DTCCR, TNPDS, THPDS, CR, TPPOLL, IMR, ISR = 0x0, 0x8, 0x10, 0x20, 0x28, 0x37, 0x38, 0x3c, 0x3e
TCR, RCR, CR9346, CONFIG3, CONFIG4, PHYAR, PHYSTATUS = 0x40, 0x44, 0x50, 0x54, 0x55, 0x60, 0x6c
RMS, CPCR, RDSAR = 0xda, 0xe0, 0xe4
RST, RE, TE = 0x10, 0x8, 0x4
HPQ, NPQ, FSWINT = 0x80, 0x40, 0x1
ROK, RER, TOK, TER, RDU, LINK, FOVW, TDU, SW, SYSERR = 0x1, 0x2, 0x4, 0x8, 0x10, 0x20, 0x40, 0x80, 0x100, 0x8000
AAP, APM, AM, AB, AER = 0x1, 0x2, 0x4, 0x8, 0x20
VLAN, CHECKSUM = 0x40, 0x20
OWN, EOR, FS, LS = (1 << n for n in (31, 30, 29, 28))
UNLOCK = 0xc0
MAC = "02:00:00:00:00:01"
COUNTERS = ("tx_ok", "rx_ok", "tx_errors", "rx_errors", "rx_missed", "alignment", "one_collision", "collisions", "rx_unicast",
            "rx_broadcast", "rx_multicast", "tx_aborted", "tx_underrun")
IOVA, SIZE, ROWS, BUFFER = 0x10000000, 1 << 20, 16, 2048
# Where things lie in the memory.
RX, TX, HIGH, TALLY, BUFFERS, FRAMES = 0, 0x1000, 0x2000, 0x3000, 0x10000, 0x80000


class Card:
    """A client with rings of 16 descriptors."""

    def __init__(self, path):
        self.client = Client(path)
        self.memory = Memory(SIZE)
        self.client.dma_map(IOVA, SIZE, self.memory)
        self.client.set_config(4, 2, 0x0007)
        self.sent, self.got = {TX: 0, HIGH: 0}, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()
        self.memory.close()

    def reg(self, offset, size=4, bar=2):
        return int.from_bytes(self.client.region_read(bar, offset, size), "little")

    def set(self, offset, value, size=4, bar=2):
        self.client.region_write(bar, offset, value.to_bytes(size, "little"))

    def start(self, rcr=APM | AB, cpcr=0, buffer=BUFFER):
        """A reset; then all receive descriptors are the card's."""
        self.set(CR, RST, 1)
        assert self.reg(CR, 1) == 0x01
        self.sent, self.got = {TX: 0, HIGH: 0}, 0
        for ring in TX, HIGH:
            self.memory[ring:ring + 16 * ROWS] = bytes(16 * ROWS)
        for n in range(ROWS):
            self.give(n, buffer)
        for base, ring in (RDSAR, RX), (TNPDS, TX), (THPDS, HIGH):
            self.set(base + 4, 0)
            self.set(base, IOVA + ring)
        self.set(RMS, 0x3fff, 2)
        self.set(CPCR, cpcr, 2)
        self.set(CR, RE | TE, 1)
        self.set(RCR, rcr)
        wait_for(lambda: self.reg(PHYSTATUS, 1) & 2, "the link")

    def give(self, n, size=BUFFER, address=None):
        """A receive descriptor to the card."""
        at = IOVA + BUFFERS + BUFFER * n if address is None else address
        self.memory[RX + 16 * n + 4:RX + 16 * n + 16] = struct.pack("<IQ", 0, at)
        self.memory[RX + 16 * n:RX + 16 * n + 4] = struct.pack("<I", OWN | size | (EOR if n == ROWS - 1 else 0))

    def put(self, address, options1, options2=0, ring=TX):
        """A transmit descriptor; returns its place."""
        n = self.sent[ring] % ROWS
        at = ring + 16 * n
        self.memory[at:at + 16] = struct.pack("<IIQ", options1 | OWN | (EOR if n == ROWS - 1 else 0), options2, address)
        self.sent[ring] += 1
        return at

    def post(self, frame, options1=0, options2=0, ring=TX):
        """One in a single descriptor, whose place it returns."""
        where = FRAMES + (0x40000 if ring == HIGH else 0) + 0x4000 * (self.sent[ring] % ROWS)
        self.memory[where:where + len(frame)] = frame
        at = self.put(IOVA + where, len(frame) | FS | LS | options1, options2, ring)
        self.set(TPPOLL, NPQ if ring == TX else HPQ, 1)
        return at

    def owned(self, at):
        return self.memory[at + 3] >> 7

    def send(self, frame, options1=0, options2=0, ring=TX):
        """As far as its write-back."""
        at = self.post(frame, options1, options2, ring)
        wait_for(lambda: not self.owned(at), "the transmit descriptor done")

    def received(self):
        """The next descriptor's status doublewords and its buffer's bytes; it is the card's again after that."""
        n = self.got % ROWS
        at = RX + 16 * n
        wait_for(lambda: not self.owned(at), f"receive descriptor {n}")
        status, more = struct.unpack("<II", self.memory[at:at + 8])
        data = self.memory[BUFFERS + BUFFER * n:BUFFERS + BUFFER * n + (status & 0x3fff)]
        assert bool(status & EOR) == (n == ROWS - 1)
        self.got += 1
        self.give(n)
        return status & ~EOR, more, data

    def counters(self, command=8):
        self.set(DTCCR + 4, 0)
        self.set(DTCCR, IOVA + TALLY | command)
        assert self.reg(DTCCR) == IOVA + TALLY
        return dict(zip(COUNTERS, struct.unpack("<QQQIHHIIQQIHH", self.memory[TALLY:TALLY + 64])))

    def phy(self, reg, value=None):
        self.set(PHYAR, reg << 16 | (0 if value is None else 1 << 31 | value))
        assert self.reg(PHYAR) >> 31 == (value is None)
        return self.reg(PHYAR) & 0xffff

    def settle(self):
        """What a message gives the card to do, it does before the next but one."""
        for _ in range(4):
            self.reg(CR, 1)

    def alive(self):
        """It does what it was told, then after a reset it still sends and receives."""
        self.settle()
        self.start()
        self.send(FRAME)
        assert self.received()[2][:-4] == FRAME


FRAME = bytes(Ether(dst=MAC, src="02:00:00:00:00:02", type=0x88b5) / Raw(bytes(range(100))))


def serve(run, device="rtl8168", wire="loop", options=()):
    process = run.start("nicsim", "--control", run.dir / "control", *options, "--device", device, "--socket", run.dir / "card",
                        "--wire", wire, "--mac", MAC)
    process.expect(f"^nicsim: {device} ")
    process.path = run.dir / "card"
    return process


def ctl(run, *words):
    done, said = ask(run.dir / "control", "", *words)
    assert done, said
    return said


def counter(run, name):
    return int(dict(line.split() for line in ctl(run, "counters").splitlines())[name], 0)
