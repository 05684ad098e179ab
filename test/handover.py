# SPDX-License-Identifier: BSD-3-Clause
"""pcid's side of the channel (pcid/channel.h) in Python: a test opens the card by its own vfio-user
client, hands it to a driver, and keeps a duplicate of the connection to look at the card later."""
import array
import fcntl
import os
import socket
import struct

import lab
import vfio_user

START, CLIENT, READY, FAILED, PING, PONG = 1, 2, 3, 4, 5, 6
OPENED, ANSWERED, KEPT, MAP, MAPPED, UNMAP, MEMORY = 9, 10, 11, 12, 13, 14, 15
CHUNK = 2 << 20
F_ADD_SEALS, SHRINK, GROW = 1033, 2, 4
ADDRESSES = (0x10000000, 0x20000000)
STATE = 1 << 20
CLIENT_BYTES = 64 << 20


class Pcid:
    """Starts ixgbed with one end of a channel; the other is this object's."""

    def __init__(self, run, *options, arguments=("x", "", "0")):
        self.socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(lab.PATIENCE)
        number = 100  # a descriptor's number in the driver
        os.dup2(other.fileno(), number, inheritable=True)
        try:
            command = ["/usr/bin/env", f"PCID_CLIENT_CHANNEL={number}", lab.program("ixgbed"), *options, *arguments]
            self.driver = run.start_with(command, pass_fds=(number,))
        finally:
            os.close(number)
            other.close()

    def send(self, data, fds=()):
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.socket.sendmsg([data], control)

    def receive(self):
        """(type, text): READY, FAILED with its text; (0, "") at the end."""
        data = self.socket.recv(65536)
        if not data:
            return 0, ""
        kind, fds = struct.unpack_from("<II", data)
        assert fds == 0
        return kind, data[8:].split(b"\0")[0].decode()

    def close(self):
        self.socket.close()


def memory(size, seals=SHRINK | GROW):
    it = vfio_user.Memory(size)
    if seals:
        fcntl.fcntl(it.fd, F_ADD_SEALS, seals)
    return it


def region(size, address, chunks=None):
    """struct dma_handover of one run of addresses."""
    count = (size + CHUNK - 1) // CHUNK
    table = [address + i * CHUNK for i in range(count)] + [0] * (512 - count)
    return struct.pack("<QII512Q", size, count if chunks is None else chunks, 0, *table)


def start(path, regions, name="x_ixgbe", kind=2, fds=1, state=(1, 16), adopt=0, memories=0):
    """START for the card behind a vfio-user socket."""
    address = f"vfio-user:{path}".encode()
    function = struct.pack("<IIII128s", kind, fds, *state, address)
    return struct.pack("<II64s", START, fds + len(regions) + 1, name.encode()) + function + b"".join(regions) + struct.pack("<IIQ", adopt, memories, CLIENT_BYTES)


class Card:
    """A card opened as pcid opens it: connection, two regions that the server has mapped, state."""

    def __init__(self, path, sizes=(512 << 10, 8 << 20)):
        self.path = path
        self.client = vfio_user.Client(path)
        self.memory = [memory(size) for size in sizes]
        for address, piece in zip(ADDRESSES, self.memory):
            self.client.dma_map(address, piece.size, piece)
        self.state = memory(STATE)

    def start(self, **how):
        return start(self.path, [region(piece.size, address) for address, piece in zip(ADDRESSES, self.memory)], **how)

    def fds(self):
        return [self.client.socket.fileno(), *(piece.fd for piece in self.memory), self.state.fd]

    def close(self):
        self.client.close()
        for piece in (*self.memory, self.state):
            piece.close()
