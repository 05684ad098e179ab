# SPDX-License-Identifier: BSD-3-Clause
"""Each access of a driver's start, its first frames and its end fails once, and each message: it works, or ends with
the right error within its time-outs; never a crash, a hang, or an access of the card to what is not its memory. Here a
part of them; test/sweep does all."""
import re

import pytest

import lab

# What may come of it, and nothing else.
RIGHT = [
    r"works",
    r"is gone while it runs",
    r"No such device: the card is gone",
    r"No such device: the server closed the connection at command \d+",
    r"No such device: (the function cannot be quiesced|bus mastering cannot be turned on)",
    r"No such device: (config space can't be read|BAR \d: memory access can't be switched on): No such device",
    r"Protocol error: what listens there is no vfio-user server",
    r"Connection timed out: a (receive|transmit) queue did not start within 10 ms .*",
    r"Input/output error: the server refuses command \d+: Input/output error",
    r"Input/output error: (config space can't be read|BAR \d: memory access can't be switched on): Input/output error",
    r"Input/output error: (the function cannot be quiesced|bus mastering cannot be turned on)",
    r"Input/output error: interrupts cannot be set up: use polling",
    r"Input/output error: the card's firmware refused a command .*",
]


def sweep(run, model, what, how, *options, limit=None):
    """Returns {outcome: how often}; and prints it."""
    where = run.dir / f"{model}-{what}-{how}"
    where.mkdir()
    nicsim = run.start("nicsim", "--doorbells", "trapped", "--control", where / "control", "--device", model,
                       "--socket", where / "s", "--wire", "loop")
    nicsim.expect(f"nicsim: {model} ")
    code, said = run.call(str(lab.BUILD / "test" / "nic_sweep"), "--control", where / "control", "--what", what, "--how", how,
                          *options, f"vfio-user:{where}/s", limit=limit)
    print(f"{model}:\n{said}")
    assert code == 0, said
    assert nicsim.stop() == 0, nicsim.text
    found = {match[2]: int(match[1]) for match in re.finditer(r"^ *(\d+)  (.*) \(first: \d+\)$", said, re.MULTILINE)}
    summary = re.search(r"of (\d+): tried (\d+), worked (\d+), ended with an error (\d+), wrong 0$", said)
    assert summary, said
    total, tried, worked, ended = map(int, summary.groups())
    assert sum(found.values()) == tried == worked + ended and worked == found.get("works", 0)
    strange = [text for text in found if not any(re.fullmatch(right, text) for right in RIGHT)]
    assert not strange, said
    return total, tried, found


@pytest.mark.parametrize("model", ["x540", "82599", "x550"])
def test_a_part(run, model):
    total, tried, found = sweep(run, model, "access", "ones", "--step", 61)
    assert total > 1000 and tried > total / 62
    assert found["works"] > tried * 0.9  # one failed access is rarely the end
    _, tried, found = sweep(run, model, "access", "gone", "--step", 131)
    assert found["No such device: the card is gone"] > tried * 0.9
    sweep(run, model, "message", "error", "--step", 97)
    sweep(run, model, "message", "hangup", "--step", 151)


def test_rings_and_the_first_frame(run):
    """Where most depends on each access: they are set up, used, stopped."""
    _, tried, found = sweep(run, "x540", "access", "ones", "--ending", 100)
    assert tried == 100
    assert found["works"] == 98  # but for the two that turn a queue on
    sweep(run, "x540", "access", "error", "--ending", 100, "--step", 3)
