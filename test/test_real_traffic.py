# SPDX-License-Identifier: BSD-3-Clause
"""Traffic of real kernels through all of it: recorded, from a wire to a client and from a client to a wire,
and live, between two kernels with two of our drivers of each kind in between."""
import json
import os

import pytest

import lab
import netns
import traffic
from stack import DAEMONS, MAC, OTHERS, Stack


def padded(frame):
    """As it is on a link: no shorter than 60 bytes. The recorded one left out what any card puts there."""
    return frame + bytes(max(0, 60 - len(frame)))


def frames(path):
    """The frames of a file that may still be growing."""
    try:
        return traffic.frames(path)
    except Exception:  # scapy's, of a file without its head
        return []


def wait_reading(stack, card):
    """rheinfall has opened the card and then asked for the frames that are for others."""
    lab.wait_for(lambda: stack.value(card, "/promisc") == b"1\n", f"rheinfall on {card}")


def test_the_record_is_whole(real_traffic):
    """What tests send through the drivers is what was said: each answer, each byte of TCP, each checksum."""
    from scapy.layers.inet import ICMP, IP, TCP, UDP
    from scapy.layers.l2 import Ether
    frames = [Ether(frame) for frame in traffic.frames(real_traffic)]
    replies = [len(f[ICMP].payload) for f in frames if ICMP in f and f[ICMP].type == 0]
    assert replies == [*traffic.PING_SIZES, 32]
    answers = [bytes(f[UDP].payload) for f in frames if UDP in f and f[UDP].sport == traffic.UDP_PORT]
    assert answers == [answer for _, answer in traffic.queries(1)]
    for port_of, name in (lambda f: f[TCP].dport, "talked"), (lambda f: f[TCP].sport, "served"):
        data, begin = bytearray(), None
        for f in frames:
            if TCP in f and port_of(f) == traffic.TCP_PORT:
                size = f[IP].len - 4 * f[IP].ihl - 4 * f[TCP].dataofs
                if begin is None:
                    begin = f[TCP].seq + 1  # after the SYN
                elif size:  # what was sent again may be cut otherwise than the first time
                    at = (f[TCP].seq - begin) % 2**32
                    data.extend(bytes(max(0, at - len(data))))
                    data[at:at + size] = bytes(f[TCP].payload)[:size]
        assert data == traffic.content(1, name, traffic.TCP_BYTES)
    for f in frames:
        if IP in f:
            again = Ether(bytes(f))
            for layer in IP, ICMP, UDP, TCP:
                if layer in again:
                    del again[layer].chksum
            assert bytes(again) == bytes(f)


def test_from_the_wire_to_a_client(run, real_traffic):
    """pcap wire, card, ixgbed, scheme, rheinfall --write."""
    wanted = [padded(frame) for frame in traffic.frames(real_traffic)]
    fifo, got = run.dir / "fifo", run.dir / "got.pcap"
    os.mkfifo(fifo)
    stack = Stack(run, a=f"pcap:{fifo}")
    stack.pcid()
    stack.wait_link("a")
    rheinfall = run.start("rheinfall", "--url", "network:a_ixgbe", "--write", got, "--count", len(wanted))
    wait_reading(stack, "a")
    with open(fifo, "wb") as player:
        player.write(real_traffic.read_bytes())
    assert rheinfall.wait() == 0, rheinfall.text
    assert traffic.frames(got) == wanted
    counters = stack.stats("a")
    assert counters["rx_frames"] == len(wanted)
    assert counters["rx_missed"] == counters["unclaimed"] == 0


def test_from_a_client_to_the_wire(run, real_traffic):
    """rheinfall --read, scheme, ixgbed, card, pcap wire."""
    wanted = [padded(frame) for frame in traffic.frames(real_traffic)]
    got = run.dir / "got.pcap"
    stack = Stack(run, a=f"pcap:-,{got}")
    stack.pcid()
    code, text = run.call("rheinfall", "--url", "network:a_ixgbe", "--read", real_traffic)
    assert code == 0, text
    lab.wait_for(lambda: len(frames(got)) >= len(wanted), "all frames in the file")
    assert traffic.frames(got) == wanted
    assert stack.stats("a")["tx_frames"] == len(wanted)


def test_through_two_drivers_and_back_to_a_file(run, real_traffic):
    """rheinfall --read, one driver, a cable, the other driver, rheinfall --write."""
    wanted = [padded(frame) for frame in traffic.frames(real_traffic)]
    got = run.dir / "got.pcap"
    stack = Stack(run, a="cable:x", b="cable:x")
    stack.pcid()
    stack.wait_link("b")
    recorder = run.start("rheinfall", "--url", "network:b_ixgbe", "--write", got, "--count", len(wanted))
    wait_reading(stack, "b")
    code, text = run.call("rheinfall", "--url", "network:a_ixgbe", "--read", real_traffic)
    assert code == 0, text
    assert recorder.wait() == 0, recorder.text
    assert traffic.frames(got) == wanted


class TapStack(Stack):
    """Card a on a TAP interface of one namespace, card b on one of the other."""

    def __init__(self, run, pair, device):
        self.run, self.cards = run, ["a", "b"]
        self.daemon, self.family = DAEMONS.get(device, OTHERS)
        for card, end in ("a", pair.a), ("b", pair.b):
            nicsim = run.start("nicsim", "--strict", "--verbose", "--device", device, "--socket", f"{card}.sock",
                               "--wire", "tap:t0", "--mac", MAC[card], wrap=end.wrap)
            nicsim.expect(rf"on {card}\.sock")


@pytest.mark.parametrize("device", ["x540", "82574l", "rtl8168"])
def test_live_between_two_kernels(run, device):
    """Each kernel has its card's other end for a network interface; rheinfall --bridge joins the two cards."""
    with netns.Pair() as pair:
        stack = TapStack(run, pair, device)
        for end, address in (pair.a, traffic.HERE), (pair.b, traffic.THERE):
            end.ip(f"addr add {address}/24 dev t0")
            end.ip("link set t0 up")
        stack.pcid()
        for card in stack.cards:
            stack.wait_link(card)
        bridge = run.start("rheinfall", "--quiet", "--json", "--bridge",
                           *(f"network:{stack.name(card)}" for card in stack.cards))
        for card in stack.cards:
            wait_reading(stack, card)
        traffic.pass_through(pair.a, pair.b, traffic.THERE)
        for card in stack.cards:
            counters = stack.stats(card)
            for trouble in "rx_missed", "rx_dropped", "rx_crc_errors", "rx_length_errors", "rx_damaged":
                assert counters[trouble] == 0, trouble
        assert bridge.stop() == 0, bridge.text
        for lane in json.loads(bridge.text)["lanes"]:
            assert lane["dropped"] == 0
            assert lane["bytes"] > traffic.TCP_BYTES
