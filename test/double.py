# SPDX-License-Identifier: BSD-3-Clause
"""A network scheme that a test serves itself, by scheme/wire.h: no driver, no card, and as wrong as the
test wants it. What a client writes is on record; what it reads is what the test makes of it."""
import ctypes
import errno
import fcntl
import functools
import mmap
import os
import platform
import socket
import struct
import threading

import lab

MAGIC = 0x656D6863
REQUEST = struct.Struct("=IHHII192s")
READ, WRITE = 1, 2
SYS_FUTEX = {"x86_64": 202, "aarch64": 98}[platform.machine()]
FUTEX_WAKE = 1
# struct scheme_status
FIELDS = {"link_up": (0, "I"), "link_mbit": (4, "I"), "mtu": (8, "I"), "writes": (12, "I"), "error": (16, "i"),
          "present": (20, "I"), "sent": (24, "Q"), "refused": (32, "Q"), "no_link": (40, "Q"), "value": (64, "I")}


def _crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@functools.lru_cache
def _pattern():
    x, out = 0x9E3779B97F4A7C15, bytearray()
    for _ in range(4096 + 1600):
        x ^= x << 13 & 0xFFFFFFFFFFFFFFFF
        x ^= x >> 7
        x ^= x << 17 & 0xFFFFFFFFFFFFFFFF
        out.append(x >> 32 & 0xFF)
    return bytes(out)


def generated(stream, number, length=60, clock=0, sent=0):
    """A frame as rheinfall --generate makes it, by the description in rheinfall/payload.h."""
    fixed = struct.pack(">IHHQQ", stream, length, clock, number, sent)
    start = (number * 61 + stream) % 4096
    return (b"\x02RHEIN" + Double.mac + b"\x88\xb5Rfal" + struct.pack(">I", _crc32c(fixed)) + fixed +
            _pattern()[start:start + length - 46])


class Page:
    """A handle's status page."""

    def __init__(self, **values):
        self.fd = os.memfd_create("status", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, 4096)
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        self.map = mmap.mmap(self.fd, 4096)
        for name, value in values.items():
            self.set(name, value)

    def set(self, name, value):
        offset, kind = FIELDS[name]
        struct.pack_into("=" + kind, self.map, offset, value)

    def add(self, name):
        offset, kind = FIELDS[name]
        value, = struct.unpack_from("=" + kind, self.map, offset)
        self.set(name, (value + 1) & 0xFFFFFFFF)

    def wake(self):
        """Wakes who waits for `writes` to change."""
        word = ctypes.c_uint32.from_buffer(self.map, FIELDS["writes"][0])
        ctypes.CDLL(None).syscall(SYS_FUTEX, ctypes.byref(word), FUTEX_WAKE, 1000)


class Double:
    """`answer(number, frame)` says what comes back for each frame written: a list of frames."""

    mac = bytes.fromhex("020000000042")

    def __init__(self, schemes, name, answer=lambda number, frame: (), link=True, mtu=1500, promisc=b"0\n"):
        self.url = "network:" + name
        self.answer = answer
        self.got = []
        self.promisc = promisc
        self.promisc_writes = []
        self.denied = set()
        self.requests = []
        self._link = link
        self._mtu = mtu
        self._changed = threading.Condition()
        self._reading = True
        self._clients = []  # (connection, page) of frames
        self._connections = []
        directory = schemes / "network"
        directory.mkdir(exist_ok=True)
        place = os.open(directory, os.O_PATH | os.O_DIRECTORY)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(f"/proc/self/fd/{place}/{name}")  # sun_path is short, tmp_path may not be
        os.close(place)
        self._listener.listen(8)
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()
        self.pause(False)
        self.leave()

    # --- what a test does ---

    def leave(self):
        """The driver goes: every client reads the end of file."""
        with self._changed:
            connections, self._connections = self._connections, []
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def pause(self, on=True):
        """Stops reading what clients write, or goes on."""
        with self._changed:
            self._reading = not on
            self._changed.notify_all()

    def link(self, up):
        with self._changed:
            self._link = up
            for _, page in self._clients:
                page.set("link_up", up)

    def idle(self):
        """Waits until nobody has frames open any more."""
        lab.wait_for(lambda: not self._clients, f"all close {self.url}")

    def client(self):
        """Waits for somebody who has frames open; the connection to send to."""
        lab.wait_for(lambda: self._clients, f"somebody opens {self.url}")
        return self._clients[-1][0]

    def page(self):
        self.client()
        return self._clients[-1][1]

    def expect(self, count):
        """Waits until so many frames were written."""
        lab.wait_for(lambda: len(self.got) >= count, f"{count} frames to {self.url}")
        return self.got

    # --- the scheme ---

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            request = connection.recv(4096)
            if not request:
                return  # who only looks whether somebody is there
            magic, version, path_len, flags, reserved, path = REQUEST.unpack(request)
            assert (magic, version, reserved) == (MAGIC, 1, 0) and not path[path_len:].strip(b"\0")
            path = path[:path_len].decode()
            self.requests.append((path, flags))
            with self._changed:
                self._connections.append(connection)
            self._open(connection, path, flags)
        except OSError as error:
            assert error.errno in (errno.EPIPE, errno.ECONNRESET, errno.EBADF, errno.ENOTCONN), error
        finally:
            with self._changed:
                self._clients = [c for c in self._clients if c[0] is not connection]
                self._connections = [c for c in self._connections if c is not connection]
            connection.close()

    def _open(self, connection, path, flags):
        value = {"": None, "/tap": None, "/mac": self.mac, "/promisc": self.promisc}.get(path, False)
        if value is False or path in self.denied:
            code = errno.EACCES if path in self.denied else errno.ENOENT
            connection.send(struct.pack("=Ii", MAGIC, -code))
            return
        with self._changed:
            page = Page(link_up=self._link, link_mbit=10000 * self._link, mtu=self._mtu, present=1,
                        value=value is not None)
            reader = os.open(f"/proc/self/fd/{page.fd}", os.O_RDONLY)
            socket.send_fds(connection, [struct.pack("=Ii", MAGIC, 0)], [reader])
            os.close(reader)
            if value is None:  # not before the reply, which a test's frame would be taken for
                self._clients.append((connection, page))
        if value is None:
            self._frames(connection, page, flags & READ)
            return
        if flags & READ:
            connection.send(value)
            connection.shutdown(socket.SHUT_WR)
        while True:
            wish = connection.recv(4096)
            if not wish:
                return
            assert path == "/promisc"
            self.promisc = wish
            self.promisc_writes.append(wish)
            page.add("writes")
            page.wake()

    def _frames(self, connection, page, reads):
        number = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._reading)
            frame = connection.recv(65536)
            if not frame:
                return
            self.got.append(frame)
            page.add("sent")
            page.add("writes")
            answer = self.answer(number, frame)
            for back in answer if reads else ():
                connection.send(back)
            number += 1
