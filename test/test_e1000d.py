# SPDX-License-Identifier: BSD-3-Clause
"""e1000d from outside, on nicsim's 82574L: what the class promises is the same as for ixgbed (test_ixgbed.py); here is
what the driver, its card and the hand-over of its state do for it."""
import os
import re
import signal

import pytest

import lab
from scheme_client import READ, WRITE
from stack import Stack, frame
from test_ixgbed import burst, exchange
from test_spine import LOSSLESS, Rheinfall, opened

DEVICES = ("82574l", "82574l")


@pytest.fixture
def loop(run):
    stack = Stack(run, DEVICES, a="loop")
    stack.pcid()
    stack.wait_link("a")
    return stack


def test_all_sizes_and_values(loop):
    sizes = range(60, 1515)
    assert loop.value("a", "/link") == b"up 1000\n"
    with loop.open("a") as handle:
        for size in sizes:
            data = frame(size, "a", "a", size)
            handle.write(data)
            assert handle.read() == data
        counters = loop.stats("a")
        assert counters["tx_frames"] == counters["rx_frames"] == len(sizes)
        # The card counts the CRC.
        assert counters["tx_bytes"] == counters["rx_bytes"] == sum(sizes) + 4 * len(sizes)
        assert counters["rx_missed"] == counters["bad_offsets"] == counters["bad_writebacks"] == 0
        for size in (14, 15, 59):
            data = frame(size, "a", "a")
            handle.write(data)
            assert handle.read() == data + bytes(60 - size)  # as the card has padded it
        loop.ctl("a", "link", "down")
        loop.wait_link("a", False)
        loop.ctl("a", "link", "up")
        loop.wait_link("a")
        handle.write(frame(70, "a", "a"))
        assert handle.read() == frame(70, "a", "a")
    code, said = loop.run.call("nicsim", "ctl", "control", "plug", "sr")
    assert (code, said) == (1, "nicsim ctl: control: no such command for an 82574l: see nicsim ctl --help")


@pytest.mark.parametrize("driver, irq", [((), "MSI-X"), (("--irq", "--msi"), "MSI"), (("--irq", "--intx"), "INTx"),
                                         (("--poll",), "none")])
def test_each_way_of_waiting(run, driver, irq):
    stack = Stack(run, DEVICES, a="cable:x", b="cable:x")
    # Small rings, which each burst goes round many times.
    stack.pcid(driver=(*driver, "--rx-ring", "64", "--tx-ring", "64"))
    frames, size = exchange(stack, [60, 61, 64, 1000, 1513, 1514] * 5)
    for card, way in (("a", "tx"), ("b", "rx")):
        counters = stack.stats(card)
        assert counters["irq"] == irq
        assert counters[f"{way}_frames"] == frames
        assert counters[f"{way}_bytes"] == size + 4 * frames
    sent = [frame(60 + i % 1400, "b", "a", i) for i in range(1500)]
    with stack.open("a") as receiver, stack.open("b") as sender:
        assert burst(sender, receiver, sent) == sent
    counters = stack.stats("a")
    assert counters["rx_frames"] == len(sent)
    assert counters["rx_missed"] == 0


def test_promiscuous_mode(run):
    stack = Stack(run, DEVICES, a="cable:x", b="cable:x")
    stack.pcid()
    stack.wait_link("a")
    stack.wait_link("b")
    stranger, mine = frame(100, to="a"), frame(100, to="b", fill=1)  # one to a's own address, on the way to b
    with stack.open("b") as receiver, stack.open("a") as sender:
        for on, seen in ("0", [mine]), ("1", [stranger, mine]), ("0", [mine]):
            stack.set("b", "/promisc", on)
            for data in (stranger, mine):
                sender.write(data)
            for data in seen:
                assert receiver.read() == data


def test_a_reader_that_does_not_read_holds_up_nobody(run):
    """Its socket fills, then ring, packet buffer and wire: the other way goes on, nothing is lost."""
    stack = Stack(run, DEVICES, a="cable:x", b="cable:x")
    stack.pcid()
    stack.wait_link("a")
    stack.wait_link("b")
    with stack.open("b", "", READ) as idle, stack.open("a", "", WRITE) as sender:
        sender.socket.settimeout(2.0)
        sent = 0
        try:
            while sent < 20000:
                sender.write(frame(1514, fill=sent))
                sent += 1
        except TimeoutError:
            pass
        assert 500 < sent < 20000, "it is held up in the end"
        with stack.open("a", "", READ) as other, stack.open("b", "", WRITE) as back:
            for i in range(20):
                back.write(frame(100, "b", "a", i))
                assert other.read() == frame(100, "b", "a", i)
        for i in range(sent):
            assert idle.read() == frame(1514, fill=i)
        assert stack.stats("b")["rx_missed"] == 0


def test_upgrade_and_kill_under_load(run):
    stack = Stack(run, DEVICES, a="cable:x", b="cable:x")
    stack.pcid()
    stack.wait_link("a")
    stack.wait_link("b")
    urls = {card: f"network:{stack.name(card)}" for card in "ab"}
    mirror = Rheinfall(run, "--url", urls["b"])
    opened(stack, "b")
    generator = Rheinfall(run, "--url", urls["a"], "--generate", "--size", "imix", "--window", 1000, "--duration", 60,
                          "--drain", 5000)
    opened(stack, "a")
    frames = 0
    for card in "a", "b", "a", "b":
        code, said = run.call("pcid", "--upgrade", stack.name(card))
        assert code == 0 and re.search(r"upgraded: pid \d+", said), said
        # Frames flow again, and counters went on.
        lab.wait_for(lambda: stack.stats("a")["rx_frames"] > frames + 1000, "frames after the upgrade")
        frames = stack.stats("a")["rx_frames"]
    result = generator.end(signal.SIGINT)
    assert {name: result[name] for name in LOSSLESS} == LOSSLESS, result
    assert result["rx_frames"] == result["tx_frames"] > 4000
    mirror.end(signal.SIGINT)

    # Now one that dies: what was on its way is lost, what comes after that is not.
    with stack.open("a") as sender, stack.open("b", "", READ) as receiver:
        for i in range(200):
            sender.write(frame(1000, fill=i))
        drivers = stack.pids("b")
        os.kill(drivers[-1], signal.SIGKILL)
        lab.wait_for(lambda: stack.pids("b")[len(drivers):], "another driver of b")
        lab.wait_for(lambda: receiver.status("link_up") == 1 and receiver.status("present") == 1, "the link at b")
        stack.wait_link("a")
        sender.write(frame(333, fill=5))
        while (data := receiver.read()) != frame(333, fill=5):
            assert len(data) == 1000
    assert stack.stats("b")["restarts"] == 1
