# SPDX-License-Identifier: BSD-3-Clause
"""Shared rings through the whole stack: rheinfall --ring, ixgbed, nicsim. Nothing is lost, doubled, disordered or
changed, also beside plain handles, and whoever else is killed or replaced."""
import os
import random
import signal
import time

import pytest

import lab
from ring_client import RX_PROVIDED, SLEEPING, SLOTS, TX_PROVIDED, Ring, punch
from scheme_client import WRITE
from stack import Stack, frame
from test_spine import LOSSLESS, Rheinfall, cable, opened, url  # noqa: F401 (a fixture)
from test_survive import up
from test_survive_clients import descriptors
from test_upgrade import upgrade


def lossless(result):
    return {name: result[name] for name in LOSSLESS} == LOSSLESS


@pytest.mark.parametrize("size", ["60", "1514", "imix"])
@pytest.mark.parametrize("ends", ["ring to ring", "ring to plain", "plain to ring"])
def test_there_and_back(run, cable, size, ends):
    here, there = (["--ring"] if word == "ring" else [] for word in ends.split(" to "))
    mirror = Rheinfall(run, "--url", url("b"), *there)
    opened(cable, "b")
    result = Rheinfall(run, "--url", url("a"), "--generate", "--size", size, "--count", 3000, "--drain", 5000,
                       "--expect-lossless", *here).end()
    assert lossless(result) and result["rx_frames"] == result["tx_frames"] == 3000
    back = mirror.end(signal.SIGINT)
    assert back["rx_frames"] == back["tx_frames"] == 3000 and back["tx_dropped"] == 0
    for card in "ab":
        stats = cable.stats(card)
        assert stats["rx_frames"] == stats["tx_frames"] == 3000
        assert stats["rx_missed"] == stats["bad_writebacks"] == stats["refused"] == 0


def test_one_way_and_recorded(run, cable):
    meter = Rheinfall(run, "--url", url("b"), "--receive", "--count", 4000, "--ring")
    opened(cable, "b")
    sent = Rheinfall(run, "--url", url("a"), "--generate", "--one-way", "--size", "60,1514", "--count", 4000,
                     "--burst", 1, "--ring").end()
    result = meter.end()
    assert lossless(result)
    assert result["rx_bytes"] == sent["tx_bytes"] == 2000 * (60 + 1514)
    code, said = run.call("rheinfall", "--url", url("a") + "/tap", "--receive", "--ring")
    assert code == 1 and "a tap has no rings" in said
    code, said = run.call("rheinfall", "--url", url("a") + "/queue/0")
    assert code == 1 and "use it with --ring" in said


def test_without_pcid(run):
    stack = Stack(run, a="loop")
    stack.ixgbed("a", "--name", "a_ixgbe")
    stack.wait_link("a")
    result = Rheinfall(run, "--url", url("a"), "--ring", "--generate", "--count", 2000, "--window", 100, "--drain", 5000,
                       "--expect-lossless").end()
    assert lossless(result) and result["rx_frames"] == 2000


def test_a_queue_of_ones_own(run, cable):  # noqa: F811
    mirror = Rheinfall(run, "--url", url("b") + "/queue/0", "--ring")
    opened(cable, "b")
    result = Rheinfall(run, "--url", url("a") + "/queue/0", "--ring", "--generate", "--size", "imix", "--count", 5000,
                       "--window", 256, "--drain", 5000, "--expect-lossless").end()
    assert lossless(result) and result["rx_frames"] == 5000
    assert mirror.end(signal.SIGINT)["rx_frames"] == 5000


@pytest.mark.parametrize("path", ["", "/queue/0"])
def test_a_bridge(run, path):
    """Between two cables: the mirror at the far end sees what the generator sends, and the other way round. Of two
    queues that rheinfall owns, nobody copies a frame."""
    stack = Stack(run, a="cable:left", b="cable:left", c="cable:right", d="cable:right")
    stack.pcid()
    for card in "abcd":
        stack.wait_link(card)
    mirror = Rheinfall(run, "--url", url("d"), "--ring")
    bridge = Rheinfall(run, "--bridge", url("b") + path, url("c") + path, "--ring")
    for card in "bcd":
        opened(stack, card)
    result = Rheinfall(run, "--url", url("a"), "--generate", "--size", "imix", "--count", 5000, "--window", 256,
                       "--drain", 5000, "--expect-lossless", "--ring").end()
    assert lossless(result) and result["rx_frames"] == 5000
    assert mirror.end(signal.SIGINT)["rx_frames"] == 5000
    lanes = bridge.end(signal.SIGINT)["lanes"]
    assert [lane["frames"] for lane in lanes] == [5000, 5000]


