# SPDX-License-Identifier: BSD-3-Clause
"""The two cards: QEMU's 82576, and nicsim's 82599, X540 or X550. What their register maps have alike is written once;
each back end has the rest, by its datasheet."""
import socket
import struct
import time

import lab
from vfio_user import DATA_EVENTFD, MSIX, TRIGGER, Client, Event, Memory

import program
import qtest

BASE, SIZE = 16 << 20, 8 << 20      # of the memory that programs use, at the same address for both
MESSAGES = BASE + SIZE              # where the 82576's messages go, four bytes a vector
MAC = "02:00:00:00:00:76"

# The same registers on both (82599 datasheet 8.2.3.23, 82576 8.19).
COUNTERS = {
    "GPRC": 0x4074, "BPRC": 0x4078, "MPRC": 0x407c, "GPTC": 0x4080, "TPT": 0x40d4, "MPTC": 0x40f0, "BPTC": 0x40f4,
    **{f"PRC{size}": 0x405c + 4 * n for n, size in enumerate((64, 127, 255, 511, 1023, 1522))},
    **{f"PTC{size}": 0x40d8 + 4 * n for n, size in enumerate((64, 127, 255, 511, 1023, 1522))},
}
OCTETS = {"GORC": 0x4088, "GOTC": 0x4090}
RXCSUM, MTA, MRQC = 0x5000, 0x5200, 0x5818
PCSD = 1 << 13
ENABLE = 1 << 25


def until(condition, what):
    """Waits for what is mostly true at once, or very soon."""
    for _ in range(100):
        if condition():
            return
        time.sleep(0.0001)
    lab.wait_for(condition, what)


