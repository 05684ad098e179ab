# SPDX-License-Identifier: BSD-3-Clause
"""Large frames through the whole stack: sockets, shared rings, owned queues; each of several buffers, and whole or not
at all, whatever happens to the driver meanwhile."""
import errno
import os
import random
import signal

import pytest

import lab
from owner_client import TX, Owner, buffers
from ring_client import Ring
from stack import MAC, Stack
from test_rings import lossless
from test_spine import Rheinfall, opened, url
from test_survive import up
from test_upgrade import upgrade

MORE = 1  # a flag of an entry
LARGEST = 9724  # without a VLAN tag, at an MTU of 9,710
# Around each number of buffers.
SIZES = (60, LARGEST, 61, 2047, 2048, 2049, 4096, 4097, 6144, 6145, 8192, 8193, 9723, 1514, 1515, 100)
SIZE = ",".join(map(str, SIZES))


def large(size, number=0, source="a", to="b", kind="88b5"):
    """A frame of which no two parts are alike, and no two frames."""
    head = bytes.fromhex(MAC[to].replace(":", "") + MAC[source].replace(":", "") + kind)
    return head + number.to_bytes(4, "big") + random.Random(number << 16 | size).randbytes(size - 18)


def number_of(data):
    """Its number, if it is whole and unchanged."""
    number = int.from_bytes(data[14:18], "big")
    assert data == large(len(data), number, "a", "a")
    return number


@pytest.fixture
def cable(run):
    stack = Stack(run, a="cable:jumbo", b="cable:jumbo")
    stack.pcid("--max-deaths", 0, driver=("--mtu", "9710"))
    stack.wait_link("a")
    stack.wait_link("b")
    return stack


@pytest.fixture
def loop(run):
    stack = Stack(run, a="loop")
    stack.pcid("--max-deaths", 0)
    stack.set("a", "/mtu", "9710")
    stack.wait_link("a")
    return stack


@pytest.mark.parametrize("ends", ["plain to plain", "ring to plain", "plain to ring", "queue to queue"])
def test_there_and_back(run, cable, ends):
    ways = {"plain": ("",), "ring": ("", "--ring"), "queue": ("/queue/0", "--ring")}
    here, there = (ways[word] for word in ends.split(" to "))
    mirror = Rheinfall(run, "--url", url("b") + there[0], *there[1:])
    opened(cable, "b")
    result = Rheinfall(run, "--url", url("a") + here[0], "--generate", "--size", SIZE, "--count", 1600, "--window", 64,
                       "--drain", 5000, "--expect-lossless", *here[1:]).end()
    assert lossless(result) and result["rx_frames"] == result["tx_frames"] == 1600
    assert result["rx_bytes"] == result["tx_bytes"] == 100 * sum(SIZES)
    back = mirror.end(signal.SIGINT)
    assert back["rx_bytes"] == back["tx_bytes"] == 100 * sum(SIZES) and back["tx_dropped"] == 0
    for card in "ab":
        stats = cable.stats(card)
        assert stats["rx_frames"] == stats["tx_frames"] == 1600
        assert stats["rx_bytes"] == stats["tx_bytes"] == 100 * sum(size + 4 for size in SIZES)
        assert stats["rx_missed"] == stats["bad_writebacks"] == stats["refused"] == stats["rx_chained"] == 0


def test_little_memory(run):
    """As little as such rings can do with: large frames find smaller bursts."""
    stack = Stack(run, a="loop")
    stack.ixgbed("a", "--name", "a_ixgbe", "--mtu", "9710", "--rx-ring", "64", "--tx-ring", "64", "--frames-mib", "1")
    stack.wait_link("a")
    result = Rheinfall(run, "--url", url("a"), "--generate", "--size", SIZE, "--count", 1000, "--window", 8, "--drain", 5000,
                       "--expect-lossless").end()
    assert lossless(result) and result["rx_frames"] == 1000
    stats = stack.stats("a")
    assert stats["pool_size"] == 496 and stats["rx_frames"] == 1000