# --- drivers that come and go ---

def numbered(number, size=100):
    return frame(60, "a", "a") + number.to_bytes(4, "big") + bytes(size - 64)


def number_of(data):
    return int.from_bytes(data[60:64], "big")


def echo(ring, number):
    """A frame there and back over a loop, once there is a link."""
    up(ring)
    ring.provide()
    ring.send(numbered(number))
    assert number_of(lab.wait_for(ring.receive, f"frame {number}")) == number


@pytest.fixture
def loop(run):
    stack = Stack(run, a="loop")
    stack.pcid("--max-deaths", 0)
    stack.wait_link("a")
    return stack


def test_kills_under_load(run, loop):
    """What a driver had in its hands is lost; nothing comes twice, no buffer is missing at the end."""
    random.seed(2)
    with Ring(run.schemes, "a_ixgbe") as ring:
        number, seen = 0, []
        for _ in range(64):
            ring.provide()
        for _ in range(6):
            drivers = len(loop.pids("a"))
            end, killed = time.monotonic() + random.uniform(0, 0.1), False
            while not killed or len(loop.pids("a")) == drivers:
                if time.monotonic() >= end and not killed:
                    os.kill(loop.pids("a")[-1], signal.SIGKILL)
                    killed = True
                if ring.room() and ring.status("link_up"):
                    number += 1
                    ring.send(numbered(number))
                while (data := ring.receive()) is not None:
                    seen.append(number_of(data))
                    ring.provide()
                assert time.monotonic() < end + lab.PATIENCE, loop.owner.text
        lab.wait_for(lambda: ring.room() == 64, "every buffer comes back")
        up(ring)
        ring.send(numbered(number + 1))
        while not seen or seen[-1] != number + 1:
            seen.append(number_of(lab.wait_for(ring.receive, "the last frame")))
            ring.provide()
        assert seen == sorted(set(seen)) and len(seen) > 6
        # A driver may die between a burst and its counting.
        counted = ring.status("sent") + ring.status("no_link") + ring.status("lost")
        assert abs(counted - (number + 1)) <= 6 * 32
        assert ring.status("refused") == 0
    assert loop.stats("a")["restarts"] == 6


def test_rheinfall_goes_on_after_kills(run, loop):
    generator = Rheinfall(run, "--url", url("a"), "--ring", "--generate", "--duration", 60, "--window", 200, "--drain", 50)
    for i in range(3):
        frames = loop.stats("a")["tx_frames"]
        lab.wait_for(lambda: loop.stats("a")["tx_frames"] > frames + 500, "frames")
        os.kill(loop.pids("a")[-1], signal.SIGKILL)
        lab.wait_for(lambda: len(loop.pids("a")) == i + 2, "another driver")
        loop.wait_link("a")
    frames = loop.stats("a")["tx_frames"]
    lab.wait_for(lambda: loop.stats("a")["tx_frames"] > frames + 500, "frames")
    result = generator.end(signal.SIGINT)
    assert {name: result[name] for name in LOSSLESS if name != "lost"} == \
        {name: 0 for name in LOSSLESS if name != "lost"}
    assert result["rx_frames"] > 2000


def test_upgrades_under_load(run, cable):  # noqa: F811
    mirror = Rheinfall(run, "--url", url("b"), "--ring")
    opened(cable, "b")
    generator = Rheinfall(run, "--url", url("a"), "--ring", "--generate", "--size", "imix", "--window", 1000,
                          "--duration", 60, "--drain", 5000)
    opened(cable, "a")
    frames = 0
    for _ in range(2):
        for card in "a", "b":
            upgrade(run, card)
            lab.wait_for(lambda: cable.stats("a")["rx_frames"] > frames + 2000, "frames after the upgrade")
            frames = cable.stats("a")["rx_frames"]
    for card in "a", "b":
        stats = cable.stats(card)
        assert (stats["upgrades"], stats["restarts"], stats["lost_in_restart"]) == (2, 0, 0)
    result = generator.end(signal.SIGINT)
    assert lossless(result) and result["rx_frames"] == result["tx_frames"] > 8000
    assert mirror.end(signal.SIGINT)["rx_frames"] == result["tx_frames"]


