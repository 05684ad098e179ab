# SPDX-License-Identifier: BSD-3-Clause
"""ixgbed from outside: frames and values through its scheme, on nicsim's cards."""
import errno
import os
import select
import socket
import struct

import pytest

import handover
import lab
import scheme_client
from scheme_client import READ, WRITE
from stack import MAC, Stack, burst, exchange, frame


def test_blocking_tx_has_one_frame_under_way(run):
    """With --blocking-tx a card that stands still holds one frame, without it all of them; none is lost or overtaken."""
    stack = Stack(run, a="loop", b="loop")
    stack.ixgbed("a", "--blocking-tx")
    stack.ixgbed("b")
    for card, held, waiting in (("a", 1, 4), ("b", 5, 0)):
        stack.wait_link(card)
        with stack.open(card) as handle:
            frames = [frame(60 + 20 * i, card, card, i) for i in range(60)]
            stack.ctl(card, "fault", "tx-stall")
            for data in frames[:5]:
                handle.write(data)
            lab.wait_for(lambda: [stack.stats(card)[key] for key in ("tx_held", "tx_waiting")] == [held, waiting],
                         f"of five frames {held} are the card's")
            stack.ctl(card, "fault", "none")
            for data in frames[:5]:
                assert handle.read() == data
            assert burst(handle, handle, frames) == frames
        counters = stack.stats(card)
        assert counters["tx_frames"] == counters["rx_frames"] == 65 and counters["tx_refused"] == 0
    assert all("--blocking-tx" in run.call(program, "--help")[1] for program in ("ixgbed", "e1000d"))


def test_no_wake_up_is_lost_between_sparse_frames(run):
    """Frame after frame, each into a sleeping driver at another moment of its going to sleep."""
    stack = Stack(run, a="cable:x", b="cable:x")
    stack.pcid(driver=("--irq",))
    exchange(stack, [60] * 500)
    exchange(stack, [60] * 500, "b", "a")


def test_values(run):
    stack = Stack(run, a="cable:x", b="cable:x")
    stack.pcid()
    stack.wait_link("a")
    assert stack.value("a", "/mac").hex(":") == MAC["a"]
    assert stack.value("a", "/link") == b"up 10000\n"
    assert stack.value("a", "/mtu") == b"1500\n"
    assert stack.value("a", "/promisc") == b"0\n"
    with pytest.raises(OSError) as refused:
        stack.open("a", "/nothing")
    assert refused.value.errno == errno.ENOENT
    with pytest.raises(OSError) as refused:
        stack.open("a", "/mac", WRITE)
    assert refused.value.errno == errno.EACCES


def test_mtu_holds_both_ways(run):
    stack = Stack(run, a="cable:x", b="cable:x")
    stack.pcid(driver=("--mtu", "1000"))
    assert stack.value("a", "/mtu") == b"1000\n"
    exchange(stack, [1014])
    with stack.open("a") as sender:
        sender.write(frame(1015))
        lab.wait_for(lambda: sender.status("refused") == 1, "the refusal")
        assert sender.status("error") == -errno.EMSGSIZE
    assert stack.stats("a")["tx_frames"] == 1
    # The sender's grows, the receiver's does not: what is too long for it does not come.
    stack.set("a", "/mtu", "1500\n")
    assert stack.value("a", "/mtu") == b"1500\n"
    with stack.open("b") as receiver, stack.open("a") as sender:
        assert sender.status("mtu") == 1500
        sender.write(frame(1514))
        sender.write(frame(1014, fill=3))
        assert receiver.read() == frame(1014, fill=3)
    for wrong in ("67", "9711", "many", "-1"):
        with pytest.raises(OSError) as refused:
            stack.set("a", "/mtu", wrong)
        assert refused.value.errno == errno.EINVAL
    assert stack.value("a", "/mtu") == b"1500\n"


def test_promiscuous_by_option(run):
    stack = Stack(run, a="cable:x", b="cable:x")
    stack.pcid(driver=("--promisc",))
    assert stack.value("b", "/promisc") == b"1\n"
    stack.wait_link("b")
    stack.wait_link("a")
    with stack.open("b") as receiver, stack.open("a") as sender:
        sender.write(frame(100, to="a"))
        assert receiver.read() == frame(100, to="a")


