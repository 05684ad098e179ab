# SPDX-License-Identifier: BSD-3-Clause
"""The whole stack for a test: nicsim with cards, pcid or ixgbed on them, and handles of their schemes."""
import re
import select
import socket

import lab
import scheme_client

CONFIG = lab.ROOT / "pcid" / "pcid.toml"
# By nicsim's --device: the daemon that drives it, and its family in the scheme's name.
DAEMONS = {"82574l": ("e1000d", "e1000"), **dict.fromkeys(("rtl8168", "rtl8168c", "rtl8161"), ("rtl8168d", "rtl8168"))}
OTHERS = ("ixgbed", "ixgbe")
MAC = {card: f"02:00:00:00:0{card}:01" for card in "abcd"}


def entry(*options, daemon="ixgbed"):
    """A configuration with one entry for the cards that nicsim makes, their driver with these options."""
    registers = "$BAR2" if daemon == "rtl8168d" else "$BAR0"
    words = ", ".join(f'"{word}"' for word in (daemon, *options, "$NAME", registers, "$IRQ"))
    ids = "0x8086 = [0x1528, 0x1563, 0x10fb, 0x10f7, 0x10d3], 0x10ec = [0x8168, 0x8161]"
    return f"[[drivers]]\nname = \"test\"\nids = {{ {ids} }}\ncommand = [{words}]\n"


def ask(control, card, *words):
    """What `nicsim ctl` does: (whether it was done, what was said)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asker:
        asker.connect(str(control))
        asker.settimeout(lab.PATIENCE)
        asker.send("\n".join((card, *words)).encode())
        verdict, said = asker.recv(4096).decode().split("\n", 1)
    return verdict == "ok", said


class Stack:
    """Cards a, b, ... in one nicsim; network:a_ixgbe, network:b_ixgbe, ... by one pcid."""

    daemon, family = OTHERS

    def __init__(self, run, devices=(), nicsim=(), **wires):
        """Cards of the devices named, in turn, all of one daemon; X540s without. `nicsim`: options of it."""
        self.run = run
        self.cards = list(wires)
        (self.daemon, self.family), = {DAEMONS.get(device, OTHERS) for device in devices or ["x540"]}
        arguments = []
        for n, (card, wire) in enumerate(wires.items()):
            arguments += ["--device", devices[n] if devices else "x540", "--socket", f"{card}.sock", "--wire", wire, "--mac", MAC[card]]
        self.nicsim = run.start("nicsim", *nicsim, "--verbose", "--strict", "--control", "control", *arguments)
        for card in self.cards:
            self.nicsim.expect(rf"on {card}\.sock")

    def ctl(self, card, *words):
        """Lets something happen to a card; returns what nicsim says of it."""
        done, said = ask(self.run.dir / "control", f"{card}.sock", *words)
        assert done, said
        return said

    def counters(self, card):
        return {key: int(value, 0) for key, value in (line.split() for line in self.ctl(card, "counters").splitlines())}

    def address(self, card):
        return f"vfio-user:{self.run.dir}/{card}.sock"

    def name(self, card):
        """Of its scheme."""
        return f"{card}_{self.family}"

    def pcid(self, *options, config=None, driver=(), wrap=(), ready=True):
        """pcid on all cards; `driver`: options of the driver. Waits until all are served."""
        path = config
        if path is None:
            path = self.run.dir / "pcid.toml"
            path.write_text(entry(*driver, daemon=self.daemon))
        if "--watchdog" not in options:  # on a busy machine a driver may not be run for long
            options = (*options, "--watchdog", 60)
        sockets = [word for card in self.cards for word in ("--vfio-user", self.run.dir / f"{card}.sock")]
        process = self.run.start("pcid", "--config", path, "--driver-path", lab.BUILD / "daemon", *sockets,
                                 *options, wrap=wrap)
        self.owner = process
        self.drivers = {}
        if ready:
            for card in self.cards:
                match = process.expect(rf"network:{self.name(card)} ready \({self.daemon} pid (\d+), vfio-user:.*{card}\.sock\)")
                self.drivers[card] = int(match[1])
        return process

    def pids(self, card):
        """The drivers that were ready for a card so far, in their order."""
        return [int(match[1]) for line in list(self.owner.lines)
                if (match := re.search(rf"network:{self.name(card)} ready \({self.daemon} pid (\d+)", line))]

    def ixgbed(self, card, *options, wrap=()):
        """ixgbed by itself on one card."""
        process = self.run.start("ixgbed", "--device", self.address(card), *options, wrap=wrap)
        process.expect(r"network:\S+ ready")
        return process

    def open(self, card, path="", access=scheme_client.READ | scheme_client.WRITE, limit=lab.PATIENCE):
        return scheme_client.Handle(self.run.schemes, self.name(card), path, access, limit)

    def value(self, card, path):
        return scheme_client.value(self.run.schemes, self.name(card), path)

    def stats(self, card):
        return scheme_client.stats(self.run.schemes, self.name(card))

    def set(self, card, path, text):
        scheme_client.set_value(self.run.schemes, self.name(card), path, text)

    def wait_link(self, card, up=True):
        word = b"up" if up else b"down"
        lab.wait_for(lambda: self.value(card, "/link").startswith(word), f"link of {card} {word.decode()}")


def frame(size, source="a", to="b", fill=0):
    """An Ethernet frame of `size` bytes (without CRC) with a pattern that its position and fill make."""
    head = bytes.fromhex(MAC[to].replace(":", "") + MAC[source].replace(":", "") + "88b5")
    return head + bytes((fill + 7 * i) & 0xff for i in range(size - len(head)))


def exchange(stack, sizes, source="a", to="b"):
    """Each size once through the cable, compared byte for byte; returns frames and bytes."""
    stack.wait_link(source)
    stack.wait_link(to)
    with stack.open(to) as receiver, stack.open(source) as sender:
        for size in sizes:
            data = frame(size, source, to, size)
            sender.write(data)
            try:
                assert receiver.read() == data
            except TimeoutError:
                raise AssertionError(f"{size} bytes do not come\n{stack.stats(source)}\n{stack.stats(to)}") from None
    return len(sizes), sum(sizes)


def burst(sender, receiver, frames):
    """Writes all frames as fast as they are taken, reading along; returns what came, in order."""
    got = []
    todo = list(reversed(frames))
    sender.socket.setblocking(False)
    receiver.socket.setblocking(False)
    while len(got) < len(frames):
        readable, writable, _ = select.select(
            [receiver.socket], [sender.socket] if todo else [], [], lab.PATIENCE)
        assert readable or writable, f"{len(got)} of {len(frames)} frames came"
        try:
            while todo:
                sender.write(todo[-1])
                todo.pop()
        except BlockingIOError:
            pass
        try:
            while True:
                got.append(receiver.read())
        except BlockingIOError:
            pass
    return got
