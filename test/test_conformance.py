# SPDX-License-Identifier: BSD-3-Clause
"""What each driver does on each of its cards, in the same tests: the class is one (nic/nic.h), and a client cannot tell
them apart. Two cards of a model with a cable between them; their rings are small, so that each step goes round them. What a
driver or a card has of its own is in its own tests; a card is one line in CARDS (and in stack.py, where its driver is new)."""
import collections
import errno
import os
import re
import select
import signal

import pytest

import lab
from scheme_client import READ, WRITE
from stack import MAC, Stack, burst, exchange, frame
from test_spine import LOSSLESS, Rheinfall, opened
from test_survive import kill, next_driver, up

# Of its driver the largest MTU; of its link Mbit/s.
Card = collections.namedtuple("Card", "mtu mbit")
CARDS = {"x540": Card(9710, 10000), "82599": Card(9710, 10000), "82599-kx4": Card(9710, 10000), "x550": Card(9710, 10000),
         "82574l": Card(9194, 1000), "rtl8168": Card(2026, 1000), "rtl8168c": Card(2026, 1000)}
RING = ("--rx-ring", "64", "--tx-ring", "64")
# How a driver waits, and what it says of that.
WAYS = {("--irq", "--msix"): "MSI-X", ("--irq", "--msi"): "MSI", ("--irq", "--intx"): "INTx", ("--poll",): "none"}
WINDOW = 500


def on_cable(run, device, nicsim=()):
    stack = Stack(run, (device, device), nicsim, a="cable:it", b="cable:it")
    stack.card = CARDS[device]
    return stack


def start(stack, *driver):
    stack.pcid("--max-deaths", 0, driver=(*RING, *driver))
    stack.wait_link("a")
    stack.wait_link("b")


def stop(stack):
    """In order: no buffer is lost, neither card reached where it may not, nothing was forbidden or found fault with."""
    def there(counters):
        return sum(counters[key] for key in ("pool_free", "rx_held", "tx_held", "rx_waiting", "tx_waiting"))
    for card in "ab":
        # Each is free, in a ring, on its way, or among the 32 that wait to be filled.
        lab.wait_for(lambda: there(stack.stats(card)) >= stack.stats(card)["pool_size"] - 32, "buffers that came back")
        counters = stack.stats(card)
        assert there(counters) <= counters["pool_size"]
        assert counters["restarts"] == counters["tx_refused"] == counters["rx_missed"] == counters["bad_offsets"] == 0
        assert stack.counters(card)["refused"] == 0
    stack.owner.signal(signal.SIGTERM)
    assert stack.owner.wait() == 0, stack.owner.text
    assert len(stack.owner.lines) == 2, stack.owner.text
    assert "strict:" not in stack.nicsim.text


def values(stack):
    for card in "ab":
        assert stack.value(card, "/mac").hex(":") == MAC[card]
        assert stack.value(card, "/link") == b"up %d\n" % stack.card.mbit
        assert stack.value(card, "/mtu") == b"1500\n"
        assert stack.value(card, "/promisc") == b"0\n"
        assert stack.stats(card)["irq"] == "MSI-X"


def sizes_and_counters(stack):
    """Each size both ways, byte for byte; both cards count what went."""
    sizes = [*range(60, 1515)]
    for source, to in ("ab", "ba"):
        frames, size = exchange(stack, sizes, source, to)
    for card in "ab":
        counters = stack.stats(card)
        assert counters["tx_frames"] == counters["rx_frames"] == frames
        assert counters["tx_bytes"] == counters["rx_bytes"] == size + 4 * frames  # with the CRC
        assert counters["rx_missed"] == counters["bad_offsets"] == counters["bad_writebacks"] == 0


def unusual_sizes(stack):
    """Short ones are padded; with a VLAN tag a frame may be four bytes longer; what is longer still is refused."""
    with stack.open("b", "", READ) as receiver, stack.open("a", "", WRITE) as sender:
        for size in 14, 15, 59:
            sender.write(frame(size))
            assert receiver.read() == frame(size) + bytes(60 - size)
        for size in 64, 68, 1514, 1515, 1517, 1518:
            data = frame(size)
            data = data[:12] + bytes.fromhex("81006005") + data[16:]
            sender.write(data)
            assert receiver.read() == data
        before = sender.status("sent")
        for size in 13, 1519, stack.card.mtu + 19:
            sender.write(frame(1519 + size)[:size])
        lab.wait_for(lambda: sender.status("refused") == 3, "refusals")
        assert sender.status("error") in (-errno.EMSGSIZE, -errno.EINVAL) and sender.status("sent") == before
        sender.write(frame(60, fill=1))
        assert receiver.read() == frame(60, fill=1)


def bursts(stack):
    """Twenty times round the rings each way, in order."""
    for source, to in ("ab", "ba"):
        sent = [frame(60 + i % 1400, source, to, i) for i in range(1300)]
        with stack.open(to, "", READ) as receiver, stack.open(source, "", WRITE) as sender:
            assert burst(sender, receiver, sent) == sent


