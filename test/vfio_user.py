# SPDX-License-Identifier: BSD-3-Clause
"""A vfio-user client in a few lines: handshake, memory maps, region accesses, interrupts; and raw
messages for tests of what a server does with those. The numbers are the protocol's (vfio-user
specification 0.x) and linux/vfio.h's."""
import array
import ctypes
import errno
import json
import mmap
import os
import select
import socket
import struct

import lab

VERSION, DMA_MAP, DMA_UNMAP, GET_INFO, GET_REGION_INFO, GET_REGION_IO_FDS, GET_IRQ_INFO, SET_IRQS, \
    REGION_READ, REGION_WRITE, DMA_READ, DMA_WRITE, DEVICE_RESET = range(1, 14)
REPLY, NO_REPLY, ERROR = 1, 0x10, 0x20
HEADER = struct.Struct("<HHIII")
CONFIG = 7
INTX, MSI, MSIX = 0, 1, 2
DATA_NONE, DATA_BOOL, DATA_EVENTFD = 1, 2, 4
MASK, UNMASK, TRIGGER = 8, 16, 32
READABLE, WRITABLE = 1, 2
MMAP, CAPS = 4, 8  # of a region


class Refused(OSError):
    """The server answered with an error."""


class Closed(Exception):
    """The server closed the connection."""


class Memory:
    """A memfd that both sides see."""

    def __init__(self, size, flags=os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING):
        self.fd = os.memfd_create("test", flags)
        os.ftruncate(self.fd, size)
        self.size = size
        self.map = mmap.mmap(self.fd, size)

    def __getitem__(self, where):
        return self.map[where]

    def __setitem__(self, where, data):
        self.map[where] = data

    def close(self):
        self.map.close()
        os.close(self.fd)


class Pages:
    """Registers in memory that the server shares, by their offset in the BAR."""

    def __init__(self, fd, areas):
        self.maps = [(offset, size, mmap.mmap(fd, size, offset=offset)) for offset, size in areas]
        self.words = [memoryview(it).cast("I") for _, _, it in self.maps]
        os.close(fd)

    def _find(self, offset):
        for n, (start, size, _) in enumerate(self.maps):
            if start <= offset < start + size:
                return self.words[n], (offset - start) // 4
        return None

    def __contains__(self, offset):
        return self._find(offset) is not None

    def __getitem__(self, offset):
        words, at = self._find(offset)
        return words[at]

    def __setitem__(self, offset, value):
        words, at = self._find(offset)
        words[at] = value

    def close(self):
        for words in self.words:
            words.release()
        for _, _, it in self.maps:
            it.close()