# --- clients that do what none should ---

def test_killed_clients(run, loop):
    """While they send and receive as fast as they go; nothing is left of them, the other one has what is its."""
    random.seed(4)
    def open_in_pcid():
        return descriptors(loop.owner.pid)[0]

    with Ring(run.schemes, "a_ixgbe", WRITE) as steady:
        lab.wait_for(lambda: loop.stats("a")["handles"] == 1, "it is alone")
        before = open_in_pcid()  # and perhaps those of who asked
        for turn in range(10):
            child = Rheinfall(run, "--url", url("a"), "--ring", "--generate", "--size", "60", "--no-promisc")
            opened(loop, "a", promisc=False)
            lab.wait_for(lambda: loop.stats("a")["handles"] == 2, "it is open")
            time.sleep(random.uniform(0, 0.02))
            child.child.kill()
            child.child.communicate()
            up(steady)
            steady.send(numbered(turn))
            lab.wait_for(lambda: steady.room() == 64, "the frame is sent")
            lab.wait_for(lambda: loop.stats("a")["handles"] == 1, "it is gone")
        assert steady.status("sent") == 10
        lab.wait_for(lambda: open_in_pcid() <= before, "pcid keeps nothing of theirs")
    assert loop.stats("a")["restarts"] == 0
    lab.wait_for(lambda: loop.stats("a")["handles"] == 0, "all are gone")


def test_holes_in_every_page(run, loop):
    """Under traffic: a hole is zeros, nothing worse."""
    with Ring(run.schemes, "a_ixgbe") as hostile, Ring(run.schemes, "a_ixgbe", WRITE) as steady:
        echo(hostile, 1)
        for at in range(0, 256 << 12, 4096):
            hostile.provide()
            hostile.send(numbered(at))
            punch(hostile.frames_fd, at, 4096)
            lab.wait_for(hostile.receive, "a frame, whatever is in it")
        assert not hostile.hung_up()
        for at in (SLOTS, 0):  # the slots: no buffers; then the indices
            for _ in range(20):
                hostile.send(numbered(1))
                punch(hostile.rings_fd, at, 4096)
            # Back to 0 is against the rules, and so is a slot without a buffer.
            if at == 0:
                lab.wait_for(lambda: hostile.wake() or hostile.hung_up(), "it is hung up")
        steady.send(numbered(2))
        lab.wait_for(lambda: steady.room() == 64, "the other one is served")
        assert steady.status("sent") == 1
    assert loop.stats("a")["restarts"] == 0


def test_wild_memory(run, loop):
    """Anything in ring memory, again and again, and wake-ups that nobody reads."""
    random.seed(5)
    with Ring(run.schemes, "a_ixgbe", WRITE) as steady:
        for turn in range(60):
            with Ring(run.schemes, "a_ixgbe") as wild:
                for _ in range(32):
                    wild.provide()
                for _ in range(60):
                    at = random.choice([RX_PROVIDED, TX_PROVIDED, SLEEPING, SLOTS + 4 * random.randrange(256)])
                    wild.store(at, random.choice([random.getrandbits(32), random.randrange(130), 0, 0xffffffff, 3]))
                    wild.wake()
            if turn % 10 == 0:
                steady.send(numbered(turn))
                lab.wait_for(lambda: steady.room() == 64, "the other one is served")
        assert steady.status("sent") == 6 and not steady.hung_up()
        with Ring(run.schemes, "a_ixgbe") as deaf:  # always asleep: its socket fills up
            for turn in range(400):
                deaf.store(SLEEPING, 3)
                deaf.provide()
                deaf.send(numbered(turn))
                lab.wait_for(deaf.receive, "its frame")
        steady.send(numbered(1))
        lab.wait_for(lambda: steady.room() == 64, "the other one is served")
    assert loop.stats("a")["restarts"] == 0
    lab.wait_for(lambda: loop.stats("a")["handles"] == 0, "all are gone")
