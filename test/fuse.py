# SPDX-License-Identifier: BSD-3-Clause
"""A file system whose files take for ever to close, but for the process that a file is named after: its server answers no
other's FLUSH. No signal ends a wait for that, SIGKILL neither; the server's end does. Linux, include/uapi/linux/fuse.h."""
import ctypes
import os
import select
import stat
import struct
import subprocess
import sys

import lab

LOOKUP, GETATTR, OPEN, RELEASE, FLUSH, INIT = 1, 3, 14, 18, 25, 26
NO_ANSWER = 2, 36, 42  # FORGET, INTERRUPT, BATCH_FORGET
ENOSYS = 38
ROOT = 1
REQUEST = struct.Struct("=IIQQIIIHH")  # length, opcode, number, node, uid, gid, pid
MINOR = 31


class Fuse:
    """OSError: no FUSE for this user."""

    def __init__(self, folder):
        folder.mkdir()
        user = [] if os.geteuid() == 0 else ["-U", "-r"]
        self._server = subprocess.Popen(["unshare", *user, "-m", sys.executable, __file__, str(folder)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if self._server.stdout.readline() != "here\n":
            raise OSError(self._server.communicate()[1])
        self._folder = f"/proc/{self._server.pid}/root{folder}"

    def open(self):
        """A file that this process may close."""
        return os.open(f"{self._folder}/{os.getpid()}", os.O_RDONLY)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.kill()  # it ends with its standard input, too: where this process is killed
        self._server.wait(lab.PATIENCE)
        self._server.stdin.close()
        self._server.stdout.close()
        self._server.stderr.close()


def attributes(node):
    mode = stat.S_IFDIR | 0o755 if node == ROOT else stat.S_IFREG | 0o644
    return struct.pack("=6Q10I", node, 0, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer(opcode, node, pid, data):
    """An error and bytes, or None."""
    if opcode == INIT:
        return 0, struct.pack("=IIIIHHIIHHI28x", 7, MINOR, 0, 0, 0, 0, 4096, 1, 0, 0, 0)
    if opcode == LOOKUP:
        file = int(data.split(b"\0")[0])
        return 0, struct.pack("=QQQQII", file, 0, 0, 0, 0, 0) + attributes(file)
    if opcode == GETATTR:
        return 0, struct.pack("=QII", 0, 0, 0) + attributes(node)
    if opcode == OPEN:
        return 0, struct.pack("=QII", 0, 0, 0)
    if opcode in NO_ANSWER or opcode == FLUSH and pid != node:
        return None
    return (0 if opcode in (FLUSH, RELEASE) else -ENOSYS), b""


def serve(folder):
    device = os.open("/dev/fuse", os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
    if libc.mount(b"slow", folder.encode(), b"fuse", 0, options) != 0:
        raise OSError(ctypes.get_errno(), "mount")
    print("here", flush=True)
    while True:
        ready = select.select([device, sys.stdin], [], [])[0]
        if sys.stdin in ready:
            return
        request = os.read(device, 1 << 17)
        _, opcode, number, node, _, _, pid, _, _ = REQUEST.unpack_from(request)
        result = answer(opcode, node, pid, request[REQUEST.size:])
        if result is not None:
            error, data = result
            os.write(device, struct.pack("=IiQ", 16 + len(data), error, number) + data)


if __name__ == "__main__":
    serve(sys.argv[1])
