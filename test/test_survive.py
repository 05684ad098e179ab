# SPDX-License-Identifier: BSD-3-Clause
"""A driver that dies, by whatever and whenever: pcid quiesces its card, starts another, and who has the card open
notices nothing but frames that were on their way. (bench/run survive does it a thousand times.)"""
import errno
import os
import pathlib
import random
import select
import signal
import threading
import time

import pytest

import lab
import scheme_client
from scheme_client import READ, WRITE
from stack import MAC, Stack, frame


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] not in "ZX"
    except OSError:
        return False


def next_driver(stack, card, before):
    """Waits for a driver after `before` of them; returns its pid."""
    return lab.wait_for(lambda: stack.pids(card)[before:], f"another driver of {card}")[0]


def kill(stack, card, number=signal.SIGKILL):
    """Ends the driver of a card and waits for the next; returns its pid."""
    drivers = stack.pids(card)
    os.kill(drivers[-1], number)
    return next_driver(stack, card, len(drivers))


def kill_pcid(pcid):
    """Its output stays open: the driver has it, too."""
    pcid.signal(signal.SIGKILL)
    lab.wait_for(lambda: not pcid.running(), "the end of pcid")


def up(handle):
    lab.wait_for(lambda: handle.status("link_up") == 1 and handle.status("present") == 1, "the link at the client")


def echo(handle, size=300, fill=1):
    """A frame there and back over a loop."""
    up(handle)
    handle.write(frame(size, "a", "a", fill))
    assert handle.read() == frame(size, "a", "a", fill)


def end_drivers(run, devices, ends):
    """A card that is out of order for good: its driver says so and ends, the next one resets it. All at once, a card for
    each fault, with the frames that it takes to show and what is said."""
    cards = dict(zip("abcd", ends))
    stack = Stack(run, devices, **{card: "loop" for card in cards})
    pcid = stack.pcid("--max-deaths", 0)
    handles = {card: stack.open(card) for card in cards}
    for card, fault in cards.items():
        up(handles[card])
        handles[card].write(frame(300, card, card, 1))
        assert handles[card].read() == frame(300, card, card, 1)
        stack.ctl(card, "fault", fault)
        for n in range(ends[fault][0]):
            handles[card].write(frame(300, card, card, 2 + n))
    for card, fault in cards.items():
        pcid.expect(rf"^pcid: network:{stack.name(card)}: {stack.daemon} pid \d+: .*{ends[fault][1]}")
        next_driver(stack, card, 1)
        up(handles[card])
        last = frame(300, card, card, 4)
        handles[card].write(last)
        while handles[card].read() != last:  # the ones before may have come
            pass
        assert stack.stats(card)["restarts"] == 1
        handles[card].close()


def hung_up(handle):
    while handle.read():
        pass
    with pytest.raises(BrokenPipeError):
        handle.write(frame(60))


@pytest.fixture
def loop(run):
    stack = Stack(run, a="loop")
    stack.pcid("--max-deaths", 0)
    stack.wait_link("a")
    return stack


def test_twenty_kills(loop):
    """Frames of one client, each numbered: none comes twice, changed, or out of order; counters only grow."""
    random.seed(1)
    seen, errors, stop = [], [], threading.Event()
    with loop.open("a") as handle:
        def write():
            number = 0
            handle.socket.settimeout(lab.PATIENCE)
            while not stop.is_set():
                if handle.status("link_up"):
                    number += 1
                    try:
                        handle.write(frame(64, "a", "a") + number.to_bytes(4, "big") + frame(200, fill=number & 255))
                    except OSError as error:
                        errors.append(error)
                        return
                else:
                    time.sleep(0.001)

        writer = threading.Thread(target=write)
        writer.start()
        counts = []
        try:
            for _ in range(20):
                drivers = loop.pids("a")
                end = time.monotonic() + random.uniform(0.0, 0.1)
                killed = False
                while not killed or len(loop.pids("a")) == len(drivers):
                    if time.monotonic() >= end and not killed:
                        os.kill(drivers[-1], signal.SIGKILL)
                        killed = True
                    if select.select([handle.socket], [], [], 0.005)[0]:
                        data = handle.read()
                        assert data[:64] == frame(64, "a", "a")
                        seen.append(int.from_bytes(data[64:68], "big"))
                        assert data[68:] == frame(200, fill=seen[-1] & 255)
                    assert time.monotonic() < end + lab.PATIENCE, loop.owner.text
                counts.append((handle.status("sent"), handle.status("received"), handle.status("writes")))
        finally:
            stop.set()
            # The writer may wait for a reader.
            while writer.is_alive():
                if select.select([handle.socket], [], [], 0.01)[0]:
                    handle.read()
            writer.join()
        assert errors == []
        assert seen == sorted(set(seen)) and len(seen) > 20
        assert all(x <= y for a, b in zip(counts, counts[1:]) for x, y in zip(a, b))
        lab.wait_for(lambda: handle.status("present") == 1, "a driver")
    stats = loop.stats("a")
    assert stats["restarts"] == 20
    assert stats["lost_in_restart"] <= 20 * (stats["rx_ring"] + stats["tx_ring"] + 128)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGSYS,
                                    signal.SIGTERM])
