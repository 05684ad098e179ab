# SPDX-License-Identifier: BSD-3-Clause
"""Flow control of nicsim's 82574L, two of them with a cable between: when a pause is sent, by CTRL, FCRTH and FCRTL, what it
looks like, by FCAL, FCAH, FCT and FCTTV, and what holds. How a pause holds in general is in test_nicsim_pause.py."""
import pytest

from i82574 import *
from lab import wait_for
from pauses import GROUP, pause, seen
from x540 import B as OTHER_MAC, raw

FCAL, FCAH, FCT, FCTTV, FCRTL, FCRTH = 0x28, 0x2c, 0x30, 0x170, 0x2160, 0x2168
XON_SEEN, XON_SENT, XOFF_SEEN, XOFF_SENT, TPT, TPR, MPTC = 0x4048, 0x404c, 0x4050, 0x4054, 0x40d4, 0x40d0, 0x40f0
RFCE, TFCE, TXOFF, UPE, MPE, DPF, PMCF, SWXOFF, XON = 1 << 27, 1 << 28, 1 << 4, 1 << 3, 1 << 4, 1 << 22, 1 << 23, 1 << 22, 1 << 31


def begin(card, ctrl=0, rctl=0):
    card.sent = 0
    card.start(UPE | MPE | rctl, ctrl)
    card.set(FCAL, 0x00c28001), card.set(FCAH, 0x100), card.set(FCT, 0x8808)


@pytest.fixture
def pair(run):
    arguments = [word for name, mac in (("a", MAC), ("b", OTHER_MAC))
                 for word in ("--device", "82574l", "--socket", run.dir / name, "--wire", "cable:it", "--mac", mac)]
    process = run.start("nicsim", *arguments)
    process.expect("/b, wire")
    with Card(run.dir / "a") as a, Card(run.dir / "b") as b:
        for card in a, b:                             # each waits for the link, which needs both
            card.set(CTRL, SLU)
        begin(a), begin(b)
        yield a, b
    assert process.stop() == 0


def test_a_pause_holds_what_is_sent(pair):
    a, b = pair
    begin(a, RFCE, DPF)
    sent = 0

    def held():
        """Sends while nothing may be sent: whether that was so all the time (33 ms)."""
        nonlocal sent
        b.send(pause(0xffff))
        seen(a.reg, XOFF_SEEN)
        at, first = a.post(FRAME), a.reg(STATUS) & TXOFF
        head, last = a.reg(TX + HEAD), a.reg(STATUS) & TXOFF
        if first and last:
            assert head == sent % ROWS
        wait_for(lambda: a.memory[at + 12] & 1, "the end of the pause")
        sent += 1
        return first and last
    wait_for(held, "a pause")
    assert not a.reg(STATUS) & TXOFF and a.reg(RX + HEAD) == 0     # they ended in the MAC
    for _ in range(3):
        b.send(pause(0xffff)), b.send(pause(0))
        seen(a.reg, XON_SEEN)
        assert not a.reg(STATUS) & TXOFF
    b.send(pause(0xffff))
    seen(a.reg, XOFF_SEEN)
    a.set(CTRL, RST)
    assert not a.reg(STATUS) & TXOFF


@pytest.mark.parametrize("ctrl, rctl, data, counted, arrives", [
    (0, 0, pause(5), 0, True), (0, DPF, pause(5), 0, True), (RFCE, 0, pause(5), 1, True), (RFCE, DPF, pause(5), 1, False),
    (RFCE, DPF, pause(5, to=MAC), 1, False), (RFCE, DPF, pause(5, to="02:00:00:00:00:03"), 0, True),
    (RFCE, 0, pause(5, opcode=2), 0, False), (RFCE, PMCF, pause(5, opcode=2), 0, True)])