def fill(stack, sender):
    """Sends until all are held up, as nobody reads at the other end; returns how many."""
    def held_up():
        return stack.stats("b")["rx_waiting"] > 0 and stack.stats("a")["tx_waiting"] > 0
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
            sender.socket.settimeout(lab.PATIENCE)
            return sent


def backpressure(stack):
    """Nobody reads: socket, ring, card, cable, and the other card's ring fill; the other way goes on, the drivers sleep.
    Then all of it is there, in order."""
    with stack.open("b", "", READ) as idle, stack.open("a", "", WRITE) as sender:
        sent = fill(stack, sender)
        assert sent > 200
        with stack.open("a", "", READ) as other, stack.open("b", "", WRITE) as back:
            for i in range(20):
                back.write(frame(100, "b", "a", i))
                assert other.read() == frame(100, "b", "a", i)
        before = {card: stack.stats(card)["rounds"] for card in "ab"}
        assert not select.select([], [], [], 0.2)[0]
        assert all(stack.stats(card)["rounds"] - before[card] < 1000 for card in "ab"), "it spins"
        for i in range(sent):
            assert idle.read() == frame(1514, fill=i)


def link_goes_while_full(stack):
    """The cable is pulled while frames wait everywhere: what was under way may be lost, the rest comes in order."""
    with stack.open("b", "", READ) as idle, stack.open("a", "", WRITE) as sender:
        sent = fill(stack, sender)
        stack.ctl("b", "link", "down")
        for card in "ab":
            stack.wait_link(card, False)
        stack.ctl("b", "link", "up")
        stack.wait_link("b")
        up(sender)
        number = {frame(1514, fill=i): i for i in range(256)}  # a pattern comes again after so many
        at, last, told, data = -1, frame(61, fill=7), False, b""
        sender.socket.setblocking(False)
        while data != last:
            # Who sends may have to wait for who reads.
            readable, writable, _ = select.select([idle.socket], [] if told else [sender.socket], [], lab.PATIENCE)
            assert readable or writable, "the last frame comes"
            if writable:
                sender.write(last)
                told = True
            if readable and (data := idle.read()) != last:
                at += ((number[data] - at - 1) & 0xff) + 1
        assert at < sent


def without_link(stack):
    """What is written meanwhile is dropped, each frame counted, and comes never."""
    with stack.open("b", "", READ) as receiver, stack.open("a", "", WRITE) as sender:
        stack.ctl("a", "link", "down")
        lab.wait_for(lambda: sender.status("link_up") == 0, "the link going down")
        for i in range(200):
            sender.write(frame(500, fill=i))
        lab.wait_for(lambda: sender.status("no_link") == 200, "frames without a link")
        assert sender.status("error") == -errno.ENETDOWN and sender.status("sent") == 0
        stack.ctl("a", "link", "up")
        stack.wait_link("b")
        up(sender)
        sender.write(frame(333))
        assert receiver.read() == frame(333)


def link_flaps(stack):
    """The cable is pulled at one end: both links fall; plugged in, frames go."""
    for n, card in enumerate("abab"):
        stack.ctl(card, "link", "down")
        for end in "ab":
            stack.wait_link(end, False)
        stack.ctl(card, "link", "up")
        exchange(stack, [100 + n])


def filters(stack):
    """What is addressed to others comes where that is wanted; to all and to groups, always."""
    stranger, mine = frame(100, to="a"), frame(100, fill=1)
    everybody, group = (bytes.fromhex(to) + mine[6:] for to in ("ffffffffffff", "01005e010203"))
    with stack.open("b", "", READ) as receiver, stack.open("a", "", WRITE) as sender:
        for on in ("0", "1", "0\n", "1\n"):
            stack.set("b", "/promisc", on)
            assert stack.value("b", "/promisc") == f"{on[0]}\n".encode()
            for data in (stranger, everybody, group, stranger, mine):
                sender.write(data)
            for data in (everybody, group, mine) if on[0] == "0" else (stranger, everybody, group, stranger, mine):
                assert receiver.read() == data
        stack.set("b", "/promisc", "0")


def large_frames(stack):
    """Up to what the driver does; more is refused, and changes nothing."""
    mtu = stack.card.mtu
    for card in "ab":
        with pytest.raises(OSError) as refused:
            stack.set(card, "/mtu", str(mtu + 1))
        assert refused.value.errno == errno.EINVAL
        stack.set(card, "/mtu", str(mtu))
        assert stack.value(card, "/mtu") == b"%d\n" % mtu
    exchange(stack, [60, mtu + 14, 61])
    sizes = [mtu + 14, 60, 2048, 2049, 1514, 4096, 4097] if mtu > 4100 else [mtu + 14, 60]
    sent = [frame(sizes[i % len(sizes)], fill=i) for i in range(300)]
    with stack.open("b", "", READ) as receiver, stack.open("a", "", WRITE) as sender:
        assert burst(sender, receiver, sent) == sent
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


@pytest.mark.parametrize("device", CARDS)
def test_frames(run, device):
    stack = on_cable(run, device)
    start(stack)
    for step in (values, sizes_and_counters, unusual_sizes, bursts, backpressure, link_goes_while_full, without_link, link_flaps,
                 filters, large_frames, wild_writebacks):
        step(stack)
    stop(stack)