def test_each_byte(run, loop):
    """Of all sizes, by a socket and by rings, and as a tap has them; reads that are too short cut them."""
    sizes = [*SIZES, *(random.Random(1).randrange(60, LARGEST + 1) for _ in range(84))]
    with loop.open("a") as plain, loop.open("a", "/tap", 1) as tap:
        for number, size in enumerate(sizes):
            data = large(size, number, "a", "a")
            plain.write(data)
            assert plain.read() == data
            assert (tap.read(), tap.read()) == (data, data)
        plain.write(large(LARGEST, 7, "a", "a"))
        assert plain.read(5000) == large(LARGEST, 7, "a", "a")[:5000]
        tagged = large(LARGEST + 4, 8, "a", "a", "8100")
        plain.write(tagged)
        assert plain.read() == tagged
        plain.write(large(LARGEST + 1, 9))
        lab.wait_for(lambda: plain.status("refused") == 1, "it is refused")
        assert plain.status("error") == -errno.EMSGSIZE
    lab.wait_for(lambda: loop.stats("a")["handles"] == 0, "they are closed")
    with Ring(run.schemes, "a_ixgbe") as ring:
        for _ in range(ring.size):
            ring.provide()
        for number, size in enumerate(sizes):
            ring.send(large(size, number, "a", "a"))
            data = lab.wait_for(ring.receive, f"frame {number}")
            assert (len(data), number_of(data)) == (size, number)
            for _ in range(0, size, 2048):
                ring.provide()
        lab.wait_for(lambda: ring.status("sent") == ring.status("received") == 100, "all are counted")
        assert ring.status("refused") == 0


def test_the_mtu_changes_while_clients_have_it_open(run, cable):
    a, b = cable.open("a"), cable.open("b")
    refused = 0
    for mtu in 1500, 9000, 68, 2030, 2031, 9710:
        for card in "ab":
            cable.set(card, "/mtu", str(mtu))
            assert cable.value(card, "/mtu") == b"%d\n" % mtu
        assert a.status("mtu") == b.status("mtu") == mtu
        a.write(large(mtu + 15, 1))
        refused += 1
        lab.wait_for(lambda: a.status("refused") == refused, "it is refused")
        a.write(large(mtu + 14, 2))
        a.write(large(mtu + 18, 3, kind="8100"))
        assert b.read() == large(mtu + 14, 2)
        assert b.read() == large(mtu + 18, 3, kind="8100")
    with pytest.raises(OSError) as error:
        cable.set("a", "/mtu", "9711")
    assert error.value.errno == errno.EINVAL
    # What the other end takes for too long is that end's to drop and to count.
    cable.set("b", "/mtu", "9000")
    a.write(large(9600, 4))
    a.write(large(9014, 5))
    assert b.read() == large(9014, 5)
    stats = cable.stats("b")
    assert (stats["rx_length_errors"], stats["rx_chained"], stats["bad_writebacks"]) == (1, 0, 0)


def test_the_mtu_changes_under_traffic(run, cable):
    mirror = Rheinfall(run, "--url", url("b"))
    opened(cable, "b")
    generator = Rheinfall(run, "--url", url("a"), "--generate", "--size", "imix", "--window", 200, "--duration", 60,
                          "--drain", 5000)
    opened(cable, "a")
    frames = 0
    for mtu in 1500, 9710, 1500, 9000, 2031, 2030, 1500, 9710:
        for card in "ab":
            cable.set(card, "/mtu", str(mtu))
        lab.wait_for(lambda: cable.stats("a")["rx_frames"] > frames + 500, "frames at that MTU")
        frames = cable.stats("a")["rx_frames"]
    result = generator.end(signal.SIGINT)
    assert lossless(result) and result["rx_frames"] == result["tx_frames"]
    assert mirror.end(signal.SIGINT)["rx_frames"] == result["tx_frames"]


@pytest.mark.parametrize("path", ["", "/queue/0"])
def test_upgrades_under_traffic(run, cable, path):
    mirror = Rheinfall(run, "--url", url("b"), "--ring")
    opened(cable, "b")
    generator = Rheinfall(run, "--url", url("a") + path, "--generate", "--size", SIZE, "--window", 100, "--duration", 60,
                          "--drain", 5000, *(["--ring"] if path else []))
    opened(cable, "a")
    frames = 0
    for card in "a", "b", "a", "b":
        upgrade(run, card)
        lab.wait_for(lambda: cable.stats("a")["rx_frames"] > frames + 500, "frames after the upgrade")
        frames = cable.stats("a")["rx_frames"]
    for card in "ab":
        stats = cable.stats(card)
        assert (stats["upgrades"], stats["restarts"], stats["lost_in_restart"]) == (2, 0, 0)
        assert (stats["bad_writebacks"], stats["bad_offsets"], stats["rx_chained"]) == (0, 0, 0)
        assert cable.value(card, "/mtu") == b"9710\n"
    result = generator.end(signal.SIGINT)
    assert lossless(result) and result["rx_frames"] == result["tx_frames"] > 2000
    assert mirror.end(signal.SIGINT)["rx_frames"] == result["tx_frames"]


