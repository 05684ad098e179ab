# SPDX-License-Identifier: BSD-3-Clause
"""ixgbed --queues: one daemon on several queues of its card, which spread what comes by address and port."""
import os
import re
import signal
import struct

import pytest

import lab
import rss
from owner_client import RX, Owner, buffers
from stack import MAC, Stack

pytestmark = pytest.mark.skipif(lab.DOORBELLS != "trapped", reason="mapped, the queues' counters are not cleared by "
                                "reading: doc/nicsim.md")

QUEUES = 4
KEY = b"\x6d\x5a" * 20
THERE, HERE = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])


def udp(source, to, number=0, to_card="a", backwards=False):
    """A frame of 80 bytes from one port to another; its last bytes are a number."""
    (one, two), ports = (HERE, THERE) if backwards else (THERE, HERE), (to, source) if backwards else (source, to)
    head = bytes.fromhex(MAC[to_card].replace(":", "") + "020000000099" + "0800")
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 66, 0, 0, 64, 17, 0) + one + two
    return head + ip + struct.pack(">HHHH", *ports, 46, 0) + bytes(34) + struct.pack(">I", number)


def queue_of(source, to):
    return rss.toeplitz(KEY, THERE + HERE + struct.pack(">HH", source, to)) % 128 % QUEUES


def by_queue(stats, what):
    return [stats[f"queue_{n}_{what}"] for n in range(QUEUES)]


def there(stats):
    return sum(stats[key] for key in ("pool_free", "rx_held", "tx_held", "rx_waiting", "tx_waiting"))


def round_trip(handle, flows, each, first=0):
    """`each` frames of each flow through a loop, interleaved: all come back, each flow's in its order."""
    got = {flow: [] for flow in flows}
    for number in range(first, first + each):
        for flow in flows:
            handle.write(udp(*flow, number))
        for _ in flows:
            data = handle.read()
            got[struct.unpack(">HH", data[34:38])].append(struct.unpack(">I", data[-4:])[0])
    assert all(numbers == list(range(first, first + each)) for numbers in got.values())


FLOWS = [(port, 9) for port in range(3000, 3016)]


