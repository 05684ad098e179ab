# SPDX-License-Identifier: BSD-3-Clause
"""A client owns a queue of the card: the card reads and writes the client's own memory, and nobody copies."""
import errno
import fcntl
import os
import random
import re
import signal
import struct

import pytest

import handover
import lab
import scheme_client
from owner_client import CHUNK, HEAD, RX, SEALED, SIZE, TX, Owner, ask, buffers, memory
from stack import Stack, frame
from test_spine import LOSSLESS, Rheinfall, opened, url
from test_survive import kill_pcid
from test_upgrade import upgrade


@pytest.fixture
def cable(run):
    stack = Stack(run, a="cable:owner", b="cable:owner")
    stack.pcid()
    stack.wait_link("a")
    stack.wait_link("b")
    return stack


def own(stack, card="a", **options):
    return Owner(stack.run.schemes, f"{card}_ixgbe", **options)


def queue(stack, card="a", number=0):
    """What the queue's path says, without rings."""
    lines = stack.value(card, f"/queue/{number}").decode().splitlines()
    return {name: int(text) for name, text in (line.split(" ") for line in lines)}


def outside(stack):
    """How often the cards reached for memory that was not theirs."""
    before = len(stack.nicsim.lines)
    stack.nicsim.signal(signal.SIGUSR1)

    def counted():
        found = re.findall(r"refused DMA (\d+)", "\n".join(stack.nicsim.lines[before:]))
        return found if len(found) == len(stack.cards) else None
    return sum(map(int, lab.wait_for(counted, "nicsim's counters")))


def test_there_and_back(run, cable):
    offsets = buffers(1 << 20)
    b = cable.open("b")
    with own(cable) as a:
        a.feed(offsets[:32])
        a.send(offsets[40], frame(60))
        assert b.read() == frame(60)
        a.sent()
        for i in range(40):
            b.write(frame(64 + 30 * i, "b", "a", fill=i))
        first = a.wait(32)
        assert first == [(offsets[i], frame(64 + 30 * i, "b", "a", fill=i)) for i in range(32)]
        a.feed(offsets[32:40])
        assert a.wait(8) == [(offsets[i], frame(64 + 30 * i, "b", "a", fill=i)) for i in range(32, 40)]
        counts(a, received=40, sent=1, refused=0)
        state = queue(cable)
        assert state["owned"] == 1 and state["memory_kib"] == 1024 and state["limit_kib"] == 65536
    given_back(cable)


def given_back(stack, card="a"):
    """The queue is the driver's again, and nobody holds the memory any more: driver, pcid, software card."""
    lab.wait_for(lambda: queue(stack, card)["owned"] == 0, "the queue comes back")
    for pid in (stack.pids(card)[-1], stack.owner.pid, stack.nicsim.pid):
        lab.wait_for(lambda: "memfd:owner" not in held(pid), f"the memory leaves {pid}")
    assert outside(stack) == 0


def held(pid):
    """Files that a process has mapped or open."""
    with open(f"/proc/{pid}/maps") as maps:
        names = [maps.read()]
    for number in os.listdir(f"/proc/{pid}/fd"):
        try:
            names.append(os.readlink(f"/proc/{pid}/fd/{number}"))
        except FileNotFoundError:
            pass  # closed meanwhile
    return " ".join(names)


def counts(handle, **fields):
    """Waits until its page says so: a driver counts what it has moved."""
    lab.wait_for(lambda: all(handle.status(name) == value for name, value in fields.items()), f"{fields}")


def refused(error, function, *args, **options):
    with pytest.raises(OSError) as caught:
        function(*args, **options)
    assert caught.value.errno == error, caught.value


def test_others_wait(run, cable):
    """Of the only queue the frames are its owner's. Who has the path open keeps it, and gets frames again later."""
    a, b = cable.open("a"), cable.open("b")
    offsets = buffers(1 << 20)
    with own(cable) as owner:
        owner.feed(offsets[:8])
        a.write(frame(70))
        counts(a, writes=1, error=-errno.EBUSY, refused=1, sent=0, link_up=1, owned=1)
        assert owner.status("owned") == 0
        b.write(frame(80, "b", "a"))
        assert owner.wait(1) == [(offsets[0], frame(80, "b", "a"))]
        assert a.status("received") == 0
    given_back(cable)
    lab.wait_for(lambda: a.status("owned") == 0, "others may write")
    a.write(frame(90))
    assert b.read() == frame(90)
    b.write(frame(100, "b", "a"))
    assert a.read() == frame(100, "b", "a")
    counts(a, received=1)
    assert cable.stats("a")["refused"] == 1


