# SPDX-License-Identifier: BSD-3-Clause
"""What each driver does on each of its cards, in the same tests: the class is one (nic/nic.h), and a client cannot tell
them apart. Two cards of a model with a cable between them; their rings are small, so that each step goes round them. What a
driver or a card has of its own is in its own tests."""
import errno
import os
import re
import signal

import pytest

import lab
from scheme_client import READ, WRITE
from stack import Stack, frame
from test_ixgbed import burst, exchange
from test_spine import LOSSLESS, Rheinfall, opened
from test_survive import kill, next_driver, up

# A card: the largest MTU of its driver, and whether nicsim's card can be told to write garbage back.
CARDS = {"x540": (9710, True), "82599": (9710, True), "x550": (9710, True), "82574l": (1500, True)}
RING = ("--rx-ring", "64", "--tx-ring", "64")


@pytest.fixture(params=CARDS)
def cable(run, request):
    stack = Stack(run, (request.param, request.param), a="cable:it", b="cable:it")
    stack.mtu, stack.wild = CARDS[request.param]
    stack.pcid("--max-deaths", 0, driver=RING)
    stack.wait_link("a")
    stack.wait_link("b")
    return stack


def sizes_and_counters(stack):
    """Each size both ways, byte for byte; both cards count what went."""
    sizes = [*range(60, 1515, 7), 1514]
    for source, to in ("ab", "ba"):
        frames, size = exchange(stack, sizes, source, to)
    for card in "ab":
        counters = stack.stats(card)
        assert counters["tx_frames"] == counters["rx_frames"] == frames
        assert counters["tx_bytes"] == counters["rx_bytes"] == size + 4 * frames  # with the CRC
        assert counters["rx_missed"] == counters["bad_offsets"] == counters["bad_writebacks"] == 0


def bursts(stack):
    """Twenty times round the rings, in order."""
    sent = [frame(60 + i % 1400, fill=i) for i in range(1300)]
    with stack.open("b", "", READ) as receiver, stack.open("a", "", WRITE) as sender:
        assert burst(sender, receiver, sent) == sent


def backpressure(stack):
    """Nobody reads: socket, ring, card, cable, and the other card's ring fill; then all of it is there, in order."""
    def held_up():
        return stack.stats("b")["rx_waiting"] > 0 and stack.stats("a")["tx_waiting"] > 0
    with stack.open("b", "", READ) as idle, stack.open("a", "", WRITE) as sender:
        sender.socket.setblocking(False)
        sent = 0
        while True:
            try:
                sender.write(frame(1514, fill=sent))
                sent += 1
                continue
            except BlockingIOError:
                pass
            if held_up():
                break
        for i in range(sent):
            assert idle.read() == frame(1514, fill=i)
    for card in "ab":
        assert stack.stats(card)["rx_missed"] == 0


def filters(stack):
    """What is addressed to others comes where that is wanted."""
    stranger, mine = frame(100, to="a"), frame(100, fill=1)
    with stack.open("b", "", READ) as receiver, stack.open("a", "", WRITE) as sender:
        for on, seen in ("0", [mine]), ("1", [stranger, mine]), ("0", [mine]):
            stack.set("b", "/promisc", on)
            for data in (stranger, mine):
                sender.write(data)
            for data in seen:
                assert receiver.read() == data


def link_flaps(stack):
    """The cable is pulled at one end: both links fall; plugged in, frames go."""
    for n, card in enumerate("abab"):
        stack.ctl(card, "link", "down")
        for end in "ab":
            stack.wait_link(end, False)
        stack.ctl(card, "link", "up")
        exchange(stack, [100 + n])


def large_frames(stack):
    """Up to what the driver does; more is refused, and changes nothing."""
    for card in "ab":
        with pytest.raises(OSError) as refused:
            stack.set(card, "/mtu", str(stack.mtu + 1))
        assert refused.value.errno == errno.EINVAL
        stack.set(card, "/mtu", str(stack.mtu))
        assert stack.value(card, "/mtu") == b"%d\n" % stack.mtu
    exchange(stack, [60, stack.mtu + 14, 61])
    for card in "ab":
        stack.set(card, "/mtu", "1500")
    exchange(stack, [1514])


def wild_writebacks(stack):
    """A length that cannot be, garbage: counted, that frame is lost and no other."""
    for spec in ("rx-length=65535,1", "rx-garbage=1"):
        before = stack.stats("b")["bad_writebacks"]
        stack.ctl("b", "fault", spec)
        with stack.open("a", "", WRITE) as sender:
            sender.write(frame(100))
            lab.wait_for(lambda: stack.stats("b")["bad_writebacks"] > before, f"{spec} is counted")
        stack.ctl("b", "fault", "none")
        exchange(stack, [200])


def test_frames(cable):
    sizes_and_counters(cable)
    bursts(cable)
    backpressure(cable)
    filters(cable)
    link_flaps(cable)
    large_frames(cable)
    if cable.wild:
        wild_writebacks(cable)
    # In order at the end: no buffer is lost, neither card reached where it may not, the drivers end as they should.
    for card in "ab":
        counters = cable.stats(card)
        assert counters["restarts"] == 0 and counters["tx_refused"] == counters["bad_offsets"] == 0
        assert cable.counters(card)["refused"] == 0
    cable.owner.signal(signal.SIGTERM)
    assert cable.owner.wait() == 0, cable.owner.text


def test_lives(run, cable):
    """Replaced under load without a loss; killed; its card removed and back: whoever has it open goes on."""
    urls = {card: f"network:{cable.name(card)}" for card in "ab"}
    mirror = Rheinfall(run, "--url", urls["b"])
    opened(cable, "b")
    generator = Rheinfall(run, "--url", urls["a"], "--generate", "--size", "imix", "--window", 500, "--duration", 600,
                          "--drain", 5000)
    opened(cable, "a")
    frames = 0
    for card in "ab":
        code, said = run.call("pcid", "--upgrade", cable.name(card))
        assert code == 0 and re.search(r"upgraded: pid \d+", said), said
        lab.wait_for(lambda: cable.stats("a")["rx_frames"] > frames + 500, "frames after the upgrade")
        frames = cable.stats("a")["rx_frames"]
    result = generator.end(signal.SIGINT)
    assert {name: result[name] for name in LOSSLESS} == LOSSLESS, result
    assert result["rx_frames"] == result["tx_frames"] > 1000
    mirror.end(signal.SIGINT)

    with cable.open("a", "", WRITE) as sender, cable.open("b", "", READ) as receiver:
        for number in range(2):
            for i in range(100):
                sender.write(frame(1000, fill=i))
            if number == 0:
                kill(cable, "b")
            else:
                drivers = len(cable.pids("b"))
                cable.ctl("b", "remove")
                cable.owner.expect(rf"^pcid: {urls['b']}: {cable.daemon} pid \d+: .*the card is gone")
                lab.wait_for(lambda: receiver.status("present") == 0, "the client hears of it")
                cable.ctl("b", "insert")
                next_driver(cable, "b", drivers)
            up(receiver)
            up(sender)
            sender.write(frame(333, fill=number))
            while (data := receiver.read()) != frame(333, fill=number):
                assert len(data) == 1000
    assert cable.stats("b")["restarts"] == 2
    assert os.path.exists(f"/proc/{cable.owner.pid}")
