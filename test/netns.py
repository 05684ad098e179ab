# SPDX-License-Identifier: BSD-3-Clause
"""Network namespaces for tests. They have no names: each lives as long as a process that the test
started in it, and goes with it. Without root they are made in a user namespace."""
import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys

import lab

# linux/ethtool.h, linux/sockios.h
SIOCETHTOOL = 0x8946
OFFLOADS = (0x1F, 0x24, 0x2C, 0x19, 0x17)  # "set": TSO, GSO, GRO, scatter-gather, TX checksum


class Namespace:
    """Put `wrap` in front of a command to run it inside, where it may do with the network what root may."""

    def __init__(self, enter=(), fresh=("unshare", "-n")):
        # When this end of the pipe closes, whyever, the process ends and the namespace with it.
        self._holder = subprocess.Popen(
            [*enter, *fresh, "sh", "-c", "echo here; read end"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self._holder.stdout.readline() != "here\n":
            raise OSError(f"no network namespace: {self._holder.communicate()[1].strip()}")
        self.pid = self._holder.pid
        user = ["-U", "--preserve-credentials"] if "-U" in [*enter, *fresh] else []
        self.enter_user = ["nsenter", "-t", str(self.pid), *user, "--"]
        self.wrap = ["nsenter", "-t", str(self.pid), *user, "-n", "--"]
        self.ip("link set lo up")

    def call(self, *args, limit=None):
        """Runs a command inside; returns its output."""
        done = subprocess.run([*self.wrap, *map(str, args)], stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=limit or lab.PATIENCE, check=False)
        assert done.returncode == 0, f"{args}: {done.stdout}{done.stderr}"
        return done.stdout

    def ip(self, command):
        return self.call("ip", *command.split())

    def offloads_off(self, interface):
        """Every frame is then as it would be on a wire: no longer than the MTU allows, checksums filled in."""
        self.call(sys.executable, __file__, "offloads-off", interface)

    def close(self):
        self._holder.communicate()


class Pair:
    """Two namespaces, a and b."""

    def __enter__(self):
        if os.geteuid() == 0:
            self.a = Namespace()
            self.b = Namespace()
        else:
            self.a = Namespace(fresh=("unshare", "-U", "-r", "-n"))
            self.b = Namespace(enter=self.a.enter_user)
        return self

    def __exit__(self, *_):
        self.b.close()
        self.a.close()

    def join(self, interface="veth0"):
        """An Ethernet cable between them."""
        self.a.ip(f"link add {interface} type veth peer name {interface} netns {self.b.pid}")
        for end in self.a, self.b:
            end.offloads_off(interface)


def offloads_off(interface):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for command in OFFLOADS:
            value = ctypes.create_string_buffer(struct.pack("II", command, 0), 8)
            request = struct.pack("16sP16x", interface.encode(), ctypes.addressof(value))
            fcntl.ioctl(control, SIOCETHTOOL, request)


if __name__ == "__main__":
    if sys.argv[1:2] != ["offloads-off"] or len(sys.argv) != 3:
        sys.exit("usage: netns.py offloads-off INTERFACE")
    offloads_off(sys.argv[2])