def test_one_at_a_time(run, cable):
    with own(cable):
        refused(errno.EBUSY, own, cable)
        refused(errno.ENOENT, own, cable, path="/queue/1")
    given_back(cable)
    for path in ("/queue", "/queue/", "/queue/00", "/queue/-1", "/queue/0x", "/queue/99999999999999999999"):
        refused(errno.ENOENT, own, cable, path=path)
        refused(errno.ENOENT, cable.open, "a", path)
    with cable.open("a", "/queue/0") as plain:  # without rings there is nothing to write to
        plain.write(b"1")
        counts(plain, writes=1, error=-errno.EACCES)
    with own(cable):
        pass
    given_back(cable)


@pytest.mark.parametrize("what", ["unsealed", "grows", "huge", "above a GiB", "read only", "sealed against writing",
                                  "a file", "odd"])
def test_memory_that_is_none(run, cable, what):
    if what == "unsealed":
        frames = memory(1 << 20, seals=0)
    elif what == "grows":
        frames = memory(1 << 20, seals=fcntl.F_SEAL_SHRINK)
    elif what == "huge":
        frames = memory(2 << 20, flags=os.MFD_HUGETLB)
    elif what == "above a GiB":
        frames = memory((1 << 30) + 4096)
    elif what == "read only":
        full = memory(1 << 20)
        frames = os.open(f"/proc/self/fd/{full}", os.O_RDONLY)
        os.close(full)
    elif what == "sealed against writing":
        frames = memory(1 << 20, seals=SEALED | fcntl.F_SEAL_WRITE)
    elif what == "a file":
        frames = os.open(run.dir / "file", os.O_RDWR | os.O_CREAT)
        os.ftruncate(frames, 1 << 20)
    else:
        frames = memory((1 << 20) + 1)
    refused(errno.EINVAL, own, cable, frames=frames)
    os.close(frames)
    assert queue(cable)["owned"] == 0
    with own(cable) as owner:  # the queue is free for another
        owner.feed(buffers(1 << 20)[:1])
    given_back(cable)


def test_as_much_as_is_allowed(run):
    stack = Stack(run, a="cable:limit", b="cable:limit")
    process = stack.pcid("--client-mib", 2)
    stack.wait_link("a")
    refused(errno.EDQUOT, own, stack, size=(2 << 20) + 4096)
    with own(stack, size=2 << 20):
        state = queue(stack)
        assert (state["memory_kib"], state["limit_kib"]) == (2048, 2048)
    given_back(stack)
    assert process.running()


def test_nobody_may_own_a_queue(run):
    stack = Stack(run, a="loop")
    stack.pcid("--client-mib", 0)
    refused(errno.EDQUOT, own, stack, size=4096)


@pytest.mark.parametrize("break_it", [
    lambda owner: owner.feed([CHUNK - SIZE + 1]),  # across a boundary, where the card has two pieces
    lambda owner: owner.feed([(4 << 20) - SIZE + 1]),
    lambda owner: owner.feed([HEAD - 1]),
    lambda owner: owner.feed([0xffffffff]),
    lambda owner: owner.provide(TX, [(4 << 20, 60, 0)]),
    lambda owner: owner.provide(TX, [((4 << 20) - 59, 60, 0)]),
    lambda owner: owner.publish(RX, 65),
    lambda owner: owner.publish(TX, 65),
    lambda owner: owner.publish(TX, -1)])
def test_who_breaks_the_rules_is_hung_up(run, cable, break_it):
    b = cable.open("b")
    with own(cable, size=4 << 20) as owner:
        owner.feed(buffers(1 << 20)[:8])
        break_it(owner)
        owner.hung_up()
    given_back(cable)
    a = cable.open("a")
    b.write(frame(60, "b", "a"))
    assert a.read() == frame(60, "b", "a")