@pytest.mark.parametrize("device", CARDS)
def test_each_way_of_waiting(run, device):
    """One driver after another on the same cards. Frame after frame, each into a driver at another moment of its going to
    sleep; then many at once."""
    stack = on_cable(run, device)
    for way, irq in WAYS.items():
        start(stack, *way)
        frames, size = exchange(stack, [60, 61, 64, 1000, 1513, 1514] * 30)
        sent = [frame(60 + i % 1400, fill=i) for i in range(500)]
        with stack.open("b", "", READ) as receiver, stack.open("a", "", WRITE) as sender:
            assert burst(sender, receiver, sent) == sent
        frames, size = frames + len(sent), size + sum(map(len, sent))
        for card, direction in ("a", "tx"), ("b", "rx"):
            counters = stack.stats(card)
            assert counters["irq"] == irq
            assert (counters[f"{direction}_frames"], counters[f"{direction}_bytes"]) == (frames, size + 4 * frames)
            assert (counters["sleeps"] == 0, counters["interrupts"] == 0) == (irq == "none",) * 2
        stop(stack)


def upgrades(stack, frames):
    """Each driver is replaced: frames flow again, and counters go on."""
    for card in "abab":
        code, said = stack.run.call("pcid", "--upgrade", stack.name(card))
        assert code == 0 and re.search(r"upgraded: pid \d+", said), said
        lab.wait_for(lambda: stack.stats("a")["rx_frames"] > frames + 500, "frames after the upgrade")
        frames = stack.stats("a")["rx_frames"]
    lab.wait_for(lambda: len({*stack.pids("a"), *stack.pids("b")}) == 6, "six processes")
    for card in "ab":
        counters = stack.stats(card)
        assert (counters["upgrades"], counters["restarts"], counters["lost_in_restart"]) == (2, 0, 0)
        assert [counters[key] for key in ("unclaimed", "no_link", "refused", "rx_missed", "bad_writebacks", "bad_offsets")] == [0] * 6


def kills(stack):
    for card in "ba":
        kill(stack, card)
        lab.wait_for(lambda: all(stack.value(end, "/link").startswith(b"up") for end in "ab"), "links")
        frames = stack.stats("a")["rx_frames"]
        lab.wait_for(lambda: stack.stats("a")["rx_frames"] > frames + 500, "frames after the death")
        assert stack.stats(card)["restarts"] == 1


def removals(stack):
    """The card of one end, with frames under way; then it is back. Who has it open goes on."""
    with stack.open("a", "", WRITE) as sender, stack.open("b", "", READ) as receiver:
        for number in range(2):
            up(receiver)
            up(sender)
            for i in range(100):
                sender.write(frame(1000, fill=i))
            drivers = len(stack.pids("b"))
            stack.ctl("b", "remove")
            lab.wait_for(lambda: receiver.status("present") == 0, "the client hears of it")
            stack.ctl("b", "insert")
            next_driver(stack, "b", drivers)
            up(receiver)
            up(sender)
            sender.write(frame(333, fill=number))
            while (data := receiver.read()) != frame(333, fill=number):
                assert len(data) == 1000
    gone = rf"^pcid: network:{stack.name('b')}: {stack.daemon} pid \d+: .*the card is gone"
    assert len(re.findall(gone, stack.owner.text, re.M)) == 2


@pytest.mark.parametrize("device", CARDS)
def test_lives(run, device):
    """Replaced under load without a loss; killed under load; a card removed and back. Its wire has the link's rate."""
    stack = on_cable(run, device, nicsim=("--pace",))
    start(stack)
    urls = {card: f"network:{stack.name(card)}" for card in "ab"}

    def reflect():
        mirror = Rheinfall(run, "--url", urls["b"])
        opened(stack, "b")
        return mirror

    def generate(drain):
        generator = Rheinfall(run, "--url", urls["a"], "--generate", "--size", "imix", "--window", WINDOW, "--duration",
                              600, "--drain", drain, "--link-wait", 60)
        opened(stack, "a")
        return generator

    mirror = reflect()
    generator = generate(5000)
    upgrades(stack, 0)
    result = generator.end(signal.SIGINT)
    assert mirror.end(signal.SIGINT)["rx_frames"] == result["tx_frames"]
    assert {name: result[name] for name in LOSSLESS} == LOSSLESS, result
    assert result["rx_frames"] == result["tx_frames"] > 2000

    for card in "ab":
        lab.wait_for(lambda: stack.stats(card)["handles"] == 0, "they have left")
    mirror = reflect()
    generator = generate(3000)
    kills(stack)
    result = generator.end(signal.SIGINT)
    assert [result[name] for name in ("duplicated", "reordered", "corrupted", "foreign")] == [0] * 4, result
    assert result["rx_frames"] + result["lost"] + result["late"] == result["tx_frames"] > 1000
    mirror.end(signal.SIGINT)

    lab.wait_for(lambda: stack.stats("b")["handles"] == 0, "it has left, too")
    removals(stack)
    assert os.path.exists(f"/proc/{stack.owner.pid}")
    assert "strict:" not in stack.nicsim.text
