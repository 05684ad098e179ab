# SPDX-License-Identifier: BSD-3-Clause
"""ixgbed and the module in an 82599's cage: each kind, none, one of no use, of whoever; plugged while it runs; links of
1 Gbit/s between two."""
import pytest

import lab
from stack import Stack, frame

NONE = "no module in the cage: plug one in"
FOREIGN = ("the 10GBASE-SR module SOMEBODY ELSE UNKNOWN-10G-SR is none of those that the card's EEPROM allows: it is used "
           "all the same")
USELESS = ("the module SOMEBODY ELSE FC-8G-SW (identifier 0x03) is of no kind that this card can use: it stays dark; plug "
           "another one in")
# What nicsim calls it: what ixgbed says, and the link.
MODULES = {
    "sr": ("10GBASE-SR, also at 1 Gbit/s", b"up 10000\n"),
    "1g-sx": ("1000BASE-SX", b"up 1000\n"),
    "copper": ("direct attach cable", b"up 10000\n"),
    "fc": (USELESS, b"down 0\n"),
    "lr": ("10GBASE-LR, also at 1 Gbit/s", b"up 10000\n"),
    "1g-t": ("1000BASE-T", b"up 1000\n"),
    "foreign": (FOREIGN, b"up 10000\n"),
    "1g-lx": ("1000BASE-LX", b"up 1000\n"),
}


def state(stack, card):
    return stack.stats(card)["module"], stack.value(card, "/link")


def echo(stack, card, fill):
    """A frame goes round on a loop."""
    with stack.open(card) as handle:
        data = frame(100, card, card, fill)
        handle.write(data)
        assert handle.read() == data


@pytest.mark.parametrize("way", [(), ("--intx",)])
def test_modules_come_and_go(run, way):
    """None at first; then each kind."""
    stack = Stack(run, devices=["82599"], a="loop")
    stack.ctl("a", "plug", "none")
    driver = stack.ixgbed("a", *way)
    driver.expect(f"ixgbed: network:{stack.name('a')}: {NONE}$")
    for fill, (kind, (text, link)) in enumerate(MODULES.items()):
        assert state(stack, "a") == (NONE, b"down 0\n")
        stack.ctl("a", "plug", kind)
        lab.wait_for(lambda: state(stack, "a") == (text, link), f"{kind}: {text}, {link}")
        if link != b"down 0\n":
            echo(stack, "a", fill)
        stack.ctl("a", "plug", "none")
        lab.wait_for(lambda: state(stack, "a") == (NONE, b"down 0\n"), f"{kind} is gone")
    assert driver.stop() == 0
    told = [line.split(": ", 2)[2] for line in driver.lines if " ready (" not in line]
    expected = [NONE] + [line for text, _ in MODULES.values() for line in (text, NONE)]
    assert told == expected, driver.text
    assert "strict" not in stack.nicsim.text, stack.nicsim.text


def test_what_is_there_at_the_start(run):
    """Each kind on a card of its own; what is well is not worth a line."""
    arguments = []
    for kind in MODULES:
        arguments += ["--device", "82599", "--module", kind, "--socket", f"{kind}.sock", "--wire", "loop"]
    nicsim = run.start("nicsim", "--strict", *arguments)
    nicsim.expect(rf"on {list(MODULES)[-1]}\.sock")
    drivers = {kind: run.start("ixgbed", "--device", f"vfio-user:{kind}.sock", "--name", kind) for kind in MODULES}
    for kind, driver in drivers.items():
        text, link = MODULES[kind]
        driver.expect(f"network:{kind} ready")
        lab.wait_for(lambda: Seen(run, kind).state() == (text, link), f"{kind}: {text}, {link}")
        if text in (FOREIGN, USELESS):
            driver.expect(f"ixgbed: network:{kind}: the ")
        assert driver.stop() == 0
        assert len(driver.lines) == (2 if text in (FOREIGN, USELESS) else 1), driver.text
    assert "strict" not in nicsim.text, nicsim.text


def test_a_successor_knows(run):
    """A driver that takes over while the link is up does not ask, but was told."""
    stack = Stack(run, devices=["82599"], a="loop")
    stack.ctl("a", "plug", "foreign")
    stack.pcid()
    stack.wait_link("a")
    assert state(stack, "a") == (FOREIGN, b"up 10000\n")
    code, said = run.call("pcid", "--upgrade", stack.name("a"))
    assert code == 0, said
    assert stack.stats("a")["upgrades"] == 1
    assert state(stack, "a") == (FOREIGN, b"up 10000\n")
    stack.ctl("a", "plug", "none")
    lab.wait_for(lambda: state(stack, "a") == (NONE, b"down 0\n"), "it sees for itself")
    stack.owner.expect(f"^ixgbed: network:a_ixgbe: {NONE}$")
    said = [line for line in list(stack.owner.lines) if "module" in line]
    assert said == [f"ixgbed: network:a_ixgbe: {text}" for text in (FOREIGN, NONE)], stack.owner.text


class Seen(Stack):
    """What a scheme of that name says."""

    def __init__(self, run, name):  # pylint: disable=super-init-not-called
        self.run, self.scheme = run, name

    def name(self, card):
        return self.scheme

    def state(self):
        return state(self, self.scheme)


@pytest.mark.parametrize("near, far, link", [
    ("1g-sx", "1g-sx", b"up 1000\n"), ("sr", "1g-sx", b"up 1000\n"), ("sr", "lr", b"up 10000\n")])
def test_two_modules_find_their_speed(run, near, far, link):
    """Of one kind, and where one could do more: it looks for the other's. One of the drivers has no interrupts: it looks
    for modules, too, once a second."""
    stack = Stack(run, devices=["82599", "82599"], a="cable:x", b="cable:x")
    stack.ctl("a", "plug", near)
    stack.ctl("b", "plug", far)
    drivers = [stack.ixgbed("a"), stack.ixgbed("b", "--poll")]
    for card in "ab":
        lab.wait_for(lambda: stack.value(card, "/link") == link, f"{card}: {link}")
    with stack.open("a") as a, stack.open("b") as b:
        for size in (60, 1514):
            a.write(frame(size, "a", "b", size))
            assert b.read() == frame(size, "a", "b", size)
            b.write(frame(size, "b", "a", size))
            assert a.read() == frame(size, "b", "a", size)
    # The other end gets what goes faster.
    if (near, far) == ("sr", "1g-sx"):
        stack.ctl("b", "plug", "none")
        lab.wait_for(lambda: state(stack, "b") == (NONE, b"down 0\n"), "no module")
        lab.wait_for(lambda: stack.value("a", "/link") == b"down 0\n", "no link")
        stack.ctl("b", "plug", "sr")
        for card in "ab":
            lab.wait_for(lambda: stack.value(card, "/link") == b"up 10000\n", f"{card}: 10 Gbit/s")
    for driver in drivers:
        assert driver.stop() == 0
    assert "strict" not in stack.nicsim.text, stack.nicsim.text