def test_frames_that_are_none(run, cable):
    """They come back in their places, and count as refused; what is between them is sent."""
    b = cable.open("b")
    offsets = buffers(4 << 20)
    good = [frame(60 + i, fill=i) for i in range(4)]
    with own(cable, size=4 << 20) as owner:
        entries = []
        for i, wrong in enumerate([(offsets[10], 13, 0), (offsets[10], 1519, 0), (offsets[10], 60, 0x8000), (CHUNK - 30, 60, 0)]):
            entries += [wrong, owner.put(offsets[i], good[i])]
        owner.provide(TX, entries)
        assert [b.read() for _ in good] == good
        owner.sent()
        counts(owner, sent=4, refused=4, writes=8, error=-errno.EINVAL)
        owner.provide(TX, [(offsets[10], 13, 0)] * 64)  # nothing that the card ever gives back
        owner.sent()
        counts(owner, refused=68)
        owner.send(offsets[0], frame(100))
        assert b.read() == frame(100)
    given_back(cable)


def test_without_a_link(run):
    """What cannot be sent comes back, and counts."""
    stack = Stack(run, a="cable:loose")
    stack.pcid()
    offsets = buffers(1 << 20)
    with own(stack) as owner:
        owner.provide(TX, [owner.put(offsets[i], frame(60 + i)) for i in range(5)])
        owner.sent()
        counts(owner, no_link=5, sent=0, error=-errno.ENETDOWN, link_up=0)
    given_back(stack)


def test_one_way(run, cable):
    """An owner that only reads, and one that only writes."""
    from scheme_client import READ, WRITE
    offsets = buffers(1 << 20)
    with own(cable, access=READ) as a, own(cable, "b", access=WRITE) as b:
        a.feed(offsets[:4])
        b.feed(offsets[8:12])  # nobody takes them
        a.send(offsets[9], frame(70))
        b.send(offsets[0], frame(60, "b", "a"))
        assert a.wait(1) == [(offsets[0], frame(60, "b", "a"))]
        b.sent()
        assert (a.taken(TX), b.taken(RX)) == (0, 0)
    given_back(cable)
    given_back(cable, "b")


def test_the_same_memory_for_two_cards(run):
    """What one card has received the other sends: the same bytes, of which nobody makes a copy."""
    stack = Stack(run, a="cable:left", b="cable:left", c="cable:right", d="cable:right")
    stack.pcid()
    for card in "abcd":
        stack.wait_link(card)
    stack.set("d", "/promisc", "1")
    frames = memory(1 << 20)
    offsets = buffers(1 << 20)
    a, d = stack.open("a"), stack.open("d")
    with own(stack, "b", frames=frames) as left, own(stack, "c", frames=frames) as right:
        left.feed(offsets[:64])
        for i in range(200):
            a.write(frame(60 + i, "a", "b", fill=i))
            (offset, got), = left.wait(1)
            assert got == frame(60 + i, "a", "b", fill=i)
            right.provide(TX, [(offset, len(got), 0)])
            assert d.read() == got
            right.sent()
            left.feed([offset])
    os.close(frames)
    given_back(stack, "b")
    given_back(stack, "c")


@pytest.mark.parametrize("size", ["60", "1514", "imix"])
@pytest.mark.parametrize("ends", ["queue to queue", "queue to plain", "ring to queue"])
def test_streams(run, cable, size, ends):
    here, there = ends.split(" to ")

    def end(card, word):
        return ["--url", url(card) + ("/queue/0" if word == "queue" else ""), *([] if word == "plain" else ["--ring"])]
    mirror = Rheinfall(run, *end("b", there))
    opened(cable, "b")
    result = Rheinfall(run, *end("a", here), "--generate", "--size", size, "--count", 5000, "--window", 500, "--drain", 5000,
                       "--expect-lossless").end()
    assert {name: result[name] for name in LOSSLESS} == LOSSLESS
    assert result["rx_frames"] == result["tx_frames"] == 5000
    back = mirror.end(signal.SIGINT)
    assert back["rx_frames"] == back["tx_frames"] == 5000 and back["tx_dropped"] == 0
    for card in "ab":
        given_back(cable, card)
        stats = cable.stats(card)
        assert stats["rx_frames"] == stats["tx_frames"] == 5000
        assert stats["rx_missed"] == stats["bad_writebacks"] == stats["bad_offsets"] == stats["refused"] == 0


