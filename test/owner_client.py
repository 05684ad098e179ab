# SPDX-License-Identifier: BSD-3-Clause
"""A client that owns a queue, in plain Python: the handshake of scheme/wire.h with two memfds, then the rings of
scheme/ring_layout.h."""
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

REQUEST = struct.Struct("<IHHIBBH192s")
RINGS_VERSION = 2
RX, TX = 1, 2
PROVIDED = {RX: 0, TX: 128}
SLOTS = 4096
DRIVER = 1024  # of the page
TAKEN = {RX: DRIVER, TX: DRIVER + 128}
SLEEPS = DRIVER + 256
STRIDE, HEAD, SIZE, CHUNK = 2112, 64, 2048, 2 << 20
ERROR = 2  # a flag of a frame

SEALED = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW


def memory(size, name="owner-frames", seals=SEALED, flags=0):
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING | flags)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def buffers(size):
    """Offsets of whole buffers in so many bytes."""
    out = []
    for chunk in range(0, size, CHUNK):
        out += [chunk + at + HEAD for at in range(0, min(CHUNK, size - chunk) - STRIDE + 1, STRIDE)]
    return out


def word(kind, place, at):
    return kind.from_buffer(place, at)


def ask(connection, path, access, rx, tx, fds):
    connection.sendmsg([REQUEST.pack(MAGIC, RINGS_VERSION, len(path), access, rx.bit_length() - 1, tx.bit_length() - 1, 0,
                                     path.encode())],
                       [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])


class Owner:
    """network:NAME/queue/N with rings of 64 entries and more. Raises OSError with the server's error."""

    def __init__(self, root, name, path="/queue/0", rx=64, tx=64, frames=None, size=1 << 20, access=READ | WRITE,
                 limit=lab.PATIENCE):
        own = memory(size) if frames is None else frames
        self.size = os.fstat(own).st_size
        self.entries = {RX: rx, TX: tx}
        rings = memory(-(-(SLOTS + 8 * (rx + tx)) // 4096) * 4096, "owner-rings")
        self.socket = scheme_client.connect(root, name, limit)
        try:
            ask(self.socket, path, access, rx, tx, [own, rings])
            data, control, _, _ = self.socket.recvmsg(REPLY.size, socket.CMSG_SPACE(16))
            if len(data) != REPLY.size:
                raise OSError(errno.ECONNRESET, "no reply")
            magic, error = REPLY.unpack(data)
            assert magic == MAGIC
            if error:
                raise OSError(-error, os.strerror(-error))
            page, = array.array("i", control[0][2][:4])
            self.page = mmap.mmap(page, mmap.PAGESIZE, mmap.MAP_SHARED, mmap.PROT_READ)
            os.close(page)
            self.frames = mmap.mmap(own, self.size)
            self.rings = mmap.mmap(rings, 0)
        except BaseException:
            self.socket.close()
            raise
        finally:
            os.close(rings)
            if frames is None:
                os.close(own)
        self.slots = {RX: SLOTS, TX: SLOTS + 8 * rx}
        self.provided = {RX: 0, TX: 0}
        self.seen = {RX: 0, TX: 0}  # what came back and was looked at

    def status(self, field):
        form, at = scheme_client.STATUS[field]
        return struct.unpack_from(form, self.page, at)[0]

    def taken(self, way):
        return struct.unpack_from("<I", self.page, TAKEN[way])[0]

    def returned(self, way):
        return struct.unpack_from("<I", self.page, TAKEN[way] + 4)[0]

    def publish(self, way, index):
        """Any index, also one that breaks the rules; and wakes the driver, which costs little when it is awake."""
        word(ctypes.c_uint32, self.rings, PROVIDED[way]).value = index & 0xffffffff
        self.socket.send(b"\0", socket.MSG_DONTWAIT)

    def provide(self, way, entries):
        """(offset, len, flags) each."""
        for entry in entries:
            at = self.slots[way] + 8 * (self.provided[way] % self.entries[way])
            word(ctypes.c_uint64, self.rings, at).value = int.from_bytes(struct.pack("<IHH", *entry), "little")
            self.provided[way] = self.provided[way] + 1 & 0xffffffff
        self.publish(way, self.provided[way])

    def room(self, way):
        return self.entries[way] - (self.provided[way] - self.returned(way) & 0xffffffff)

    def feed(self, offsets):
        self.provide(RX, [(offset, 0, 0) for offset in offsets])

    def put(self, offset, data):
        self.frames[offset:offset + len(data)] = data
        return offset, len(data), 0

    def send(self, offset, data):
        self.provide(TX, [self.put(offset, data)])

    def got(self):
        """What was received since: (offset, frame) each; (offset, None) of a buffer that only comes back."""
        out = []
        while self.seen[RX] != self.returned(RX):
            at = self.slots[RX] + 8 * (self.seen[RX] % self.entries[RX])
            offset, length, flags = struct.unpack_from("<IHH", self.rings, at)
            out.append((offset, None if flags & ERROR else self.frames[offset:offset + length]))
            self.seen[RX] = self.seen[RX] + 1 & 0xffffffff
        return out

    def wait(self, count):
        """Waits for so many frames."""
        out = []

        def enough():
            out.extend(self.got())
            return len(out) >= count
        lab.wait_for(enough, f"{count} frames in the ring")
        return out

    def sent(self):
        """Waits until everything that was to be sent came back."""
        lab.wait_for(lambda: self.returned(TX) == self.provided[TX], "the frames to send come back")

    def hung_up(self):
        """Waits for the end of the connection; wake-ups before it say nothing."""
        def ended():
            try:
                return self.socket.recv(16, socket.MSG_DONTWAIT) == b""
            except BlockingIOError:
                return False
            except ConnectionResetError:
                return True
        lab.wait_for(ended, "the driver hangs up")

    def close(self):
        self.socket.close()
        self.page.close()
        self.frames.close()
        self.rings.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