def test_the_link_follows_the_other_end(run):
    stack = Stack(run, a="cable:x")
    far = run.start("nicsim", "--device", "x540", "--socket", "b.sock", "--wire", "cable:x", "--mac", MAC["b"])
    far.expect(r"on b\.sock")
    stack.pcid()
    stack.wait_link("a")
    with stack.open("a") as handle:
        assert (handle.status("link_up"), handle.status("link_mbit")) == (1, 10000)
        far.stop()
        lab.wait_for(lambda: handle.status("link_up") == 0, "the link going down")
        handle.write(frame(60))
        lab.wait_for(lambda: handle.status("no_link") == 1, "a frame without a link")
        assert handle.status("error") == -errno.ENETDOWN
        assert stack.value("a", "/link") == b"down 0\n"
        far = run.start(
            "nicsim", "--device", "x540", "--socket", "b.sock", "--wire", "cable:x", "--mac", MAC["b"])
        far.expect(r"on b\.sock")
        lab.wait_for(lambda: handle.status("link_up") == 1, "the link coming back")
    stack.ixgbed("b")
    stack.wait_link("b")
    with stack.open("b") as receiver, stack.open("a") as sender:
        sender.write(frame(60))
        assert receiver.read() == frame(60)


def test_link_without_interrupts(run):
    stack = Stack(run, a="cable:x")
    stack.pcid(driver=("--poll",))
    with stack.open("a") as handle:
        assert handle.status("link_up") == 0
        far = run.start("nicsim", "--device", "x540", "--socket", "b.sock", "--wire", "cable:x")
        far.expect(r"on b\.sock")
        lab.wait_for(lambda: handle.status("link_up") == 1, "the link coming up")


def test_unclaimed_frames_cost_nothing_and_are_counted(run):
    stack = Stack(run, a="gen:60", b="sink")
    stack.pcid()
    lab.wait_for(lambda: stack.stats("a")["unclaimed"] > 2000, "unclaimed frames")
    with stack.open("a", "", READ) as handle:
        assert len(handle.read()) == 60


def test_sigterm_ends_clients_and_says_nothing(run):
    stack = Stack(run, a="loop")
    ixgbed = stack.ixgbed("a")
    stack.wait_link("a")
    with stack.open("a") as handle:
        for i in range(50):
            handle.write(frame(60, "a", "a", i))
        assert ixgbed.stop() == 0
        # Frames that were on the way may come; then it ends, without a hang.
        while handle.read():
            pass
    assert len(ixgbed.lines) == 1, "nothing but that it was ready"
    stack.nicsim.expect("the client left")
    assert not (run.schemes / "network" / "a_ixgbe").exists()


# What must be off when a driver has left (82599 datasheet 8.2.3: register, bit).
CTRL_EXT, RXCTRL, DMATXCTL, EIMS = 0x18, 0x3000, 0x4A80, 0x880
RXDCTL, TXDCTL, QUEUE_ENABLE = 0x1028, 0x6028, 1 << 25
COMMAND, BUS_MASTER = 4, 1 << 2


def assert_quiet(client):
    assert client.config(COMMAND, 2) & BUS_MASTER == 0
    assert client.reg(RXCTRL) & 1 == 0
    assert client.reg(DMATXCTL) & 1 == 0
    assert client.reg(RXDCTL) & QUEUE_ENABLE == 0
    assert client.reg(TXDCTL) & QUEUE_ENABLE == 0
    assert client.reg(EIMS) == 0


@pytest.mark.parametrize("end", ["signal", "channel"])
def test_the_card_is_quiet_when_the_driver_leaves(run, end):
    """The test is pcid here: its duplicate of the connection sees the card as the driver left it."""
    Stack(run, a="loop")
    card = handover.Card(run.dir / "a.sock")
    pcid = handover.Pcid(run)
    pcid.send(card.start(), card.fds())
    assert pcid.receive() == (handover.READY, "")
    assert card.client.socket.fileno() >= 0
    if end == "signal":
        assert pcid.driver.stop() == 0
        assert pcid.receive() == (0, "")
    else:
        pcid.close()
        assert (pcid.driver.wait(), pcid.driver.text) == (0, "")  # nobody has it open
    assert_quiet(card.client)
    card.close()