def test_any_signal(loop, number):
    with loop.open("a") as handle:
        echo(handle)
        kill(loop, "a", number)
        echo(handle)
    assert loop.stats("a")["restarts"] == (0 if number == signal.SIGTERM else 1)  # one that ended in order did not die


def test_a_stopped_driver_is_replaced(run):
    stack = Stack(run, a="loop")
    pcid = stack.pcid("--watchdog", 1)
    with stack.open("a") as handle:
        echo(handle)
        kill(stack, "a", signal.SIGSTOP)
        echo(handle)
    assert f"ixgbed pid {stack.drivers['a']} does not answer for 1 s: killed" in pcid.text


def test_an_idle_driver_is_not_taken_for_a_hung_one(run):
    stack = Stack(run, a="loop")
    pcid = stack.pcid("--watchdog", 1)
    with stack.open("a") as handle:
        up(handle)
        assert not select.select([handle.socket], [], [], 3.5)[0]  # longer than a ping and the patience
        assert alive(stack.drivers["a"]) and len(pcid.lines) == 1


def test_what_clients_wait_for_and_what_they_set(loop):
    """A blocked read and a blocked poll go on; what lies in a socket stays; settings and values, too."""
    loop.set("a", "/mtu", "1000")
    with loop.open("a") as handle, loop.open("a", "/mtu", READ) as value, loop.open("a", "/tap", READ) as tap:
        up(handle)
        handle.write(frame(77, "a", "a"))
        lab.wait_for(lambda: handle.status("received") == 1, "a frame in the socket")
        lab.wait_for(lambda: tap.status("received") == 2, "copies of it")
        assert value.read() == b"1000\n"
        got = []
        reader = threading.Thread(target=lambda: got.extend([handle.read(), handle.read()]))
        reader.start()
        kill(loop, "a")
        up(handle)
        assert handle.status("mtu") == 1000 and loop.value("a", "/mtu") == b"1000\n"
        assert handle.status("received") == 1 and handle.status("sent") == 1
        handle.write(frame(88, "a", "a"))
        reader.join(lab.PATIENCE)
        assert got == [frame(77, "a", "a"), frame(88, "a", "a")]
        assert value.read() == b""  # it was read to its end
        assert [len(tap.read()) for _ in range(4)] == [77, 77, 88, 88]


def test_requests_that_wait_while_a_driver_dies(run):
    """One answer each, whenever the driver died."""
    stack = Stack(run, a="loop")
    pcid = stack.pcid("--max-deaths", 0, "--watchdog", 0)
    waiting = []
    for turn in range(5):
        drivers = stack.pids("a")
        os.kill(drivers[-1], signal.SIGSTOP)
        for path in ("/mtu", "/none"):
            connection = scheme_client.connect(run.schemes, "a_ixgbe")
            connection.send(scheme_client.request(path, READ))
            waiting.append((connection, path))
        if turn % 2:  # it gets at some of them, perhaps
            os.kill(drivers[-1], signal.SIGCONT)
        os.kill(drivers[-1], signal.SIGKILL)
        next_driver(stack, "a", len(drivers))
    for connection, path in waiting:
        error = 0 if path == "/mtu" else -errno.ENOENT
        assert scheme_client.REPLY.unpack(connection.recv(64)) == (scheme_client.MAGIC, error)
        if error == 0:
            assert connection.recv(64) == b"1500\n"
        assert connection.recv(64) == b""
        connection.close()


def test_without_a_driver(run):
    """The page says so while there is none, and who comes then waits."""
    stack = Stack(run, a="loop", b="loop")
    pcid = stack.pcid()
    with stack.open("a") as handle, stack.open("b") as other:
        up(handle)
        up(other)
        stack.nicsim.signal(signal.SIGSTOP)  # nobody can bring the card up
        os.kill(stack.drivers["a"], signal.SIGKILL)
        lab.wait_for(lambda: handle.status("present") == 0, "the page")
        assert handle.status("link_up") == 0
        assert other.status("present") == 1
        late = scheme_client.connect(run.schemes, "a_ixgbe")
        late.send(scheme_client.request("/mtu", READ))
        assert not select.select([late, handle.socket], [], [], 0.3)[0]
        stack.nicsim.signal(signal.SIGCONT)
        next_driver(stack, "a", 1)
        assert scheme_client.REPLY.unpack(late.recv(64)) == (scheme_client.MAGIC, 0)
        late.close()
        echo(handle)


