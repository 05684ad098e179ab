# SPDX-License-Identifier: BSD-3-Clause
"""A machine of QEMU without a processor, driven by its qtest protocol: nothing is booted, no time passes in it but by
command. Its memory is a file that both sides have mapped; its network card's wire is a socket."""
import array
import fcntl
import mmap
import socket
import termios

import guest

RAM = 32 << 20
BATCH = 200             # commands under way at most


class Machine:
    """`run` starts it, `device` is QEMU's argument for the card, whose netdev is called "wire"."""

    def __init__(self, run, device):
        folder = run.dir
        backing = folder / "ram"
        with open(backing, "wb") as file:
            file.truncate(RAM)
        with open(backing, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), RAM)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(folder / "qtest"))
        listener.listen(1)
        listener.settimeout(60)
        self.wire, theirs = socket.socketpair()
        assert (guest.CACHE / "qemu").exists(), f"no QEMU in {guest.CACHE}: run test/guest/prepare"
        self.process = run.start_with([
            str(guest.CACHE / "qemu"), "-nodefaults", "-no-user-config", "-display", "none",
            "-machine", "q35,memory-backend=m", "-m", str(RAM >> 20),
            "-object", f"memory-backend-file,id=m,size={RAM},mem-path={backing},share=on",
            "-accel", "qtest", "-qtest", f"unix:{folder / 'qtest'}", "-qtest-log", "none",
            "-netdev", f"socket,id=wire,fd={theirs.fileno()}", "-device", device], pass_fds=[theirs.fileno()])
        theirs.close()
        try:
            self._control, _ = listener.accept()
        except TimeoutError:
            raise AssertionError(f"QEMU does not call: {self.process.text}") from None
        finally:
            listener.close()
        self._control.settimeout(60)
        self._unread = b""
        self._waiting = []

    def close(self):
        self._control.close()
        self.wire.close()
        self.memory.close()

    # --- commands ---

    def _line(self):
        while b"\n" not in self._unread:
            piece = self._control.recv(1 << 16)
            assert piece, f"QEMU is gone: {self.process.text}"
            self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    def post(self, *words):
        """A command whose answer nobody needs; it is done before what comes next."""
        self._waiting.append(" ".join(words))
        if len(self._waiting) >= BATCH:
            self.flush()

    def flush(self):
        if self._waiting:
            commands, self._waiting = self._waiting, []
            self._control.sendall(("\n".join(commands) + "\n").encode())
            for command in commands:
                self._answer(command)

    def _answer(self, command):
        line = self._line()
        while line.startswith("IRQ"):
            line = self._line()
        assert line.startswith("OK"), f"{command}: {line}"
        return line[3:]

    def ask(self, *words):
        self.flush()
        command = " ".join(words)
        self._control.sendall(command.encode() + b"\n")
        return self._answer(command)

    def write(self, address, value):
        self.post("writel", hex(address), hex(value))

    def read(self, address):
        return int(self.ask("readl", hex(address)), 0)

    # --- PCI configuration, by ports 0xcf8 and 0xcfc ---

    def config(self, slot, offset):
        self.post("outl", "0xcf8", hex(1 << 31 | slot << 11 | offset))
        return int(self.ask("inl", "0xcfc"), 0)

    def set_config(self, slot, offset, value):
        self.post("outl", "0xcf8", hex(1 << 31 | slot << 11 | offset))
        self.post("outl", "0xcfc", hex(value))


def unread(connection):
    """Bytes that were sent on a Unix socket and that the other side has not read."""
    count = array.array("i", [0])
    fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, count)
    return count[0]