def test_kills_under_traffic(run, loop):
    """Nothing comes twice, in part, or changed; and no buffer is missing at the end."""
    chance = random.Random(3)
    with Ring(run.schemes, "a_ixgbe") as ring:
        number, seen = 0, []
        for _ in range(ring.size):
            ring.provide()

        def receive():
            while (data := ring.receive()) is not None:
                seen.append(number_of(data))
                for _ in range(0, len(data), 2048):
                    ring.provide()
        for _ in range(4):
            drivers, target = len(loop.pids("a")), len(seen) + chance.randrange(20, 200)

            def flows():
                nonlocal number
                while ring.room() >= 5 and ring.status("link_up"):
                    number += 1
                    ring.send(large(chance.randrange(60, LARGEST + 1), number, "a", "a"))
                receive()
                return len(seen) >= target
            lab.wait_for(flows, "frames there and back")
            os.kill(loop.pids("a")[-1], signal.SIGKILL)
            lab.wait_for(lambda: flows() is not None and len(loop.pids("a")) > drivers, "another driver")
        lab.wait_for(lambda: ring.room() == ring.size, "every buffer comes back")
        loop.wait_link("a")
        up(ring)
        assert ring.status("mtu") == 9710
        ring.send(large(LARGEST, number + 1, "a", "a"))

        def last():
            receive()
            return seen[-1] == number + 1
        lab.wait_for(last, "the last frame")
        assert seen == sorted(set(seen))
        assert ring.status("refused") == 0
    stats = loop.stats("a")
    assert stats["restarts"] == 4 and stats["bad_writebacks"] == 0


def test_half_a_frame(run, loop):
    """It waits for its other half, and goes with who leaves; a frame without end is the end."""
    with Ring(run.schemes, "a_ixgbe") as ring, loop.open("a", access=2) as other:
        up(ring)
        up(other)
        for _ in range(ring.size):
            ring.provide()
        data = large(3000, 1, "a", "a")
        ring.put(data[:2000], more=True)
        ring.publish()
        other.write(large(70, 2, "a", "a"))
        assert lab.wait_for(ring.receive, "another's frame") == large(70, 2, "a", "a")
        assert ring.status("sent") == 0
        ring.put(data[2000:])
        ring.publish()
        assert lab.wait_for(ring.receive, "both halves") == data
        ring.put(data[:2000], more=True)
        ring.publish()
    lab.wait_for(lambda: loop.stats("a")["handles"] == 0, "it is cleared away")
    with Ring(run.schemes, "a_ixgbe") as ring:
        for _ in range(40):
            ring.put(bytes(100), more=True)
        ring.publish()
        lab.wait_for(ring.hung_up, "the driver hangs up")
    assert loop.stats("a")["tx_frames"] == 2


def test_a_queue_of_ones_own(run, cable):
    """Entries as the client likes them; those that are none come back in their places."""
    b = cable.open("b")
    with Owner(run.schemes, "a_ixgbe", size=4 << 20, tx=256) as a:
        offsets = buffers(4 << 20)
        a.feed(offsets[:32])

        def send(data, lengths, flags=0):
            entries, at, place = [], 0, iter(offsets[100:])
            for length in lengths:
                offset, _, _ = a.put(next(place), data[at:at + length])
                at += length
                entries.append((offset, length, MORE if at < len(data) else 0))
            first = entries[0]
            a.provide(TX, [(first[0], first[1], first[2] | flags), *entries[1:]])
        for lengths in (1000, 2000, 1000), (14, 1, 1985), (243,) * 40, (2048, 2048, 2048, 2048, 1532):
            data = large(sum(lengths), sum(lengths))
            send(data, lengths)
            assert b.read() == data
        good = large(60, 5)
        send(large(3000, 1), (2000, 1000), flags=0x8000)
        send(large(9729, 2), (2000,) * 4 + (1729,))
        send(good, (60,))
        assert b.read() == good
        a.sent()
        lab.wait_for(lambda: a.status("writes") == 7, "what became of them")
        assert (a.status("sent"), a.status("refused")) == (5, 2)
        got = b""
        b.write(large(LARGEST, 6, "b", "a"))
        while len(got) < LARGEST:
            for offset, data in a.wait(1):
                got += data
        assert got == large(LARGEST, 6, "b", "a")
        lab.wait_for(lambda: a.status("received") == 1, "it is counted")
        a.provide(TX, [(offsets[100], 100, MORE)] * 40)
        a.hung_up()
    lab.wait_for(lambda: b"owned 0" in cable.value("a", "/queue/0"), "it is the driver's again")


def test_limits(run):
    for program, limit in ("ixgbed", 9710), ("e1000d", 9710):
        code, said = run.call(program, "--device", "x", "--mtu", limit + 1)
        assert (code, said) == (2, f"{program}: --mtu {limit + 1}: expected 68 to {limit}; see {program} --help")
        assert f"68 to {limit} (1500)" in run.call(program, "--help")[1]
