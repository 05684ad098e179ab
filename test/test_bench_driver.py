# SPDX-License-Identifier: BSD-3-Clause
"""What measures the driver is to be trusted: its card finds what a driver does wrong, and instructions are counted the
same each time."""
import subprocess

import pytest

import lab


def cost(*arguments):
    return subprocess.run([lab.BUILD / "bench" / "driver_cost", *map(str, arguments)], capture_output=True, text=True,
                          timeout=10 * lab.PATIENCE, check=False)


def count(*arguments):
    done = cost("--count", *arguments)
    assert done.returncode == 0, done.stderr
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


@pytest.mark.parametrize("what, words", [
    ("rs", "32 frames in a row do not report (RS)"),
    ("last", "the last frame sent does not report (RS)"),
    ("eop", "a transmit descriptor says 0x"),
    ("length", "a frame of 60 bytes is sent with 61, of a length of 60"),
    ("sent", "given to send that the card had already been given to send"),
    ("given", "given to receive into that the card had already been given to receive into"),
    ("slot", "was changed while it was the card's"),
    ("frame", "is another one"),
    ("tail", "a tail of "),
])
def test_a_fault_is_found(what, words):
    done = cost("--count", "--spoil", what, "--burst", 8 if what == "last" else 32)
    assert done.returncode == 1
    assert words in done.stderr


@pytest.mark.traced
@pytest.mark.parametrize("mode", cost("--list").stdout.split()[1:] or ["forward"])
def test_instructions_are_counted_the_same_twice(mode):
    arguments = ["--ring", 64, "--burst", 8, "--mode", mode]
    one = count(*arguments)
    if "no_instructions" in one:
        pytest.skip(one["no_instructions"])
    assert 10 < float(one["instructions"]) < 2000
    assert count(*arguments) == one


@pytest.mark.traced
def test_doorbells_are_counted():
    found = count("--ring", 256, "--burst", 8)
    # RDT when 32 buffers are pending, TDT for each burst.
    assert (float(found["rx_doorbells"]), float(found["tx_doorbells"])) == (1 / 32, 1 / 8)
