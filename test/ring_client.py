# SPDX-License-Identifier: BSD-3-Clause
"""A client of shared rings in plain Python (scheme/ring_layout.h), which may also do what none should."""
import array
import ctypes
import errno
import fcntl
import mmap
import os
import socket
import struct

import lab
import scheme_client
from scheme_client import MAGIC, READ, REPLY, WRITE

VERSION = 2
SLOTS, PAGE = 4096, 1024
RX_PROVIDED, TX_PROVIDED, SLEEPING = 0, 128, 256                      # in the ring memory
RX_TAKEN, RX_RETURNED, TX_TAKEN, TX_DONE, SLEEPS = PAGE, PAGE + 4, PAGE + 128, PAGE + 132, PAGE + 256  # in the page
STRIDE, HEAD, BUFFER = 2112, 64, 2048
REQUEST = struct.Struct(f"<IHHIBBH{scheme_client.PATH_MAX}s")
FIXED = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
LIBC = ctypes.CDLL(None, use_errno=True)
MORE = 1  # a flag of an entry
PUNCH_HOLE = 3  # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE


def memory(size, seals=FIXED):
    fd = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def punch(fd, at, size):
    if LIBC.fallocate(fd, PUNCH_HOLE, ctypes.c_long(at), ctypes.c_long(size)) != 0:
        raise OSError(ctypes.get_errno(), "fallocate")


class Ring:
    """An open handle with rings of 64 entries. Buffers 0 to 63 are for frames received, 64 to 127 to send."""

    def __init__(self, root, name, access=READ | WRITE, order=6, limit=lab.PATIENCE):
        self.size = 1 << order
        self.kept = 0  # entries that are not published
        self.frames_fd = memory(256 << 12)
        self.rings_fd = memory(SLOTS + 4096)
        self.frames = mmap.mmap(self.frames_fd, 256 << 12)
        self.rings = mmap.mmap(self.rings_fd, SLOTS + 4096)
        # Written whole, each by one store; struct.pack_into() writes zeros first.
        self.words = memoryview(self.rings).cast("I")
        self.slots = memoryview(self.rings).cast("Q")
        self.socket = scheme_client.connect(root, name, limit)
        request = REQUEST.pack(MAGIC, VERSION, 0, access, order, order, 0, b"")
        self.socket.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [self.frames_fd, self.rings_fd]))])
        data, control, _, _ = self.socket.recvmsg(REPLY.size, socket.CMSG_SPACE(16))
        error = REPLY.unpack(data)[1]
        if error:
            self.socket.close()
            raise OSError(-error, os.strerror(-error))
        page = array.array("i")
        page.frombytes(control[0][2][:4])
        self.page = mmap.mmap(page[0], 4096, mmap.MAP_SHARED, mmap.PROT_READ)
        os.close(page[0])
        self.socket.setblocking(False)
        self.rx_returned = self.driver(RX_RETURNED)

    def driver(self, at):
        return struct.unpack_from("<I", self.page, at)[0]

    def client(self, at):
        return self.words[at // 4]

    def store(self, at, value):
        self.words[at // 4] = value & 0xffffffff

    def status(self, field):
        form, at = scheme_client.STATUS[field]
        return struct.unpack_from(form, self.page, at)[0]

    def wake(self):
        """Whether it sleeps or not."""
        try:
            self.socket.send(b"\0", socket.MSG_NOSIGNAL)
        except OSError as error:
            assert error.errno in (errno.EAGAIN, errno.EPIPE, errno.ECONNRESET), error

    def hung_up(self):
        """Reads wake-ups; whether the end is behind them."""
        try:
            while self.socket.recv(16):
                pass
            return True
        except ConnectionResetError:
            return True
        except BlockingIOError:
            return False

    def slot(self, ring, index):
        return SLOTS // 8 + index % self.size + (self.size if ring == "tx" else 0)

    def provide(self):
        """An empty buffer for a frame."""
        at = self.client(RX_PROVIDED)
        self.slots[self.slot("rx", at)] = at % self.size * STRIDE + HEAD
        self.store(RX_PROVIDED, at + 1)
        self.wake()

    def put(self, data, more=False):
        """An entry, which the driver does not know of yet."""
        at = self.client(TX_PROVIDED) + self.kept
        offset = (64 + at % self.size) * STRIDE + HEAD
        self.frames[offset:offset + len(data)] = data
        self.slots[self.slot("tx", at)] = offset | len(data) << 32 | (MORE << 48 if more else 0)
        self.kept += 1

    def publish(self):
        self.store(TX_PROVIDED, self.client(TX_PROVIDED) + self.kept)
        self.kept = 0
        self.wake()

    def send(self, data):
        """In as many buffers as it takes."""
        for at in range(0, len(data), BUFFER):
            self.put(data[at:at + BUFFER], at + BUFFER < len(data))
        self.publish()

    def room(self):
        return self.size - (self.client(TX_PROVIDED) - self.driver(TX_DONE) & 0xffffffff)

    def receive(self):
        """The oldest frame that was returned, or None."""
        out, more = b"", True
        while more:
            if self.driver(RX_RETURNED) == self.rx_returned:
                assert not out, "half a frame"
                return None
            slot = self.slots[self.slot("rx", self.rx_returned)]
            offset, size = slot & 0xffffffff, slot >> 32 & 0xffff
            out += self.frames[offset:offset + size]
            more = slot >> 48 & MORE
            self.rx_returned = self.rx_returned + 1 & 0xffffffff
        return out

    def close(self):
        self.socket.close()
        self.words.release()
        self.slots.release()
        for it in (self.page, self.frames, self.rings):
            it.close()
        os.close(self.frames_fd)
        os.close(self.rings_fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
