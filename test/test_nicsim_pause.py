# SPDX-License-Identifier: BSD-3-Clause
"""nicsim's flow control: pause frames that hold what a card sends, and those that it sends when its packet buffer
fills. What is held is held for 33 ms at most, so that each look at it is made as often as it takes to come in time."""
import pytest

import x540
from lab import wait_for
from pauses import pause, seen
from x540 import A, B, GPRC, GPTC, MPE, RAL0, RDT, UPE, Card, frame, post, send

MFLCN, PMCF, DPF, RFCE = 0x4294, 1, 2, 8
FCTTV, FCRTL, FCRTH, FCRTV, FCCFG, TFCS = 0x3200, 0x3220, 0x3260, 0x32a0, 0x3d00, 0xce00
XON_SENT, XOFF_SENT, XON_SEEN, XOFF_SEEN = 0x3f60, 0x3f68, 0x41a4, 0x41a8
MPTC, PTC64, ENABLE = 0x40f0, 0x40d8, 1 << 31                                              # of FCRTH, FCRTL: XON
AUTOC, SLOW = 0x42a0, 0                                       # link mode 0: 1 Gbit/s


@pytest.fixture
def pair(run):
    """An 82599 at 1 Gbit/s, whose pauses last longest, and an X540 that sends to it."""
    process = run.start("nicsim", "--device", "82599", "--socket", run.dir / "a", "--wire", "cable:it",
                        "--device", "x540", "--socket", run.dir / "b", "--wire", "cable:it")
    process.expect("/b, wire")
    with Card(run.dir / "a") as a, Card(run.dir / "b") as b:
        a.process = process
        a.set(AUTOC, a.reg(AUTOC) & ~(7 << 13) | SLOW)
        a.tx()
        b.tx()
        yield a, b


# --- received ---

def test_a_pause_holds_what_is_sent(pair):
    a, b = pair
    a.rx(fctrl=UPE | MPE)
    b.rx(entries=64, fctrl=UPE)
    a.set(MFLCN, RFCE | DPF)
    sent = 0

    def held():
        """Sends while nothing may be sent: whether that was so all the time."""
        nonlocal sent
        post(b, pause(0xffff))
        seen(a.ask, XOFF_SEEN)
        last = post(a, frame(100 + sent % 64))
        before, head, after = a.ask(TFCS), a.ask(x540.TDH), a.ask(TFCS)
        if before & after & 1:
            assert head == sent % 64
        a.sent(last)                                          # it ends by itself
        assert b.received(sent % 64) == frame(100 + sent % 64)
        b.arm(sent % 64)
        b.set(RDT, sent % 64)
        sent += 1
        return before & after & 1
    wait_for(held, "a pause")
    assert a.ask(TFCS) == 0 and a.reg(x540.RDH) == 0          # DPF: the frames end in the MAC


def test_a_pause_is_ended(pair):
    a, b = pair
    a.rx(fctrl=UPE | MPE)
    a.set(MFLCN, RFCE | DPF)
    for _ in range(5):
        post(b, pause(0xffff), pause(0))
        seen(a.ask, XON_SEEN)
        assert a.ask(TFCS) == 0
        assert seen(a.ask, XOFF_SEEN) == 1
    post(b, pause(0xffff))
    seen(a.ask, XOFF_SEEN)
    a.set(x540.CTRL, 1 << 26)                                 # and by a reset
    assert a.ask(TFCS) == 0
    assert a.ask(XON_SEEN) == a.ask(XOFF_SEEN) == 0


@pytest.mark.parametrize("control, data, counted, arrives", [
    (0, pause(5), 0, True), (DPF, pause(5), 0, True),         # no flow control: a frame like others
    (RFCE, pause(5), 1, True), (RFCE | DPF, pause(5), 1, False), (RFCE | PMCF | DPF, pause(5), 1, False),
    (RFCE | DPF, pause(5, to=A), 1, False), (RFCE, pause(5, to=A), 1, True),
    (RFCE | DPF, pause(5, to=B), 0, True),                    # somebody else's
    (RFCE | DPF, pause(5, opcode=2), 0, False), (0, pause(5, opcode=0x101), 0, False),
    (PMCF, pause(5, opcode=2), 0, True), (RFCE | DPF | PMCF, pause(5, opcode=2), 0, True)])
def test_which_frames_are_pauses_and_which_arrive(pair, control, data, counted, arrives):
    a, b = pair
    a.rx(fctrl=UPE | MPE)
    a.set(MFLCN, control)
    send(b, data, frame(60))
    assert a.received(0) == (data if arrives else frame(60))
    if arrives:
        assert a.received(1) == frame(60)
    assert (a.ask(XOFF_SEEN), a.ask(XON_SEEN)) == (counted, 0)
    assert a.ask(GPRC) == (2 if arrives else 1)