class Client:
    def __init__(self, path, limit=lab.PATIENCE, handshake=True):
        """`path`: where the server listens, or a socket that is connected to it."""
        connected = isinstance(path, socket.socket)
        self.socket = path if connected else socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(limit)
        if not connected:
            self.socket.connect(str(path))
        self.limit = limit
        self._id = 0
        self.pages = None  # of BAR 0, where they are mapped
        if handshake:
            self.capabilities = self.version()

    def close(self):
        if self.pages:
            self.pages.close()
            self.pages = None
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- messages ---

    def send(self, command, payload=b"", fds=(), flags=0, size=None, ident=None):
        """One message as it is told, sensible or not; returns its id."""
        self._id = (self._id + 1) & 0xffff if ident is None else ident
        head = HEADER.pack(self._id, command, HEADER.size + len(payload) if size is None else size, flags, 0)
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self.socket.sendmsg([head + payload], control)
        except (BrokenPipeError, ConnectionResetError):
            raise Closed from None
        return self._id

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            try:
                piece = self.socket.recv(count - len(data))
            except ConnectionResetError:
                piece = b""
            if not piece:
                raise Closed
            data += piece
        return data

    def receive(self):
        """The next reply: (id, command, flags, error, payload)."""
        ident, command, size, flags, error = HEADER.unpack(self._exactly(HEADER.size))
        return ident, command, flags, error, self._exactly(size - HEADER.size)

    def call(self, command, payload=b"", fds=(), **how):
        ident = self.send(command, payload, fds, **how)
        got, what, flags, error, reply = self.receive()
        assert (got, what, flags & 0xf) == (ident, command, REPLY)
        if flags & ERROR:
            raise Refused(error, os.strerror(error))
        return reply

    # --- the protocol ---

    def version(self):
        offer = json.dumps({"capabilities": {"max_msg_fds": 64}}).encode() + b"\0"
        reply = self.call(VERSION, struct.pack("<HH", 0, 0) + offer)
        assert struct.unpack_from("<HH", reply) == (0, 0) and reply[-1] == 0
        return json.loads(reply[4:-1])["capabilities"]

    def dma_map(self, address, size, memory=None, offset=0, prot=READABLE | WRITABLE):
        fds = [] if memory is None else [memory if isinstance(memory, int) else memory.fd]
        self.call(DMA_MAP, struct.pack("<IIQQQ", 32, prot, offset, address, size), fds)

    def dma_unmap(self, address, size, flags=0):
        self.call(DMA_UNMAP, struct.pack("<IIQQ", 24, flags, address, size))

    def info(self):
        return struct.unpack("<IIII", self.call(GET_INFO, struct.pack("<IIII", 16, 0, 0, 0)))

    def region_info(self, index):
        reply = self.call(GET_REGION_INFO, struct.pack("<IIIIQQ", 32, 0, index, 0, 0, 0))
        _, flags, got, _, size, _ = struct.unpack("<IIIIQQ", reply)
        assert got == index
        return flags, size

    def region_window(self, index, argsz=1024):
        """Which pages of a region can be mapped: (flags, argsz, [(offset, size) ...], file or None)."""
        self.send(GET_REGION_INFO, struct.pack("<IIIIQQ", argsz, 0, index, 0, 0, 0))
        head, fds, _, _ = socket.recv_fds(self.socket, HEADER.size, 4)
        head += self._exactly(HEADER.size - len(head))
        reply = self._exactly(HEADER.unpack(head)[2] - HEADER.size)
        needed, flags, got, at, _, _ = struct.unpack_from("<IIIIQQ", reply)
        assert got == index and len(fds) <= 1
        areas = []
        if flags & CAPS:
            assert struct.unpack_from("<HHI", reply, at) == (1, 1, 0)  # the sparse mmap capability, no further one
            count, _ = struct.unpack_from("<II", reply, at + 8)
            areas = [struct.unpack_from("<QQ", reply, at + 16 + 16 * n) for n in range(count)]
        return flags, needed, areas, fds[0] if fds else None

    def map_pages(self):
        """Maps what the server offers of BAR 0: reg() and set_reg() go there from now on."""
        flags, _, areas, fd = self.region_window(0)
        if flags & MMAP:
            self.pages = Pages(fd, areas)

    def irq_info(self, index):
        reply = self.call(GET_IRQ_INFO, struct.pack("<IIII", 16, 0, index, 0))
        _, flags, got, count = struct.unpack("<IIII", reply)
        assert got == index
        return flags, count

    def set_irqs(self, index, flags, start=0, count=0, data=b"", fds=()):
        self.call(SET_IRQS, struct.pack("<IIIII", 20 + len(data), flags, index, start, count) + data, fds)

    def region_read(self, region, offset, count):
        reply = self.call(REGION_READ, struct.pack("<QII", offset, region, count))
        assert struct.unpack_from("<QII", reply) == (offset, region, count)
        return reply[16:]

    def region_write(self, region, offset, data, posted=False):
        payload = struct.pack("<QII", offset, region, len(data)) + data
        if posted:
            self.send(REGION_WRITE, payload, flags=NO_REPLY)
        else:
            self.call(REGION_WRITE, payload)

    def reset(self):
        self.call(DEVICE_RESET)

    # --- shorthands ---

    def config(self, offset, size):
        return int.from_bytes(self.region_read(CONFIG, offset, size), "little")

    def set_config(self, offset, size, value):
        self.region_write(CONFIG, offset, value.to_bytes(size, "little"))

    def reg(self, offset):
        if self.pages and offset in self.pages:
            return self.pages[offset]
        return int.from_bytes(self.region_read(0, offset, 4), "little")

    def set_reg(self, offset, value, posted=True):
        if self.pages and offset in self.pages:
            self.pages[offset] = value
        else:  # where pages are mapped a message is waited for: what is written there next comes after it
            self.region_write(0, offset, value.to_bytes(4, "little"), posted and not self.pages)


class Event:
    """An eventfd that the server signals."""

    def __init__(self):
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def wait(self, limit=lab.PATIENCE):
        """How often it was signalled, at least once within the limit; else 0."""
        if not select.select([self.fd], [], [], limit)[0]:
            return 0
        return os.eventfd_read(self.fd)

    def close(self):
        os.close(self.fd)
