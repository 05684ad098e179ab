# SPDX-License-Identifier: BSD-3-Clause
"""nicsim's control socket: cables, modules and cards that are changed while they run; who asks for nonsense."""
import os
import socket
import stat

import pytest

import lab
from vfio_user import Client, Closed
from x540 import EICR, GPIE, LINKS, Card

LINK_UP, LSC, SDP2 = 1 << 30, 1 << 20, 1 << 26
ESDP, MODULE = 0x20, 1 << 2


@pytest.fixture
def cards(run):
    """An X540 "x" and an 82599 "s", a cable between them."""
    process = run.start("nicsim", "--verbose", "--control", "control", "--device", "x540", "--socket", "x", "--wire", "cable:it",
                        "--device", "82599", "--socket", "s", "--wire", "cable:it")
    process.expect("nicsim: 82599 .* on s, ")
    return process


def ctl(run, *words, card="x"):
    return run.call("nicsim", "ctl", "control", "--card", card, *words)


def done(run, *words, card="x"):
    code, said = ctl(run, *words, card=card)
    assert code == 0, said
    return said


def links(card):
    card.reg(LINKS)
    return card.reg(LINKS)


def test_a_cable_is_pulled(run, cards):
    with Card(run.dir / "x") as x, Card(run.dir / "s") as s:
        assert links(x) & LINK_UP and links(s) & LINK_UP
        x.reg(EICR), s.reg(EICR)
        assert done(run, "link", "down") == ""
        assert not links(x) & LINK_UP and not links(s) & LINK_UP
        assert x.reg(EICR) & LSC and s.reg(EICR) & LSC
        x.client.reset()  # the cable stays where it is
        assert not links(x) & LINK_UP
        assert "\nlink 0" in "\n" + done(run, "counters")
        done(run, "link", "up")
        assert links(x) & LINK_UP and links(s) & LINK_UP
        assert s.reg(EICR) & LSC


def test_a_module_is_plugged(run, cards):
    with Card(run.dir / "s") as s:
        s.reg(EICR)
        done(run, "plug", "none", card="s")  # GPIE does not ask for the pin
        assert s.reg(EICR) & (SDP2 | LSC) == LSC
        done(run, "plug", "sr", card="s")
        s.set(GPIE, 4)
        s.reg(EICR)
        done(run, "plug", "none", card="s")
        assert not s.reg(ESDP) & MODULE and not links(s) & LINK_UP
        assert s.reg(EICR) & (SDP2 | LSC) == SDP2 | LSC
        done(run, "plug", "lr", card="s")
        assert s.reg(ESDP) & MODULE and links(s) & LINK_UP
        assert s.reg(EICR) & (SDP2 | LSC) == SDP2 | LSC
        done(run, "plug", "1g-sx", card="s")  # not at this speed
        assert s.reg(ESDP) & MODULE and not links(s) & LINK_UP
        assert s.reg(EICR) & (SDP2 | LSC) == LSC


def test_a_card_is_removed(run, cards):
    with Card(run.dir / "x") as x:
        assert "client 1\n" in done(run, "counters")
        done(run, "remove")
        with pytest.raises(Closed):
            x.reg(LINKS)
    cards.expect("x: the card was removed")
    assert not (run.dir / "x").exists()
    with pytest.raises(FileNotFoundError):
        Client(run.dir / "x")
    assert ctl(run, "remove") == (1, "nicsim ctl: control: the card is removed already")
    assert "client 0\n" in done(run, "counters")
    done(run, "insert")
    assert ctl(run, "insert") == (1, "nicsim ctl: control: it is there")
    with Card(run.dir / "x") as x:
        assert links(x) & LINK_UP
    done(run, "remove")  # one that nobody drives
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:  # its place is taken
        other.bind(str(run.dir / "x"))
        other.listen()
        code, said = ctl(run, "insert")
        assert code == 1 and "another server listens there" in said
    done(run, "insert")
    assert cards.stop() == 0
    assert sorted(os.listdir(run.dir)) == ["scheme"]


def test_what_is_refused(run, cards):
    refused = {
        ("nonsense",): "no such command", ("link",): "no such command", ("link", "up", "now"): "no such command",
        ("link", "sideways"): "a link is up or down", ("plug", "sr"): "it has no cage",
        ("a\nb\nc\nd\ne\nf\ng\nh\ni",): "no command", ("",): "no command"}
    for words, why in refused.items():
        code, said = ctl(run, *words)
        assert code == 1 and why in said, (words, said)
    assert "unknown module" in ctl(run, "plug", "qsfp", card="s")[1]
    assert "no card on that socket" in ctl(run, "link", "up", card="y")[1]
    assert "which of the cards" in run.call("nicsim", "ctl", "control", "link", "up")[1]
    for usage in (("ctl",), ("ctl", "control"), ("ctl", "control", "--card", "x"), ("ctl", "control", "w" * 4096)):
        assert run.call("nicsim", *usage)[0] == 2
    assert "link down|up" in run.call("nicsim", "ctl", "--help")[1]
    code, said = run.call("nicsim", "ctl", "nowhere", "counters")
    assert code == 1 and "no nicsim listens there" in said
    assert "the path is too long" in run.call("nicsim", "ctl", "p" * 200, "counters")[1]


def test_the_socket_is_its_own_users(run, cards):
    assert stat.S_IMODE(os.stat(run.dir / "control").st_mode) == 0o600
    code, said = run.call("nicsim", "--control", "control", "--device", "x540", "--socket", "z", "--wire", "sink")
    assert code == 1 and "another server listens there" in said
    code, said = run.call("nicsim", "--control", "x", "--device", "x540", "--socket", "z", "--wire", "sink")
    assert code == 1 and "another server listens there" in said
    assert not (run.dir / "z").exists()


def test_who_asks_for_nonsense_or_for_nothing(run, cards):
    """Nobody is kept waiting by it."""
    silent = []
    for _ in range(40):
        silent.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        silent[-1].connect(str(run.dir / "control"))
        silent[-1].settimeout(lab.PATIENCE)
    for words in (b"\0", b"x\nlink\0up", b"x\n" + b"w" * 4095, b"\n\n\n\n"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as who:
            who.connect(str(run.dir / "control"))
            who.settimeout(lab.PATIENCE)
            who.send(words)
            assert who.recv(4096).startswith(b"error\n")
            assert who.recv(4096) == b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as who:
        who.connect(str(run.dir / "control"))
        who.send(b"x\nlink\ndown")  # and leaves
    lab.wait_for(lambda: "link 0" in done(run, "counters"), "what was asked for by who left")
    assert silent[0].recv(1) == b""  # its place was taken
    for who in silent:
        who.close()