def test_the_stations_own_address_counts(pair):
    a, b = pair
    a.rx(fctrl=UPE | MPE)
    a.set(MFLCN, RFCE | DPF)
    a.set(RAL0, a.reg(RAL0) ^ 1 << 8)
    send(b, pause(5, to=A), frame(60))
    assert a.received(0) == pause(5, to=A) and a.ask(XOFF_SEEN) == 0


# --- sent ---

def fill(a, b, low, high, time=0x1234, refresh=0):
    """Lets the packet buffer of a fill up, since its ring is full; b looks at what comes of it."""
    a.rx(entries=8)
    b.rx(entries=64, fctrl=MPE)
    a.set(FCTTV, 0x77770000 | time)
    a.set(FCRTV, refresh)
    a.set(FCRTL, low)
    a.set(FCRTH, high)
    a.set(FCCFG, 1 << 3)


def drain(a, first, frames):
    """Takes frames that arrive, the first of them in that descriptor, and gives the descriptors back."""
    for n, data in enumerate(frames, first):
        assert a.received(n % 8) == data
        a.arm(n % 8)
        a.set(RDT, n % 8)


def test_a_full_buffer_sends_xoff_and_an_empty_one_xon(pair):
    a, b = pair
    fill(a, b, 2000 | ENABLE, 4096 | ENABLE)
    # Seven fill the ring, four more stay below the mark, the fifth is above it.
    last = post(b, *[frame(1000)] * 11)
    b.sent(last)
    a.received(6)
    assert a.ask(XOFF_SENT) == 0 and b.ask(x540.RDH) == 0
    send(b, frame(1000))
    assert b.received(0) == pause(0x1234, source=A)
    send(b, frame(1000))
    for n in range(7):
        a.arm(n)
    a.set(RDT, 6)
    assert b.received(1) == pause(0, source=A)
    assert (a.ask(XOFF_SENT), a.ask(XON_SENT)) == (1, 1)
    # They are frames that were sent, of no queue.
    assert (a.ask(GPTC), a.ask(MPTC), a.ask(PTC64), a.ask(x540.GOTCL), a.ask(x540.QPTC0)) == (2, 2, 2, 128, 0)


@pytest.mark.parametrize("low, high, config", [
    (2000 | ENABLE, 4096, 1 << 3), (2000 | ENABLE, 4096 | ENABLE, 0), (2000 | ENABLE, 4096 | ENABLE, 2 << 3)],
    ids=["FCEN", "TFCE", "priority"])
def test_not_enabled(pair, low, high, config):
    a, b = pair
    fill(a, b, low, high)
    a.set(FCCFG, config)
    last = post(b, *[frame(1000)] * 20)
    a.received(6)
    drain(a, 0, [frame(1000)] * 20)
    b.sent(last)
    send(a, frame(60, to=B))
    assert a.ask(XOFF_SENT) == 0 and a.ask(GPTC) == 1


def test_without_xon(pair):
    a, b = pair
    fill(a, b, 2000, 4096 | ENABLE)
    for turn in range(2):
        send(b, *[frame(1000)] * 14)
        assert b.received(turn) == pause(0x1234, source=A)
        drain(a, 14 * turn, [frame(1000)] * 14)
    assert (a.ask(XOFF_SENT), a.ask(XON_SENT)) == (2, 0)


def test_xoff_is_sent_again(pair):
    """The buffer stays full: before the other end's pause is over there is another."""
    a, b = pair
    fill(a, b, 2000 | ENABLE, 4096 | ENABLE, time=0xffff, refresh=0xff00)
    send(b, *[frame(1000)] * 14)
    seen(a.ask, XOFF_SENT, least=4)
    for n in range(4):
        assert b.received(n) == pause(0xffff, source=A)


def test_nothing_is_lost(pair):
    """Both ends: one that is slower than the other, which obeys."""
    a, b = pair
    fill(a, b, 1000 | ENABLE, 4096 | ENABLE, time=0xffff, refresh=0xff00)
    a.set(x540.RXPBSIZE0, 8 << 10)
    b.set(MFLCN, RFCE | DPF)
    post(b, *[frame(600 + n) for n in range(60)])
    drain(a, 0, [frame(600 + n) for n in range(60)])
    assert a.ask(x540.RXMPC0) == 0
    assert seen(b.ask, XOFF_SEEN) >= 1
    assert seen(b.ask, XON_SEEN) >= 1
    # Once the buffer is empty there are no more of them.
    send(a, frame(60, to=B))
    assert b.received(0) == frame(60, to=B)
    b.ask(XOFF_SEEN)
    send(a, frame(60, to=B))
    assert b.received(1) == frame(60, to=B)
    assert b.ask(XOFF_SEEN) == 0
