# SPDX-License-Identifier: BSD-3-Clause
"""A scheme's client in plain Python: the handshake of scheme/wire.h, then one message a frame or value."""
import array
import errno
import mmap
import os
import socket
import struct

import lab

MAGIC = 0x656d6863
VERSION = 1
READ, WRITE = 1, 2
PATH_MAX = 192
REQUEST = struct.Struct(f"<IHHII{PATH_MAX}s")
REPLY = struct.Struct("<Ii")
# struct scheme_status: where each field lies in the page.
STATUS = {"link_up": ("<I", 0), "link_mbit": ("<I", 4), "mtu": ("<I", 8), "writes": ("<I", 12),
          "error": ("<i", 16), "present": ("<I", 20), "sent": ("<Q", 24), "refused": ("<Q", 32),
          "no_link": ("<Q", 40), "received": ("<Q", 48), "tap_dropped": ("<Q", 56), "value": ("<I", 64), "lost": ("<Q", 72), "owned": ("<I", 80),
          "offloads": ("<I", 84)}


def request(path="", access=READ | WRITE, magic=MAGIC, version=VERSION):
    return REQUEST.pack(magic, version, len(path), access, 0, path.encode())


def connect(root, name, limit=lab.PATIENCE):
    """The bare connection, before the handshake."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(limit)
    # A path may be longer than a socket's address: go by the directory's descriptor.
    directory = os.open(f"{root}/network", os.O_PATH | os.O_DIRECTORY)
    try:
        connection.connect(f"/proc/self/fd/{directory}/{name}")
    except OSError:
        connection.close()
        raise
    finally:
        os.close(directory)
    return connection


class Handle:
    """An open handle of network:NAME/path. Raises OSError with the server's error."""

    def __init__(self, root, name, path="", access=READ | WRITE, limit=lab.PATIENCE):
        self.socket = connect(root, name, limit)
        self.page = None
        try:
            try:
                self.socket.send(request(path, access))
            except BrokenPipeError:
                pass  # refused before it asked: the answer is there already
            data, control, _, _ = self.socket.recvmsg(REPLY.size, socket.CMSG_SPACE(16))
            if len(data) != REPLY.size:
                raise OSError(errno.ECONNRESET, "no reply")
            magic, error = REPLY.unpack(data)
            assert magic == MAGIC
            if error:
                raise OSError(-error, os.strerror(-error))
            fds = array.array("i")
            for level, kind, payload in control:
                assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
                fds.frombytes(payload[:len(payload) - len(payload) % fds.itemsize])
            assert len(fds) == 1
            try:
                self.page = mmap.mmap(fds[0], mmap.PAGESIZE, mmap.MAP_SHARED, mmap.PROT_READ)
            finally:
                os.close(fds[0])
        except BaseException:
            self.socket.close()
            raise

    def status(self, field):
        form, at = STATUS[field]
        return struct.unpack_from(form, self.page, at)[0]

    def write(self, data):
        return self.socket.send(data)

    def read(self, size=9728):
        """A frame or value; b"" is the end of file."""
        return self.socket.recv(size)

    def close(self):
        if self.page is not None:
            self.page.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def value(root, name, path):
    """What a path of values says."""
    with Handle(root, name, path, READ) as handle:
        data = handle.read(4096)
        assert handle.read() == b"", "a value is one read, then end of file"
        return data


def stats(root, name):
    """/stats as a dictionary; numbers where they are numbers."""
    lines = value(root, name, "/stats").decode().splitlines()
    pairs = (line.split(" ", 1) for line in lines)
    return {key: int(text) if text.isdigit() else text for key, text in pairs}


def set_value(root, name, path, text):
    """Writes a value; raises OSError with the driver's verdict."""
    with Handle(root, name, path, WRITE) as handle:
        handle.write(text.encode())
        lab.wait_for(lambda: handle.status("writes") == 1, f"a verdict on {path}")
        if handle.status("error"):
            raise OSError(-handle.status("error"), os.strerror(-handle.status("error")))