def test_a_bridge(run):
    """Two queues, one memory: a frame is written by one card and read by the other, and by nobody else."""
    stack = Stack(run, a="cable:left", b="cable:left", c="cable:right", d="cable:right")
    stack.pcid()
    for card in "abcd":
        stack.wait_link(card)
    mirror = Rheinfall(run, "--url", url("d"), "--ring")
    bridge = Rheinfall(run, "--bridge", url("b") + "/queue/0", url("c") + "/queue/0", "--ring")
    for card in "bcd":
        opened(stack, card)
    for card in "bc":
        lab.wait_for(lambda: queue(stack, card)["rx_held"] > 400, "the card has buffers")
    result = Rheinfall(run, "--url", url("a"), "--generate", "--size", "imix", "--count", 5000, "--window", 256,
                       "--drain", 5000, "--expect-lossless").end()
    assert {name: result[name] for name in LOSSLESS} == LOSSLESS and result["rx_frames"] == 5000
    assert mirror.end(signal.SIGINT)["rx_frames"] == 5000
    assert [lane["frames"] for lane in bridge.end(signal.SIGINT)["lanes"]] == [5000, 5000]
    given_back(stack, "b")
    given_back(stack, "c")


def test_upgrades_of_a_stream(run, cable):
    mirror = Rheinfall(run, "--url", url("b") + "/queue/0", "--ring")
    opened(cable, "b")
    generator = Rheinfall(run, "--url", url("a") + "/queue/0", "--ring", "--generate", "--size", "imix", "--window", 300,
                          "--duration", 60, "--drain", 5000)
    opened(cable, "a")
    frames = 0
    for card in "ab", "ba":
        for one in card:
            lab.wait_for(lambda: cable.stats("a")["rx_frames"] > frames + 2000, "frames")
            upgrade(run, one)
            frames = cable.stats("a")["rx_frames"]
    lab.wait_for(lambda: cable.stats("a")["rx_frames"] > frames + 2000, "frames after the last upgrade")
    result = generator.end(signal.SIGINT)
    assert {name: result[name] for name in LOSSLESS} == LOSSLESS, result
    assert mirror.end(signal.SIGINT)["rx_frames"] == result["tx_frames"] == result["rx_frames"]
    for card in "ab":
        assert cable.stats(card)["upgrades"] == 2
        given_back(cable, card)


def test_what_rheinfall_says(run, cable):
    code, said = run.call("rheinfall", "--url", url("a") + "/queue/0")
    assert code == 1 and "a queue is owned by its rings; use it with --ring" in said
    code, said = run.call("rheinfall", "--url", url("a") + "/queue/7", "--ring")
    assert code == 1 and "no such scheme or path" in said
    with own(cable):
        code, said = run.call("rheinfall", "--url", url("a") + "/queue/0", "--ring")
        assert code == 1 and "somebody owns its queue: see the path /queue/0" in said
        code, said = run.call("rheinfall", "--url", url("a"), "--generate", "--count", 10)
        assert code == 1 and "somebody owns its queue" in said
    given_back(cable)


# --- who dies ---

