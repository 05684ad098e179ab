# SPDX-License-Identifier: BSD-3-Clause
"""The way of a frame from end to end: rheinfall, scheme, ixgbed, nicsim, a wire, and all of that again on the
other side. Nothing may be lost, doubled, disordered or changed. (Traffic of real kernels: test_real_traffic.py.)"""
import json
import os
import signal
import subprocess

import pytest

import lab
from stack import Stack

LOSSLESS = {"lost": 0, "duplicated": 0, "reordered": 0, "late": 0, "corrupted": 0, "foreign": 0}


class Rheinfall:
    """One that runs, with its summary."""

    def __init__(self, run, *args):
        self.child = subprocess.Popen([lab.program("rheinfall"), "--quiet", "--json", *map(str, args)], env=run.env,
                                      cwd=run.dir, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self, number=None, limit=lab.PATIENCE):
        if number:
            self.child.send_signal(number)
        try:
            out, err = self.child.communicate(timeout=limit)
        finally:
            self.child.kill()
        assert (self.child.returncode, err) == (0, ""), out
        return json.loads(out)


def url(card):
    return f"network:{card}_ixgbe"


def opened(stack, card, promisc=True):
    """Waits until somebody has the card's frames open, and has set it up."""
    lab.wait_for(lambda: stack.stats(card)["handles"] >= 1, f"{card} is open")
    if promisc:
        lab.wait_for(lambda: stack.value(card, "/promisc").startswith(b"1"), f"{card} is promiscuous")


@pytest.fixture(params=[("x540", "x540"), ("x550", "x550"), ("82599", "82599-kx4")], ids="-and-".join)
def cable(run, request):
    stack = Stack(run, devices=request.param, a="cable:spine", b="cable:spine")
    stack.pcid()
    stack.wait_link("a")
    stack.wait_link("b")
    return stack


@pytest.mark.parametrize("size", ["60", "61", "511", "1514", "imix"])
@pytest.mark.parametrize("burst", [1, 32])
def test_there_and_back(run, cable, size, burst):
    mirror = Rheinfall(run, "--url", url("b"))
    opened(cable, "b")
    result = Rheinfall(run, "--url", url("a"), "--generate", "--size", size, "--burst", burst, "--count", 3000,
                       "--drain", 5000, "--expect-lossless").end()
    assert {name: result[name] for name in LOSSLESS} == LOSSLESS
    assert result["rx_frames"] == result["tx_frames"] == 3000
    back = mirror.end(signal.SIGINT)
    assert back["rx_frames"] == back["tx_frames"] == 3000 and back["tx_dropped"] == 0
    for card in "ab":
        stats = cable.stats(card)
        assert stats["rx_frames"] == stats["tx_frames"] == 3000  # as the card counts them
        assert stats["rx_missed"] == stats["bad_writebacks"] == 0


def test_one_way(run, cable):
    meter = Rheinfall(run, "--url", url("b"), "--receive", "--count", 4000)
    opened(cable, "b")
    sent = Rheinfall(run, "--url", url("a"), "--generate", "--one-way", "--size", "60,1514", "--count", 4000).end()
    result = meter.end()
    assert {name: result[name] for name in LOSSLESS} == LOSSLESS
    assert result["rx_bytes"] == sent["tx_bytes"] == 2000 * (60 + 1514)
    assert result["streams"] == 1 and result["latency_ns"]["frames"] == 4000


def test_a_loop(run):
    stack = Stack(run, a="loop")
    stack.pcid()
    result = Rheinfall(run, "--generate", "--count", 2000, "--drain", 5000, "--window", 100, "--expect-lossless").end()
    assert result["rx_frames"] == 2000


def test_frames_for_others_need_promiscuous_mode(run, cable):
    """What the generator sends is for nobody: the card of a mirror that leaves its filter alone drops it."""
    mirror = Rheinfall(run, "--url", url("b"), "--no-promisc")
    opened(cable, "b", promisc=False)
    result = Rheinfall(run, "--url", url("a"), "--generate", "--count", 100, "--drain", 200).end()
    assert result["lost"] == 100
    result = Rheinfall(run, "--url", url("a"), "--generate", "--count", 100, "--drain", 5000, "--to",
                       "02:00:00:00:0b:01").end()
    assert result["lost"] == 0
    assert mirror.end(signal.SIGINT)["rx_frames"] == 100
    assert cable.value("a", "/promisc").startswith(b"0")


def test_a_driver_that_is_given_up_is_reported(run):
    stack = Stack(run, a="loop", b="loop")
    stack.pcid("--max-deaths", "1/60")
    mirror = subprocess.Popen([lab.program("rheinfall"), "--url", url("b"), "--quiet"], env=run.env, cwd=run.dir,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    opened(stack, "b")
    os.kill(stack.drivers["b"], signal.SIGKILL)
    lab.wait_for(lambda: len(stack.pids("b")) == 2, "another driver")
    os.kill(stack.pids("b")[-1], signal.SIGKILL)
    _, err = mirror.communicate(timeout=lab.PATIENCE)
    assert mirror.returncode == 1 and err == "rheinfall: network:b_ixgbe: its driver has left\n"
