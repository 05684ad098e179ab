# SPDX-License-Identifier: BSD-3-Clause
"""nicsim's card against another one that was written elsewhere: random programs on both (test/oracle)."""
import collections
import json

import pytest

import cards
import play
import program

pytestmark = pytest.mark.guest      # not booted, but of the same QEMU

# Card and doorbells: which programs.
SEEDS = {("82599", "trapped"): range(0, 50), ("x540", "trapped"): range(50, 80), ("x550", "trapped"): range(80, 110),
         ("82599", "mapped"): range(110, 150)}


@pytest.fixture
def pair(run):
    made = []

    def start(*which):
        made.extend([cards.Igb(run), cards.Ixgbe(run, *which)])
        return made
    yield start
    for card in made:
        card.close()


@pytest.mark.parametrize("device, doorbells", SEEDS)
def test_the_same_program_does_the_same(run, pair, device, doorbells):
    igb, ixgbe = pair(device, doorbells)
    used = collections.Counter()
    for seed in SEEDS[device, doorbells]:
        plan = program.make(seed)
        try:
            play.play(igb, ixgbe, plan, used)
        except play.Difference:
            plan, said = play.shrink(igb, ixgbe, plan)
            kept = run.dir / "oracle.json"
            kept.write_text(json.dumps(plan))
            pytest.fail(f"seed {seed}: {said}\n{program.describe(plan)}\n"
                        f"test/oracle/run --replay {kept}, or --device {device} --doorbells {doorbells} --from {seed} --seeds 1",
                        False)
    assert not [name for name in play.DIFFERENCES if not used[name]]
    ixgbe.process.stop()
    assert len(ixgbe.process.lines) == 1, "not by the datasheet:\n" + ixgbe.process.text


def changed(data):
    return bytes([data[0] ^ 0x10]) + data[1:]


def flip(card, address):
    card.memory[address - cards.BASE] ^= 0x10


# What a card that is wrong would do, as the oracle sees it.
FAULTS = {
    "a frame on the wire": ("sent", lambda card, rings, found: [*map(changed, found)]),
    "a frame too few": ("sent", lambda card, rings, found: found[:-1]),
    "a descriptor": ("settle", lambda card, rings, _: flip(card, rings.rx_rings[0] + 8)),
    "a sender's descriptor": ("settle", lambda card, rings, _: flip(card, rings.tx_rings[0] + 12)),
    "a byte of a buffer": ("settle", lambda card, rings, _: flip(card, rings.buffers[0][0] + 40)),
    "a byte behind a buffer": ("settle", lambda card, rings, _: flip(card, rings.buffers[-1][-1])),
    "a head": ("heads", lambda card, rings, found: [found[0] ^ 1, *found[1:]]),
    "a message": ("announced", lambda card, rings, found: found ^ {1}),
    "a cause": ("causes", lambda card, rings, found: found ^ 1),
    **{name: ("counters", lambda card, rings, found, name=name: {**found, name: found[name] + 1})
       for name in ("GPRC", "GORC", "MPRC", "PRC127", "GPTC", "GOTC", "BPTC", "PTC64")},
}


def test_what_is_wrong_is_found(pair, monkeypatch):
    igb, ixgbe = pair("82599")
    plan = program.make(3)
    play.play(igb, ixgbe, plan)
    rings = play.Layout(plan["setup"])
    for name, (method, spoil) in FAULTS.items():
        right = getattr(ixgbe, method)
        with monkeypatch.context() as patch:
            patch.setattr(ixgbe, method, lambda *how: spoil(ixgbe, rings, right(*how)))
            with pytest.raises(play.Difference):
                play.play(igb, ixgbe, plan)
                pytest.fail(f"not found: {name}")
    play.play(igb, ixgbe, plan)