def test_frames_are_spread_and_counted(run):
    stack = Stack(run, a="loop")
    stack.pcid(driver=["--queues", str(QUEUES)])
    stack.wait_link("a")
    expected = [0] * QUEUES
    for flow in FLOWS:
        expected[queue_of(*flow)] += 10
    assert min(expected) > 0
    with stack.open("a") as handle:
        round_trip(handle, FLOWS, 10)
        stats = stack.stats("a")
        assert by_queue(stats, "rx_frames") == expected and by_queue(stats, "rx_dropped") == [0] * QUEUES
        assert by_queue(stats, "tx_frames") == [160, 0, 0, 0]
        assert stats["rx_frames"] == stats["tx_frames"] == 160
        assert stats["pool_size"] - 32 <= there(stats) <= stats["pool_size"]
        assert stats["rx_held"] > 4 * 480                    # each queue has its ring full
        # The way back of a connection comes to the same queue; what is no IP to the first.
        for source, to in FLOWS:
            handle.write(udp(source, to, backwards=True))
            handle.read()
        assert by_queue(stack.stats("a"), "rx_frames") == [count + count // 10 for count in expected]
        handle.write(udp(1, 2)[:12] + b"\x88\xb5" + bytes(46))
        handle.read()
        assert stack.stats("a")["queue_0_rx_frames"] == expected[0] + expected[0] // 10 + 1
    assert not [line for line in stack.nicsim.lines if "strict:" in line]


@pytest.mark.parametrize("options", [["--irq"], ["--poll"], ["--irq", "--msi"]], ids=" ".join)
def test_each_queue_wakes_it(run, options):
    stack = Stack(run, a="loop")
    stack.ixgbed("a", "--queues", str(QUEUES), *options)
    stack.wait_link("a")
    with stack.open("a") as handle:
        round_trip(handle, FLOWS, 2)
    assert min(by_queue(stack.stats("a"), "rx_frames")) > 0


def test_upgrade_loses_nothing(run):
    stack = Stack(run, a="loop")
    stack.pcid(driver=["--queues", str(QUEUES)])
    stack.wait_link("a")
    with stack.open("a") as handle:
        round_trip(handle, FLOWS, 3)
        before = by_queue(stack.stats("a"), "rx_frames")
        for flow in FLOWS:                                   # on their way through it all
            handle.write(udp(*flow, 77))
        code, said = run.call("pcid", "--upgrade", "a_ixgbe")
        assert code == 0, said
        ports = sorted(struct.unpack(">H", handle.read()[34:36])[0] for _ in FLOWS)
        assert ports == [port for port, _ in FLOWS]
        round_trip(handle, FLOWS, 3, first=100)
        stats = stack.stats("a")
        assert by_queue(stats, "rx_frames") == [7 * count // 3 for count in before]
        assert (stats["upgrades"], stats["restarts"]) == (1, 0)
        assert stats["pool_size"] - 32 <= there(stats) <= stats["pool_size"]


def test_a_driver_that_dies_is_followed(run):
    stack = Stack(run, a="loop")
    stack.pcid(driver=["--queues", str(QUEUES)])
    stack.wait_link("a")
    with stack.open("a") as handle:
        round_trip(handle, FLOWS, 2)
        os.kill(stack.drivers["a"], signal.SIGKILL)
        lab.wait_for(lambda: len(stack.pids("a")) == 2, "a driver that follows")
        stack.wait_link("a")
        round_trip(handle, FLOWS, 2)
        assert min(by_queue(stack.stats("a"), "rx_frames")) > 0


def test_a_client_owns_one_of_them(run):
    """It gets that queue's flows, everybody else the others'; when it has left the queue is the daemon's again."""
    stack = Stack(run, a="loop")
    stack.pcid(driver=["--queues", str(QUEUES)])
    stack.wait_link("a")
    theirs = [flow for flow in FLOWS if queue_of(*flow) == 2]
    others = [flow for flow in FLOWS if queue_of(*flow) != 2]
    offsets = buffers(1 << 20)
    with stack.open("a") as handle:
        round_trip(handle, FLOWS, 2)
        with Owner(run.schemes, "a_ixgbe", path="/queue/2") as owner:
            owner.feed(offsets[:32])
            lab.wait_for(lambda: owner.taken(RX) == 32, "buffers for the queue")
            for flow in theirs:
                handle.write(udp(*flow, 5))
            assert [data for _, data in owner.wait(len(theirs))] == [udp(*flow, 5) for flow in theirs]
            round_trip(handle, others, 3)                    # nothing of the owner's in between
            owner.send(offsets[40], udp(*theirs[0], 6))
            owner.send(offsets[41], udp(*others[0], 7))
            assert [data for _, data in owner.wait(1)] == [udp(*theirs[0], 6)]
            assert handle.read() == udp(*others[0], 7)
            owner.sent()
            stats = stack.stats("a")
            assert stats["queue_2_tx_frames"] == 2
            code, said = run.call("pcid", "--upgrade", "a_ixgbe")
            assert code == 0, said
            round_trip(handle, others, 3)
            handle.write(udp(*theirs[0], 8))
            assert [data for _, data in owner.wait(1)] == [udp(*theirs[0], 8)]
        lab.wait_for(lambda: b"owned 0" in stack.value("a", "/queue/2"), "the queue comes back")
        round_trip(handle, FLOWS, 3)
        stats = stack.stats("a")
        assert stats["pool_size"] - 32 <= there(stats) <= stats["pool_size"]


def test_what_does_not_fit(run):
    stack = Stack(run, a="loop")
    for options, words in (
            (["--queues", "17"], "--queues 17: expected 1 to 16"), (["--queues", "0"], "--queues 0: expected 1 to 16"),
            (["--queues", "16"], "too small for rings of 512 and 512: give --frames-mib 18, or fewer or smaller ones"),
            (["--queues", "16", "--rx-ring", "4096", "--tx-ring", "4096", "--frames-mib", "200"],
             "the memory for a successor is too small for rings of 4096 and 4096 on 16 queues")):
        code, text = run.call("ixgbed", "--device", stack.address("a"), *options)
        assert code in (1, 2) and words in text, text
    process = stack.ixgbed("a", "--queues", "16", "--frames-mib", "18")
    assert len(re.findall("^queue_[0-9]+_rx_frames ", stack.value("a", "/stats").decode(), re.M)) == 16
    assert process.stop() == 0