def test_a_driver_needs_no_environment(run):
    """What pcid hands over is all: the scheme's name comes by the channel, not by argument."""
    Stack(run, a="loop")
    card = handover.Card(run.dir / "a.sock")
    pcid = handover.Pcid(run)
    pcid.send(card.start(name="quite_another"), card.fds())
    assert pcid.receive() == (handover.READY, "")
    assert list((run.schemes).iterdir()) == [], "the driver makes no socket"
    # A client as pcid hands it over.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(lab.PATIENCE)
    page = handover.memory(4096)
    head = struct.pack("<II", handover.CLIENT, 3)
    who = struct.pack("<IiIII", 5, os.getpid(), os.getuid(), os.getgid(), 0)
    pcid.send(head + scheme_client.request("/mtu", READ) + who, [theirs.fileno(), page.fd, page.fd])
    assert struct.unpack("<IIIi", pcid.socket.recv(64)) == (handover.OPENED, 0, 5, 0)
    assert not select.select([ours], [], [], 0.2)[0]  # it is pcid that answers
    pcid.send(struct.pack("<III", handover.ANSWERED, 0, 5))
    assert ours.recv(64) == b"1500\n"
    pcid.send(struct.pack("<II", handover.PING, 0))
    assert pcid.receive() == (handover.PONG, "")
    ours.close()
    theirs.close()
    page.close()
    assert pcid.driver.stop() == 0
    card.close()


def broken_starts(card):
    good = [handover.region(piece.size, address) for address, piece in zip(handover.ADDRESSES, card.memory)]
    rings, frames = good
    path, fds = card.path, card.fds()
    pipe = fds[1]
    return {
        "cut": (card.start()[:-1], fds, "not understood"),
        "nothing": (b"", [], "pcid is gone"),
        "another message": (struct.pack("<II", handover.READY, 0), [], "does not begin with a card"),
        "a descriptor is missing": (card.start(), fds[:-1], "not understood"),
        "no connection": (card.start(), [pipe, *fds[1:]], "no vfio-user connection"),
        "no function": (handover.start(path, good, kind=9), fds, "no PCI function"),
        "size": (handover.start(path, [handover.region(4096, 0x10000000), frames]), fds, "its size is another one"),
        "chunks": (handover.start(path, [handover.region(512 << 10, 0x10000000, 2), frames]), fds,
                   "its size is another one"),
        "the same address twice": (handover.start(path, [rings, handover.region(8 << 20, 0x10000000)]), fds,
                                   "its addresses are taken"),
        "not sealed": (card.start(), [fds[0], card.loose.fd, *fds[2:]], "not sealed"),
        "state": (card.start(), [*fds[:3], fds[1]], "memory for the driver's state cannot be used"),
    }


@pytest.mark.parametrize("how", ["cut", "nothing", "another message", "a descriptor is missing", "no connection",
                                 "no function", "size", "chunks", "the same address twice", "not sealed", "state"])
def test_what_pcid_says_is_checked(run, how):
    Stack(run, a="loop")
    card = handover.Card(run.dir / "a.sock")
    card.loose = handover.memory(512 << 10, 0)
    pcid = handover.Pcid(run)
    message, fds, words = broken_starts(card)[how]
    if message:
        pcid.send(message, fds)
        kind, text = pcid.receive()
        assert kind == handover.FAILED and words in text, text
    else:
        pcid.socket.shutdown(socket.SHUT_WR)
    assert pcid.driver.wait() == 1
    if not message:
        assert words in pcid.receive()[1]
    card.loose.close()
    card.close()


def test_small_memory_from_pcid(run):
    Stack(run, a="loop")
    card = handover.Card(run.dir / "a.sock", sizes=(4096, 8 << 20))
    pcid = handover.Pcid(run)
    pcid.send(card.start(), card.fds())
    kind, text = pcid.receive()
    assert kind == handover.FAILED and "ring memory" in text
    assert pcid.driver.wait() == 1
    assert_quiet(card.client)
    card.close()


@pytest.mark.parametrize("arguments, words", [
    ((), "0 arguments; expected NAME BAR IRQ"), (("a", "b"), "2 arguments"), (("a", "0", "1", "2"), "4 arguments"),
    (("", "0", "1"), "NAME is empty"), (("a", "0xg", "1"), "BAR is 0xg"), (("a", "-1", "1"), "BAR is -1"),
    (("a", "11112222333344445", "1"), "BAR is"), (("a", "f000", ""), "IRQ is "), (("a", "", "0x9"), "IRQ is 0x9"),
    (("--device", "x"), "--device: pcid hands over the card"), (("--anyone",), "--anyone: pcid hands over")])