def test_which_frames_are_pauses_and_which_arrive(pair, ctrl, rctl, data, counted, arrives):
    a, b = pair
    begin(a, ctrl, rctl)
    b.send(data), b.send(FRAME)
    for n, frame in enumerate([data, FRAME] if arrives else [FRAME]):
        assert a.received(0, n)[2].startswith(frame)
    assert a.reg(RX + HEAD) == 1 + arrives
    assert (a.reg(XOFF_SEEN), a.reg(XON_SEEN), a.reg(TPR)) == (counted, 0, 2)
    assert a.reg(GPRC) == 1 + arrives


def test_other_pauses_by_registers(pair):
    """The group and the type are what the driver wrote: none is a pause before."""
    a, b = pair
    begin(a, RFCE, DPF)
    a.set(FCAH, 0x200), a.set(FCT, 0x8809)
    other = raw(GROUP[:-1] + "2") + pause(5)[6:12] + b"\x88\x09" + pause(5)[14:]
    b.send(pause(5)), b.send(other)
    seen(a.reg, XOFF_SEEN)
    assert a.reg(RX + HEAD) == 1 and a.reg(XOFF_SEEN) == 0
    a.set(FCT, 0)
    b.send(other)
    assert a.received(0, 1)[2].startswith(other)


def fill(a, b, ctrl=TFCE, low=2000 | XON, high=4096):
    """Lets the packet buffer of a fill up above its ring of 15."""
    begin(a, ctrl), begin(b)
    a.set(FCTTV, 0x1234), a.set(FCRTL, low), a.set(FCRTH, high)
    for _ in range(ROWS - 1 + 4):                     # 1,004 bytes each there
        b.send(FRAME + bytes(1000 - len(FRAME)))
    wait_for(lambda: a.reg(RX + HEAD) == ROWS - 1, "a full ring")
    assert a.reg(XOFF_SENT) == 0
    b.send(FRAME + bytes(1000 - len(FRAME)))


def empty(a):
    a.set(RX + TAIL, ROWS - 2)
    wait_for(lambda: a.reg(RX + HEAD) == 4, "what waited")


def test_a_full_buffer_sends_xoff_and_an_empty_one_xon(pair):
    a, b = pair
    fill(a, b)
    assert b.received(0, 0)[2].startswith(pause(0x1234, source=MAC))
    empty(a)
    assert b.received(0, 1)[2].startswith(pause(0, source=MAC))
    # In the totals alone are they frames that were sent.
    assert [a.reg(register) for register in (XOFF_SENT, XON_SENT, TPT, GPTC, MPTC)] == [1, 1, 2, 0, 0]
    a.set(TCTL, 2 | SWXOFF)                           # software asks for one
    assert b.received(0, 2)[2].startswith(pause(0x1234, source=MAC))
    assert (a.reg(TCTL), a.reg(XOFF_SENT)) == (2, 1)


@pytest.mark.parametrize("ctrl, low, high, sent", [(0, 2000 | XON, 4096, 0), (TFCE, 2000 | XON, 0, 0), (TFCE, 2000, 4096, 1)])
def test_without(pair, ctrl, low, high, sent):
    """TFCE; a mark; XON."""
    a, b = pair
    fill(a, b, ctrl, low, high)
    empty(a)
    b.send(FRAME)
    a.send(FRAME)
    assert b.received(0, sent)[2].startswith(FRAME)
    assert (a.reg(XOFF_SENT), a.reg(XON_SENT), a.reg(TPT)) == (sent, 0, sent + 1)


def test_an_overflow_tells_once_more(run):
    """On a wire that does not wait, and whose other end has not heard."""
    process = run.start("nicsim", "--device", "82574l", "--socket", run.dir / "a", "--wire", "gen:1000@3000", "--mac", MAC)
    process.expect("/a, wire")
    with Card(run.dir / "a") as card:
        card.set(FCRTL, 2000 | XON), card.set(FCRTH, 4096)
        begin(card, TFCE)
        assert seen(card.reg, XOFF_SENT, 2) == 2
        seen(card.reg, MPC, 5)
        assert card.reg(XOFF_SENT) == 0
    assert process.stop() == 0
