# SPDX-License-Identifier: BSD-3-Clause
"""nicsim --pace: what a card sends waits for its link. How fast a link is, test/unit/test_wire.c reckons; here no time is
measured."""
import pytest

import test_nicsim_82574 as e1000
from lab import wait_for
from x540 import EOP, GPTC, IFCS, DATA, RS, TDH, frame, one  # noqa: F401: a fixture

AUTOC, SLOW, HLREG0, JUMBO = 0x42a0, 0, 0x4240, 1 << 2         # link mode 0: 1 Gbit/s


def counters(run):
    code, said = run.call("nicsim", "ctl", "control", "counters")
    assert code == 0, said
    return {name: int(value, 0) for name, value in (line.split() for line in said.splitlines())}


@pytest.mark.parametrize("args", [("--pace",), ()])
def test_what_is_sent_waits_for_the_link(run, one, args):  # noqa: F811
    """200 frames of 9,000 bytes take 14 ms of 1 Gbit/s, and a card no time; each is sent."""
    card = one("sink", args=(*args, "--control", run.dir / "control"), device="82599")
    card.set(AUTOC, card.reg(AUTOC) & ~(7 << 13) | SLOW)
    card.set(HLREG0, card.reg(HLREG0) | JUMBO)
    card.tx(entries=256)
    address = card.place(frame(9000))
    assert counters(run)["paced"] == 0
    for _ in range(2):
        for _ in range(200):
            last = card.queue(address, 9000 | EOP | IFCS | RS | DATA, 9000 << 14)
        card.kick()
        card.sent(last)
        wait_for(lambda: card.reg(TDH) == card.tx_tail, "all are sent")
    assert card.reg(GPTC) == 400
    assert (counters(run)["paced"] > 0) == bool(args)


@pytest.mark.parametrize("args", [("--pace",), ()])
def test_an_82574l_waits_too(run, args):
    """Fifteen frames of 9,000 bytes take 1 ms."""
    process = run.start("nicsim", *args, "--control", "control", "--device", "82574l", "--socket", "s", "--wire", "sink")
    process.expect("^nicsim: 82574l")
    with e1000.Card(run.dir / "s") as card:
        card.start()
        for _ in range(4):
            for _ in range(15):
                at = card.put(e1000.IOVA + e1000.FRAMES, 9000 | e1000.EOP | e1000.IFCS | e1000.RS)
            card.go()
            wait_for(lambda: card.memory[at + 12] & 1, "all are sent")
        assert card.reg(e1000.GPTC) == 60
    assert (counters(run)["paced"] > 0) == bool(args)