def test_giving_up(run):
    stack = Stack(run, a="loop", b="loop")
    pcid = stack.pcid("--max-deaths", "2/60")
    with stack.open("a") as handle, stack.open("b") as other:
        kill(stack, "a")
        kill(stack, "a")
        echo(handle)
        os.kill(stack.pids("a")[-1], signal.SIGKILL)
        pcid.expect(r"^pcid: network:a_ixgbe: GIVEN UP: 3 drivers died within 60 s")
        hung_up(handle)
        with pytest.raises(OSError) as gone:
            stack.open("a")
        assert gone.value.errno == errno.ENOENT
        up(other)  # the others go on; the card is free
        other.write(frame(60, "b", "b"))
        assert other.read() == frame(60, "b", "b")
        for _ in range(3):
            drivers = stack.pids("b")
            os.kill(drivers[-1], signal.SIGKILL)
            lab.wait_for(lambda: len(stack.pids("b")) > len(drivers) or "no driver is left" in pcid.text, "an end")
        hung_up(other)
    assert pcid.wait() == 1
    assert pcid.lines[-1] == "pcid: no driver is left"


def test_a_card_that_dies_and_returns(run):
    """Link down, then up, at the clients, and no death of a driver is counted against it."""
    stack = Stack(run, a="loop")
    pcid = stack.pcid("--max-deaths", "1/60")
    with stack.open("a") as handle:
        for turn in range(3):
            echo(handle, fill=turn)
            drivers = stack.pids("a")
            stack.nicsim.kill()
            lab.wait_for(lambda: handle.status("link_up") == 0 and handle.status("present") == 0, "the link goes down")
            stack.nicsim = run.start("nicsim", "--device", "x540", "--socket", "a.sock", "--wire", "loop", "--mac",
                                     MAC["a"])
            next_driver(stack, "a", len(drivers))
            up(handle)
        echo(handle)
        assert "the card is gone: unplugged, or its server ended" in pcid.text
    assert pcid.stop() == 0


def test_clients_that_die_while_drivers_do(loop):
    """And one that never reads: the others have what is theirs, and nothing is left behind in pcid."""
    random.seed(2)
    with loop.open("a", access=WRITE) as steady, loop.open("a") as deaf:
        up(deaf)
        others = []
        for turn in range(60):
            if turn % 10 == 9:
                kill(loop, "a")
            if turn == 10:
                before = len(os.listdir(f"/proc/{loop.owner.pid}/fd")) - 3 * len(others)
            if len(others) > 3:
                others.pop(random.randrange(len(others))).close()
            others.append(loop.open("a", random.choice(["", "/tap", "/stats"]), READ))
            up(steady)
            steady.write(frame(60 + turn, "a", "a"))
        for handle in others:
            handle.close()
        lab.wait_for(lambda: len(os.listdir(f"/proc/{loop.owner.pid}/fd")) <= before, "descriptors of pcid")
        up(steady)
        assert steady.status("refused") == 0 and steady.status("error") in (0, -errno.ENETDOWN)
    assert loop.stats("a")["restarts"] == 6


def test_pcid_dies(run):
    """The driver goes on for who is there, and ends with the last: no one else can come."""
    stack = Stack(run, a="loop")
    pcid = stack.pcid()
    with stack.open("a") as handle:
        echo(handle)
        kill_pcid(pcid)
        for fill in range(3):
            echo(handle, fill=fill)
        with pytest.raises(OSError) as gone:
            stack.open("a")
        assert gone.value.errno == errno.ECONNREFUSED
        assert alive(stack.drivers["a"])
    lab.wait_for(lambda: not alive(stack.drivers["a"]), "the driver's end")
    stack.pcid().stop()


def test_a_driver_without_pcid_ends_by_a_signal(run):
    stack = Stack(run, a="loop")
    pcid = stack.pcid()
    with stack.open("a") as handle:
        echo(handle)
        kill_pcid(pcid)
        code, said = run.call("pcid", "--config", run.dir / "pcid.toml", "--driver-path", lab.BUILD / "daemon",
                              "--vfio-user", run.dir / "a.sock")
        assert code == 1 and f"(pid {stack.drivers['a']} drives it for network:a_ixgbe; if its pcid was killed" in said
        echo(handle)
        os.kill(stack.drivers["a"], signal.SIGTERM)
        hung_up(handle)
    lab.wait_for(lambda: not alive(stack.drivers["a"]), "the driver's end")
    pcid = stack.pcid()
    assert pcid.stop() == 0
    assert list((run.schemes / "network").iterdir()) == [], "nothing is left"


@pytest.mark.parametrize("arguments, words", [
    (("--max-deaths", "x"), "--max-deaths x; expected N/T"),
    (("--max-deaths", "101/3"), "--max-deaths 101/3; expected N/T, 1 to 100"),
    (("--max-deaths", "3/0"), "--max-deaths 3/0; expected N/T"),
    (("--max-deaths", "3/3/3"), "--max-deaths 3/3/3; expected"),
    (("--watchdog", "-1"), "--watchdog -1; expected 0 to 9999 seconds"),
    (("--watchdog", ""), "--watchdog ; expected 0 to 9999"),
])
def test_wrong_options(run, arguments, words):
    code, said = run.call("pcid", *arguments)
    assert code == 2 and words in said