def received(connection, process):
    """What is there to be read."""
    data = b""
    while True:
        try:
            piece = connection.recv(1 << 20, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return data
        assert piece, f"{process.args[0]} is gone: {process.text}"
        data += piece


class Card:
    """`get` and `set` of a register, `memory` from BASE on, a `wire` to send to; the rest by these."""

    RX, TX, RXQ_SRRCTL = 0, 0, 0        # of queue 0, and where a receive queue's SRRCTL is
    HASH_BITS = {}
    RSS_MODE = 0
    SUMS = 0                            # checksums are looked at always
    VFTA, RAL, KEY = 0, 0, 0
    RETA = ()                           # one, or more that are alike
    EICR, EICS, EIMS, EIMC, EIAC, GPIE = 0, 0, 0, 0, 0, 0
    EITR, EITR_SHIFT = 0, 0
    ETQF, ETQF_ENABLE = 0, 0
    ADDRESSES = 16                      # used of them

    def rx(self, queue):
        return self.RX + 0x40 * queue

    def tx(self, queue):
        return self.TX + 0x40 * queue

    # --- setting up ---

    def start(self, setup, rings):
        """After a reset. `rings`: where the program's memory is, see play.Layout."""
        for n, address in enumerate(rings.rx_rings):
            queue, at = setup["rx"][n], self.rx(n)
            self.set(at, address)
            self.set(at + 4, 0)
            self.set(at + 8, 16 * queue["size"])
            # Advanced descriptors, one buffer (DESCTYPE 1); DROP_EN is bit 28 on one and 31 on the other.
            self.set(at + self.RXQ_SRRCTL, setup["kib"] | 1 << 25 | (0 if setup["waits"] else self.DROP))
        for n, address in enumerate(rings.tx_rings):
            queue, at = setup["tx"][n], self.tx(n)
            self.set(at, address)
            self.set(at + 4, 0)
            self.set(at + 8, 16 * queue["size"])
            self.set(at + 0x10, 0)
            self.set(at + 0x18, 0)
            self.set(at + 0x38, rings.heads + 64 * n | 1 if queue["report_head"] else 0)
            self.set(at + 0x3c, 0)
        self.set(RXCSUM, self.SUMS | (PCSD if setup["hash_shown"] else 0))
        if setup["hash"]:
            key = bytes.fromhex(setup["hash"]["key"])
            for n in range(10):
                self.set(self.KEY + 4 * n, int.from_bytes(key[4 * n:4 * n + 4], "little"))
            self.set_table(setup["hash"]["table"])
            fields = sum(1 << self.HASH_BITS[name] for name in setup["hash"]["fields"])
            self.set(MRQC, self.RSS_MODE | fields)
        self.set(self.GPIE, 1 << 4)         # a message for each vector
        self.set(self.EIMC, 0xffffffff)
        for n, queue in enumerate(setup["rx"]):
            self.set_vector("rx", n, queue["vector"])
        for n, queue in enumerate(setup["tx"]):
            self.set_vector("tx", n, queue["vector"])
        for n, interval in enumerate(setup["throttle"]):
            self.set(self.EITR + 4 * n, interval << self.EITR_SHIFT)
        self.set(self.EIAC, setup["auto_clear"])
        self.get(self.EICR)
        self.set(self.EIMS, setup["unmasked"])
        self.set_filter(setup["filter"])
        for n in range(8):
            self.set(self.ETQF + 4 * n, 0)
        for n, ethertype in setup["types"]:
            self.set(self.ETQF + 4 * n, self.ETQF_ENABLE | ethertype)
        self.start_engines(setup)
        for n, queue in enumerate(setup["rx"]):
            self.set(self.rx(n) + 0x28, self.rxdctl(setup))
        for n in range(len(setup["tx"])):
            self.set(self.tx(n) + 0x28, ENABLE)
        for n, queue in enumerate(setup["rx"]):
            self.set(self.rx(n) + 0x18, queue["size"] - 1)
        self.counters()

    def set_table(self, table):
        """The hash's: 128 queues."""
        for start in self.RETA:
            for n in range(32):
                self.set(start + 4 * n, int.from_bytes(bytes(table[4 * n:4 * n + 4]), "little"))

    def set_filter(self, wanted):
        for n in range(self.ADDRESSES):
            address = bytes.fromhex(wanted["own"][n]) if n < len(wanted["own"]) else bytes(6)
            low, high = struct.unpack("<IH", address)
            self.set(self.RAL + 8 * n, low)
            self.set(self.RAL + 8 * n + 4, high | (1 << 31 if any(address) else 0))
        self._table(MTA, wanted["groups"])
        self._table(self.VFTA, wanted["tags"] or [])
        self.set_passes(wanted)

    def _table(self, at, bits):
        """4096 bits; only words that change are written."""
        words = {}
        for bit in bits:
            words[at + bit // 32 * 4] = words.get(at + bit // 32 * 4, 0) | 1 << bit % 32
        for register in self.tables.keys() - words.keys():
            if at <= register < at + 512:
                self.set(register, 0)
                del self.tables[register]
        for register, word in words.items():
            self.set(register, word)
            self.tables[register] = word

    # --- running ---

    def heads(self, setup):
        """RDH of each receive queue."""
        return [self.get(self.rx(n) + 0x10) for n in range(len(setup["rx"]))]

    def counters(self):
        """Reads and so clears them."""
        found = {name: self.get(at) for name, at in COUNTERS.items()}
        for name, at in OCTETS.items():
            found[name] = self.get(at) | self.get(at + 4) << 32
        return found

    def causes(self):
        return self.get(self.EICR) & (1 << program.VECTORS) - 1


class Igb(Card):
    """QEMU's 82576. Registers: 82576 datasheet, chapter 8."""

    RX, TX, RXQ_SRRCTL = 0xc000, 0xe000, 0xc
    DROP = 1 << 31
    # TcpIPv6 is bit 21 by the datasheet (MRQC), which QEMU does not know: its TcpIPv6Ex is the same function where
    # there are no extension headers.
    HASH_BITS = {"tcp4": 16, "ip4": 17, "tcp6": 18, "ip6": 20, "udp4": 22, "udp6": 23}
    RSS_MODE = 2
    SUMS = 3 << 8                       # RXCSUM.IPOFL, TUOFL
    VFTA, RAL, KEY = 0x5600, 0x5400, 0x5c80
    RETA = (0x5c00,)
    EICR, EICS, EIMS, EIMC, EIAC, GPIE = 0x1580, 0x1520, 0x1524, 0x1528, 0x152c, 0x1514
    EITR, EITR_SHIFT = 0x1680, 2
    ETQF, ETQF_ENABLE = 0x5cb0, 1 << 26
    CTRL, STATUS, MDIC, RCTL, TCTL, VET, RFCTL, RLPML = 0x0, 0x8, 0x20, 0x100, 0x400, 0x38, 0x5008, 0x5004
    SLOT, BAR, TABLE = 3, 0xe0000000, 0xe0100000

    def __init__(self, run):
        self.machine = qtest.Machine(run, f"igb,netdev=wire,addr={self.SLOT},mac={MAC}")
        self.memory = memoryview(self.machine.memory)[BASE:BASE + SIZE]
        machine = self.machine
        assert machine.config(self.SLOT, 0) == 0x10c98086
        machine.set_config(self.SLOT, 0x10, self.BAR)
        machine.set_config(self.SLOT, 0x1c, self.TABLE)
        machine.set_config(self.SLOT, 0x20, 0)
        machine.set_config(self.SLOT, 4, 0x0006)
        assert machine.config(self.SLOT, 0x70) & 0xff == 0x11
        machine.set_config(self.SLOT, 0x70, 1 << 31)        # MSI-X on
        for vector in range(program.VECTORS):
            for n, word in enumerate((MESSAGES + 4 * vector, 0, 1, 0)):
                machine.write(self.TABLE + 16 * vector + 4 * n, word)
        self.messages = memoryview(machine.memory)[MESSAGES:MESSAGES + 4 * program.VECTORS]
        self._unread, self._waiting = b"", []

    def close(self):
        self.memory.release()
        self.messages.release()
        self.machine.close()

    def get(self, offset):
        return self.machine.read(self.BAR + offset)

    def set(self, offset, value):
        self.machine.write(self.BAR + offset, value)

    def reset(self):
        self.set(self.CTRL, 1 << 26)
        self.set(self.CTRL, 1 << 6)                         # SLU
        # The PHY negotiates: what MDIC writes into its control register (82576 datasheet, MDIC).
        self.set(self.MDIC, 1 << 26 | 1 << 21 | 0x1340)
        self.machine.ask("clock_step", "1000000000")
        assert self.get(self.STATUS) & 2, "no link"
        self._waiting = []
        self.tables = {}
        self.messages[:] = bytes(len(self.messages))

    def set_vector(self, kind, queue, vector):
        """82576 datasheet, IVAR: n is of queues n and n + 8."""
        at = 0x1700 + 4 * (queue % 8)
        shift = (16 if queue >= 8 else 0) + (8 if kind == "tx" else 0)
        self.set(at, self.get(at) & ~(0xff << shift) | (0 if vector is None else 0x80 | vector) << shift)

    def start_engines(self, setup):
        self.set(self.VET, 0x81008100)
        self.set(self.RFCTL, 1 << 16)                       # extension headers end what is parsed
        self.set(self.RLPML, setup["longest"])
        self.set(self.CTRL, 1 << 6 | (1 << 30 if setup["strip_tag"] else 0))
        self.set(self.TCTL, 1 << 3 | 1 << 1)
        self._rctl = 1 << 1 | (1 << 26 if setup["strip_crc"] else 0) | (1 << 5 if setup["longest"] != 1518 else 0)
        self.set(self.RCTL, self._rctl | self._passes)

    def rxdctl(self, _):
        return ENABLE

    _rctl = 0

    def set_passes(self, wanted):
        self._passes = (wanted["every"] << 3 | wanted["every_group"] << 4 | wanted["offset"] << 12 |
                        wanted["broadcast"] << 15 | (wanted["tags"] is not None) << 18)
        if self._rctl:
            self.set(self.RCTL, self._rctl | self._passes)

    # --- running ---

    def receive(self, frames, setup):
        """Frames come on the wire."""
        self._waiting += frames

    def settle(self, setup, senders=()):
        """Returns when the card has done what it can: with the frames, with what queues `senders` send."""
        # QEMU's network would wait for a card without room, but drops what still finds none when there is some.
        at = self.rx(0)
        while self._waiting and not (setup["waits"] and self.get(at + 0x10) == self.get(at + 0x18)):
            count = 1 if setup["waits"] else len(self._waiting)
            self.machine.wire.sendall(b"".join(struct.pack(">I", len(it)) + it for it in self._waiting[:count]))
            del self._waiting[:count]
            until(lambda: qtest.unread(self.machine.wire) == 0, "QEMU reads its wire")
        self.get(self.STATUS)           # answered by the thread that has read them, after it was done

    def sent(self, count):
        """Frames that went out since the last time: `count` of them, for which it waits, or more."""
        found = []

        def there():
            self._unread += received(self.machine.wire, self.machine.process)
            while len(self._unread) >= 4:
                length = int.from_bytes(self._unread[:4], "big")
                if len(self._unread) < 4 + length:
                    break
                found.append(self._unread[4:4 + length])
                self._unread = self._unread[4 + length:]
            return len(found) >= count
        until(there, f"QEMU sends {count} frames")
        return found

    def later(self):
        """Time for all messages that are throttled. (QEMU's card repeats each when its interval is over.)"""
        self.machine.ask("clock_step", "100000000")

    def announced(self):
        """The vectors of messages since the last time."""
        found = {n for n in range(program.VECTORS) if any(self.messages[4 * n:4 * n + 4])}
        self.messages[:] = bytes(len(self.messages))
        return found


class Ixgbe(Card):
    """nicsim's 82599, X540 or X550. Registers: 82599 datasheet 8.2.3."""

    RX, TX, RXQ_SRRCTL = 0x1000, 0x6000, 0x14
    DROP = 1 << 28
    HASH_BITS = {"tcp4": 16, "ip4": 17, "tcp6": 21, "ip6": 20, "udp4": 22, "udp6": 23}
    RSS_MODE = 1
    VFTA, RAL, KEY = 0xa000, 0xa200, 0xeb80
    RETA = (0xeb00,)
    RETA_X550 = (0xeb00, 0xee80, 0xef00, 0xef80)    # RETA and ERETA: the X550 looks at two bits more
    EICR, EICS, EIMS, EIMC, EIAC, GPIE = 0x800, 0x808, 0x880, 0x888, 0x810, 0x898
    EITR, EITR_SHIFT = 0x820, 3
    ETQF, ETQF_ENABLE = 0x5128, 1 << 31
    CTRL, STATUS, FCTRL, VLNCTRL, MCSTCTRL, LINKS = 0x0, 0x8, 0x5080, 0x5088, 0x5090, 0x42a4
    HLREG0, MAXFRS, RDRXCTL, RXCTRL, DMATXCTL = 0x4240, 0x4268, 0x2f00, 0x3000, 0x4a80
    QPRDC = 0x1430
    HELLO, UP, FRAME = 1, 2, 4          # records of a cable

    def __init__(self, run, device, doorbells="trapped"):
        name = run.dir / f"{device}.cable"
        self.process = run.start("nicsim", "--doorbells", doorbells, "--strict", "--device", device, "--socket",
                                 run.dir / device, "--wire", f"cable:{name}")
        self.process.expect(f"^nicsim: {device} ")
        if device == "x550":
            self.RETA = self.RETA_X550
        self.cable = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.cable.connect(str(name))
        self.cable.sendall(self._record(self.HELLO, b"cable 1\0") + self._record(self.UP, b""))
        self._unread = b""
        self._frames = []
        self.client = Client(run.dir / device)
        self.client.map_pages()
        self._file = Memory(SIZE)
        self.memory = memoryview(self._file.map)
        self.client.dma_map(BASE, SIZE, self._file)
        self.client.set_config(4, 2, 0x0006)
        self._events = [Event() for _ in range(program.VECTORS)]
        self.client.set_irqs(MSIX, DATA_EVENTFD | TRIGGER, 0, len(self._events), fds=[it.fd for it in self._events])
        self.get, self.set = self.client.reg, self.client.set_reg

    def close(self):
        self.memory.release()
        self.client.close()
        self.cable.close()
        self._file.close()
        for event in self._events:
            event.close()

    @staticmethod
    def _record(kind, data):
        return struct.pack("<HBB", len(data), kind, 0) + data

    def reset(self):
        self.set(self.CTRL, 1 << 26)
        until(lambda: self.get(self.LINKS) & 1 << 30, "a link")
        self.tables = {}
        self.announced()

    def set_vector(self, kind, queue, vector):
        """82599 datasheet 8.2.3.5.16: IVAR n is of queues 2n and 2n + 1."""
        at = 0x900 + 4 * (queue // 2)
        shift = 16 * (queue % 2) + (8 if kind == "tx" else 0)
        self.set(at, self.get(at) & ~(0xff << shift) | (0 if vector is None else 0x80 | vector) << shift)

    def start_engines(self, setup):
        strip = 2 if setup["strip_crc"] else 0
        jumbo = setup["longest"] != 1518
        self.set(self.HLREG0, self.get(self.HLREG0) & ~6 | strip | (4 if jumbo else 0))
        self.set(self.RDRXCTL, self.get(self.RDRXCTL) & ~2 | strip)
        self.set(self.MAXFRS, setup["longest"] << 16)
        self.set(self.DMATXCTL, self.get(self.DMATXCTL) | 1)
        self.set(self.RXCTRL, 1)

    @staticmethod
    def rxdctl(setup):
        return ENABLE | (1 << 30 if setup["strip_tag"] else 0)

    def set_passes(self, wanted):
        self.set(self.FCTRL, wanted["every_group"] << 8 | wanted["every"] << 9 | wanted["broadcast"] << 10)
        self.set(self.MCSTCTRL, wanted["offset"] | 4)
        self.set(self.VLNCTRL, 0x8100 | (wanted["tags"] is not None) << 30)

    # --- running ---

    def receive(self, frames, setup):
        self.cable.sendall(b"".join(self._record(self.FRAME, it) for it in frames))

    def settle(self, setup, senders=()):
        def done():
            self._listen()
            return qtest.unread(self.cable) == 0 and all(
                self.get(self.tx(n) + 0x10) == self.get(self.tx(n) + 0x18) for n in senders)
        until(done, "nicsim is done")
        for _ in range(8):              # turns of its loop: what was read is passed on, then announced
            self.get(self.STATUS)       # by a message, before which it looks at pages that are mapped

    def _listen(self):
        self._unread += received(self.cable, self.process)
        while len(self._unread) >= 4:
            length, kind, _ = struct.unpack_from("<HBB", self._unread)
            if len(self._unread) < 4 + length:
                break
            if kind == self.FRAME:
                self._frames.append(self._unread[4:4 + length])
            self._unread = self._unread[4 + length:]

    def sent(self, _):
        self._listen()
        found, self._frames = self._frames, []
        return found

    def announced(self):
        return {n for n, event in enumerate(self._events) if event.wait(0)}

    def dropped(self):
        """Frames that found no descriptor, since the last time; all queues count in the first counter (RQSMR)."""
        return int.from_bytes(self.client.region_read(0, self.QPRDC, 4), "little")