def client(stack, seed):
    """A process that owns a's queue and keeps it busy until it is killed; returns its pid."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid != 0:
        os.close(writer)
        assert os.read(reader, 1) == b"1", "it has the queue"
        os.close(reader)
        return pid
    try:
        offsets = buffers(1 << 20)
        dice = random.Random(seed)
        owner = own(stack, rx=64, tx=64)
        os.write(writer, b"1")
        owner.feed(offsets[:64])
        while True:
            back = owner.got()
            if back:
                owner.feed([offset for offset, _ in back])
            for _ in range(dice.randrange(8)):
                if owner.room(TX):
                    owner.send(offsets[64 + dice.randrange(200)], frame(60 + dice.randrange(1400)))
    finally:
        os._exit(1)


def drain(handle):
    """Reads what is there."""
    handle.socket.setblocking(False)
    try:
        while handle.read():
            pass
    except BlockingIOError:
        handle.socket.settimeout(lab.PATIENCE)


def test_a_client_that_is_killed(run, cable):
    """At any moment: the queue stops, the memory leaves the card, then it is freed; others go on."""
    b = cable.open("b")
    a = cable.open("a")
    dice = random.Random(1)
    for seed in range(12):
        pid = client(cable, seed)
        for _ in range(dice.randrange(40)):
            b.write(frame(60 + dice.randrange(1400), "b", "a"))
        if seed % 3:
            b.read()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        given_back(cable)
        drain(b)
    assert len(cable.pids("a")) == 1, "the driver lives"
    lab.wait_for(lambda: a.status("owned") == 0, "others may write")
    a.write(frame(70))
    lab.wait_for(lambda: b.read() == frame(70), "a frame of the others")


def test_clients_that_leave_before_they_are_answered(run, cable):
    frames, rings = memory(1 << 20), memory(8192, "owner-rings")
    for _ in range(30):
        with scheme_client.connect(run.schemes, "a_ixgbe", lab.PATIENCE) as connection:
            ask(connection, "/queue/0", 3, 64, 64, [frames, rings])
    os.close(frames)
    os.close(rings)
    given_back(cable)
    with own(cable):
        pass
    given_back(cable)


def test_clients_and_drivers_that_die_at_any_time(run):
    """Whoever dies first: in the end the queue is the driver's, and the memory nobody's."""
    stack = Stack(run, a="cable:both", b="cable:both")
    stack.pcid("--max-deaths", 0)
    stack.wait_link("a")
    b = stack.open("b")
    dice = random.Random(3)

    def wait():
        for _ in range(dice.randrange(60)):
            b.write(frame(60 + dice.randrange(1400), "b", "a"))
        drain(b)
    for seed in range(10):
        lives = len(stack.pids("a"))
        pid = client(stack, seed)
        wait()
        victims = [pid, stack.pids("a")[-1]]
        dice.shuffle(victims)
        os.kill(victims[0], signal.SIGKILL)
        wait()
        os.kill(victims[1], signal.SIGKILL)
        os.waitpid(pid, 0)
        lab.wait_for(lambda: len(stack.pids("a")) > lives, "another driver")
        given_back(stack)
    stack.wait_link("a")
    stack.wait_link("b")
    a = stack.open("a")
    b.write(frame(77, "b", "a"))
    assert a.read() == frame(77, "b", "a")


def test_a_driver_that_dies(run, cable):
    """The card is silent before anybody gets its memory; the next driver has the same client, rings and buffers."""
    b = cable.open("b")
    offsets = buffers(1 << 20)
    with own(cable, size=1 << 20) as owner:
        owner.feed(offsets[:16])
        b.write(frame(60, "b", "a"))
        assert owner.wait(1) == [(offsets[0], frame(60, "b", "a"))]
        for life in range(3):
            os.kill(cable.pids("a")[-1], signal.SIGKILL)
            lab.wait_for(lambda: len(cable.pids("a")) == life + 2, "another driver")
            lab.wait_for(lambda: queue(cable)["rx_held"] == 15 - life, "it has the buffers")
            lab.wait_for(lambda: owner.status("link_up") == 1, "link")
            cable.wait_link("b")
            b.write(frame(100 + life, "b", "a"))
            assert owner.wait(1) == [(offsets[1 + life], frame(100 + life, "b", "a"))]
            owner.send(offsets[20], frame(200 + life))
            assert b.read() == frame(200 + life)
            owner.sent()
    given_back(cable)


def test_what_was_to_be_sent_is_lost_with_its_driver(run, cable):
    """What it had taken comes back, and counts."""
    offsets = buffers(1 << 20)
    with own(cable) as owner:
        os.kill(cable.drivers["a"], signal.SIGSTOP)
        owner.provide(TX, [owner.put(offsets[i], frame(60 + i)) for i in range(5)])
        os.kill(cable.drivers["a"], signal.SIGKILL)
        owner.sent()
        lab.wait_for(lambda: owner.status("sent") + owner.status("no_link") + owner.status("lost") == 5, "a verdict of each")
    given_back(cable)


def test_a_client_that_dies_without_a_driver(run, cable):
    with own(cable) as owner:
        owner.feed(buffers(1 << 20)[:16])
        os.kill(cable.drivers["a"], signal.SIGKILL)
    lab.wait_for(lambda: len(cable.pids("a")) == 2, "another driver")
    given_back(cable)


def test_a_card_that_goes_and_comes_back(run):
    """Its server ends: the memory is mapped again for the one that follows."""
    stack = Stack(run, a="loop")
    stack.pcid()
    stack.wait_link("a")
    offsets = buffers(1 << 20)
    with own(stack) as owner:
        owner.feed(offsets[:8])
        stack.nicsim.stop()
        lab.wait_for(lambda: owner.status("link_up") == 0, "the card is gone")
        stack.nicsim = run.start("nicsim", "--verbose", "--strict", "--device", "x540", "--socket", "a.sock", "--wire",
                                 "loop", "--mac", "02:00:00:00:0a:01")
        lab.wait_for(lambda: owner.status("link_up") == 1, "the card is back")
        owner.send(offsets[20], frame(300, "a", "a"))
        assert owner.wait(1) == [(offsets[0], frame(300, "a", "a"))]
    given_back(stack)


def test_pcid_dies(run, cable):
    """Its owner keeps the queue; when it leaves the driver takes the memory from the card by itself, and ends."""
    b = cable.open("b")
    offsets = buffers(1 << 20)
    driver = cable.drivers["a"]
    with own(cable) as owner:
        owner.send(offsets[20], frame(62))
        assert b.read() == frame(62)  # both are served; whose opening is under way is not kept
        kill_pcid(cable.owner)
        owner.feed(offsets[:4])
        owner.send(offsets[20], frame(60))
        assert b.read() == frame(60)
        b.write(frame(61, "b", "a"))
        assert owner.wait(1) == [(offsets[0], frame(61, "b", "a"))]
    b.close()
    lab.wait_for(lambda: not os.path.exists(f"/proc/{driver}"), "the driver ends")
    assert "memfd:owner" not in held(cable.nicsim.pid)
    assert outside(cable) == 0


# --- one driver after another ---

def test_upgrades_lose_nothing(run, cable):
    """Frames flow both ways while drivers replace each other on both sides."""
    offsets = buffers(2 << 20)
    sent = {"a": 0, "b": 0}
    got = {"a": 0, "b": 0}
    with own(cable, "a", rx=256, tx=256, size=2 << 20) as a, own(cable, "b", rx=256, tx=256, size=2 << 20) as b:
        ends = {"a": a, "b": b}
        free = {card: list(offsets[300:500]) for card in ends}
        flying = {card: [] for card in ends}
        for owner in ends.values():
            owner.feed(offsets[:256])

        def step(more=True):
            for card, owner in ends.items():
                other = "b" if card == "a" else "a"
                back = owner.got()
                for offset, data in back:
                    assert data == frame(60 + got[card] % 1000, other, card, fill=got[card] & 0xff), got
                    got[card] += 1
                if back:
                    owner.feed([offset for offset, _ in back])
                while len(flying[card]) > owner.provided[TX] - owner.returned(TX):
                    free[card].append(flying[card].pop(0))
                burst = []
                while more and free[card] and len(burst) < 16 and sent[card] - got[other] < 200:
                    burst.append(owner.put(free[card][0], frame(60 + sent[card] % 1000, card, other,
                                                                fill=sent[card] & 0xff)))
                    flying[card].append(free[card].pop(0))
                    sent[card] += 1
                if burst:
                    owner.provide(TX, burst)
            return True

        def flow(count):
            target = {card: got[card] + count for card in got}
            lab.wait_for(lambda: step() and all(got[c] >= target[c] for c in got), "frames both ways")
        flow(500)
        for _ in range(2):
            for card in "a", "b":
                child = run.start("pcid", "--upgrade", f"{card}_ixgbe")
                lab.wait_for(lambda: step() and not child.running(), "the upgrade")
                assert child.wait() == 0, child.text
                flow(500)
        lab.wait_for(lambda: step(False) and sent["a"] == got["b"] and sent["b"] == got["a"], "the last frames")
        for owner in ends.values():
            assert (owner.status("lost"), owner.status("refused"), owner.status("no_link")) == (0, 0, 0)
    for card in "a", "b":
        assert cable.stats(card)["upgrades"] == 2 and cable.stats(card)["rx_missed"] == 0
        given_back(cable, card)


def test_an_upgrade_keeps_what_was_refused_in_its_place(run, cable):
    b = cable.open("b")
    offsets = buffers(1 << 20)
    with own(cable) as owner:
        owner.feed(offsets[:20])
        upgrade(run, "a")
        assert queue(cable)["owned"] == 1 and queue(cable)["rx_held"] == 20
        owner.provide(TX, [(offsets[30], 5, 0), owner.put(offsets[31], frame(60))])
        assert b.read() == frame(60)
        owner.sent()
        b.write(frame(61, "b", "a"))
        assert owner.wait(1) == [(offsets[0], frame(61, "b", "a"))]
        refused(errno.EBUSY, own, cable)
    given_back(cable)
    with own(cable):
        pass
    given_back(cable)


def test_a_client_that_leaves_during_an_upgrade(run, cable):
    for _ in range(5):
        owner = own(cable)
        owner.feed(buffers(1 << 20)[:20])
        child = run.start("pcid", "--upgrade", "a_ixgbe")
        owner.close()
        assert child.wait() == 0, child.text
        given_back(cable)


def test_a_fresh_start_instead_of_an_upgrade(run, cable):
    """The new driver cannot go on with the rings that there are: the client's memory is still the card's."""
    other = run.dir / "other"
    other.write_text(f"#!/bin/sh\nexec {lab.program('ixgbed')} --rx-ring 256 \"$@\"\n")
    other.chmod(0o755)
    b = cable.open("b")
    offsets = buffers(1 << 20)
    with own(cable) as owner:
        owner.feed(offsets[:10])
        said = upgrade(run, "a", "--program", other, ok=False)
        assert "the new driver serves, but after a reset" in said
        lab.wait_for(lambda: queue(cable)["rx_held"] == 10, "it has the buffers")
        cable.wait_link("a")
        cable.wait_link("b")
        b.write(frame(61, "b", "a"))
        assert owner.wait(1) == [(offsets[0], frame(61, "b", "a"))]
    given_back(cable)


def test_by_itself(run):
    """ixgbed without pcid maps the memory alone."""
    stack = Stack(run, a="loop")
    process = stack.ixgbed("a", "--name", "a_ixgbe", "--client-mib", 1)
    stack.owner, stack.drivers = process, {"a": process.pid}
    stack.pids = lambda card: [process.pid]
    stack.wait_link("a")
    offsets = buffers(1 << 20)
    refused(errno.EDQUOT, own, stack, size=(1 << 20) + 4096)
    for _ in range(3):
        with own(stack) as owner:
            owner.feed(offsets[:4])
            owner.send(offsets[20], frame(300, "a", "a"))
            assert owner.wait(1) == [(offsets[0], frame(300, "a", "a"))]
        given_back(stack)


@pytest.mark.parametrize("how", ["another message", "size", "taken", "in order"])
def test_what_pcid_says_of_memory_is_checked(run, how):
    """Behind a START that adopts. What nobody comes for is given back."""
    Stack(run, a="loop")
    card = handover.Card(run.dir / "a.sock")
    pcid = handover.Pcid(run)
    frames = handover.memory(8192)
    size, address, words = {"size": (4096, 0x40000000, "its size is another one"),
                            "taken": (8192, handover.ADDRESSES[1], "its addresses are taken")
                            }.get(how, (8192, 0x40000000, "clients' memory"))
    if how == "in order":
        card.client.dma_map(address, size, frames)  # before the connection is the driver's
    pcid.send(card.start(adopt=1, memories=1), card.fds())
    if how == "another message":
        pcid.send(struct.pack("<II", handover.KEPT, 0))
    else:
        pcid.send(struct.pack("<IIII", handover.MEMORY, 1, 77, 0) + handover.region(size, address), [frames.fd])
    kind, text = pcid.receive()
    assert kind == handover.FAILED
    if how == "in order":  # but nobody has left a card that runs
        assert pcid.receive() == (handover.READY, "")
        pcid.send(struct.pack("<II", handover.KEPT, 0))
        assert struct.unpack("<III4x", pcid.socket.recv(64).ljust(16, b"\0")) == (handover.UNMAP, 0, 77)
        assert pcid.driver.stop() == 0
    else:
        assert words in text, text
        assert pcid.driver.wait() == 1
    frames.close()
    card.close()