def test_wrong_command_in_a_configuration(run, arguments, words):
    # "--" keeps what looks like an option an argument, but not where an option is the point.
    fix = () if arguments and arguments[0].startswith("--") else ("--",)
    pcid = handover.Pcid(run, *fix, arguments=arguments)
    assert pcid.driver.wait() == 2
    assert words in pcid.driver.text and len(pcid.driver.lines) == 1


def test_what_was_written_is_sent_before_the_end(run):
    """SIGTERM right behind a burst: what the driver has taken goes out on the wire."""
    stack = Stack(run, a="cable:x", b="cable:x")
    ixgbed = {card: stack.ixgbed(card) for card in "ab"}
    stack.wait_link("a")
    stack.wait_link("b")
    with stack.open("b") as receiver, stack.open("a") as sender:
        for i in range(40):
            sender.write(frame(200, fill=i))
        lab.wait_for(lambda: sender.status("sent") == 40, "all taken")
        assert ixgbed["a"].stop() == 0
        for i in range(40):
            assert receiver.read() == frame(200, fill=i)


def test_two_on_one_card(run):
    stack = Stack(run, a="loop")
    first = stack.ixgbed("a")
    code, text = run.call("ixgbed", "--device", stack.address("a"), "--name", "other")
    assert code == 1
    assert text.startswith("ixgbed: vfio-user:") and text.count("\n") == 0
    assert first.running()


def test_a_name_that_is_taken(run):
    stack = Stack(run, a="loop", b="loop")
    stack.ixgbed("a", "--name", "x")
    code, text = run.call("ixgbed", "--device", stack.address("b"), "--name", "x")
    assert (code, text) == (1, "ixgbed: network:x: somebody serves it already: give another --name")


@pytest.mark.parametrize("arguments, words", [
    ((), "no card"), (("--device",), "a value is missing"), (("--unknown",), "no such option"),
    (("a", "b", "c"), "only pcid gives arguments"),
    (("--poll", "--irq"), "exclude one another"), (("--msi", "--intx"), "exclude one another"),
    (("--poll", "--msi"), "needs no interrupts"), (("--rx-ring", "100"), "power of two"),
    (("--rx-ring", "32"), "power of two"), (("--tx-ring", "8192"), "power of two"),
    (("--tx-ring", "x"), "power of two"), (("--mtu", "67"), "68 to 9710"), (("--mtu", "9711"), "68 to 9710"),
    (("--frames-mib", "0"), "1 to 1024"), (("--frames-mib", "1025"), "1 to 1024"),
    (("--group", "no such group"), "no such group")])
def test_wrong_usage(run, arguments, words):
    code, text = run.call("ixgbed", *arguments)
    assert code == 2
    assert text.startswith("ixgbed: ") and text.endswith("; see ixgbed --help") and "\n" not in text
    assert words in text


@pytest.mark.parametrize("channel", ["", "x", "1", "77", "999999999999", "-3"])
def test_a_channel_that_is_none(run, channel):
    code, text = run.call("ixgbed", "a", "", "0", env={"PCID_CLIENT_CHANNEL": channel})
    assert (code, text) == (2, "ixgbed: $PCID_CLIENT_CHANNEL is no channel: only pcid sets it")


@pytest.mark.parametrize("address, words", [
    ("vfio-user:{dir}/none.sock", "no such socket"), ("nonsense", "no address"),
    ("0000:ff:1f.7", "0000:ff:1f.7")])
def test_no_card(run, address, words):
    code, text = run.call("ixgbed", "--device", address.format(dir=run.dir))
    assert code == 1
    assert text.startswith("ixgbed: ") and words in text and "\n" not in text


def test_frame_memory_too_small_for_the_rings(run):
    stack = Stack(run, a="loop")
    code, text = run.call("ixgbed", "--device", stack.address("a"), "--frames-mib", "1")
    assert code == 1
    assert "too small for rings of 512 and 512: give --frames-mib 3" in text
    stack.nicsim.expect("the client left")


def test_help_and_version(run):
    code, text = run.call("ixgbed", "--help")
    assert code == 0 and "NAME BAR IRQ" in text
    code, text = run.call("ixgbed", "--version")
    assert code == 0 and text.startswith("ixgbed 0.")
