# SPDX-License-Identifier: BSD-3-Clause
"""nic_forward() over software cards: nic_bridge connects two, and cards driven descriptor by descriptor
at the far ends of their cables see what comes through; nicsim, strict, watches the driver."""
import json
import struct

import pytest

import lab
from lab import wait_for
from x540 import BAM, DD, MPE, RDT, RXMPC0, RXPBSIZE0, TDH, UPE, Card, frame

NIC_BRIDGE = str(lab.BUILD / "test" / "nic_bridge")
ALL = BAM | MPE | UPE
WAYS = pytest.mark.parametrize("way", [(), ("--in-place",)], ids=["swap", "in-place"])
RING = 64


class Far(Card):
    """A card at the far end of a cable: sends, and receives in order for as long as it is looked at."""

    def __init__(self, path):
        super().__init__(path, memory=8 << 20)
        self.tx(entries=1024)
        self.at = 0

    def listen(self, entries=1024):
        self.rx(entries=entries, fctrl=ALL)

    def next(self):
        """The next frame that arrives; its descriptor is given back."""
        data = self.received(self.at)
        self.arm(self.at)
        self.set(RDT, self.at)
        self.at = (self.at + 1) % self.rx_size
        return data

    def nothing_more(self):
        return self.rx_descriptor(self.at)[1] & DD == 0

    def send(self, frames):
        """Sends frames and does not wait."""
        for data in frames:
            self.queue_frame(data)
        self.kick()


def nicsim(run, name, wire):
    process = run.start("nicsim", "--device", "x540", "--socket", run.dir / name, "--wire", wire, "--strict",
                        "--verbose")
    process.expect(rf"x540 .* on {run.dir / name}")
    return process


class Bridge:
    """west -- left card, nic_bridge, right card -- east."""

    def __init__(self, run, way, cards=("left", "right")):
        self.run = run
        self.sims = {name: nicsim(run, name, f"cable:{name}") for name in cards}
        self.far = {name: nicsim(run, "far-" + name, f"cable:{name}") for name in cards}
        self.west = Far(run.dir / "far-left")
        self.east = Far(run.dir / "far-right") if "right" in cards else self.west
        self.process = run.start(NIC_BRIDGE, *way, *(f"vfio-user:{run.dir / name}" for name in cards))
        self.process.expect("^ready")

    def end(self):
        """Stops it and returns what it says; the cards saw nothing that is forbidden."""
        assert self.process.stop() == 0, self.process.text
        result = json.loads(self.process.lines[-1])
        for sim in self.sims.values():
            assert sim.stop() == 0
            assert "strict" not in sim.text and "refused DMA 0" in sim.text, sim.text
        return result

    def cut(self):
        """Takes the card at the east end of its cable away."""
        self.east.close()
        self.east = self.west
        self.far["right"].kill()
        (self.run.dir / "far-right").unlink()

    def mend(self):
        self.far["right"] = nicsim(self.run, "far-right", "cable:right")
        self.east = Far(self.run.dir / "far-right")

    def close(self):
        for card in {self.west, self.east}:
            card.close()


@pytest.fixture
def bridge(run):
    made = []

    def build(*args, **how):
        made.append(Bridge(run, *args, **how))
        return made[-1]
    yield build
    for it in made:
        it.close()


def numbered(number, size=60, first=0):
    data = bytearray(frame(size, source="02:00:00:00:00:55"))
    data[14] = first
    data[15:19] = struct.pack("<I", number)
    return bytes(data)


def looked_at(data):
    return data[:-1] + bytes([(data[-1] + 1) & 0xff])


@WAYS
def test_frames_go_both_ways(bridge, way):
    """Several times round the rings, every size, each frame in order and changed by the look."""
    it = bridge(way)
    it.west.listen()
    it.east.listen()
    east = [numbered(n, 60 + n * 3) for n in range(480)]
    west = [numbered(n, 1514 - n * 3) for n in range(480)]
    it.west.send(east)
    it.east.send(west)
    for n in range(480):
        assert it.east.next() == looked_at(east[n])
        assert it.west.next() == looked_at(west[n])
    assert it.end() == {"forwarded": 960, "dropped": 0, "rx_frames": 960, "tx_frames": 960, "missed": 0,
                        "errors": 0, "bad": 0, "lost_buffers": 0, "interrupts": 0}


@WAYS
def test_a_card_sends_back_what_it_receives(bridge, way):
    it = bridge(way, cards=("left",))
    it.west.listen()
    frames = [numbered(n, 60 + n) for n in range(300)]
    it.west.send(frames)
    for data in frames:
        assert it.west.next() == looked_at(data)
    result = it.end()
    assert result["forwarded"] == result["tx_frames"] == 300 and result["lost_buffers"] == result["bad"] == 0


@WAYS
def test_a_look_drops(bridge, way):
    it = bridge(way)
    it.east.listen()
    frames = [numbered(n, 60 + n % 32, first=0xdd if n % 3 == 0 or n < 200 else 0) for n in range(500)]
    it.west.send(frames)
    for data in frames:
        if data[14] != 0xdd:
            assert it.east.next() == looked_at(data)
    assert it.east.nothing_more()
    result = it.end()
    assert result["dropped"] == 300 and result["forwarded"] == result["tx_frames"] == 200
    assert result["lost_buffers"] == result["bad"] == result["missed"] == 0


@WAYS
def test_an_output_that_is_full_holds_up_its_input(bridge, way):
    """The far card takes a few frames and no more: nothing is lost, the rest comes when it has room,
    and the other way is not held up."""
    it = bridge(way)
    it.east.set(RXPBSIZE0, 1024)                             # its packet buffer holds about 16
    it.east.listen(entries=8)
    it.west.listen()
    frames = [numbered(n) for n in range(600)]
    it.west.send(frames)
    wait_for(lambda: it.west.reg(TDH) == 600, "the west card to have sent all")
    back = [numbered(n) for n in range(200)]
    it.east.send(back)
    for data in back:
        assert it.west.next() == looked_at(data)
    for data in frames:
        assert it.east.next() == looked_at(data)
    assert it.east.reg(RXMPC0) == 0
    result = it.end()
    assert result["forwarded"] == result["tx_frames"] == 800
    assert result["lost_buffers"] == result["bad"] == result["missed"] == 0


@WAYS
def test_the_output_has_no_link(bridge, way):
    """What was to go out is sent or lost in the card; with the link frames go again."""
    it = bridge(way)
    it.cut()
    it.west.send([numbered(n) for n in range(300)])
    wait_for(lambda: it.west.reg(TDH) == 300, "the west card to have sent all")
    it.mend()
    it.east.listen()
    marker = numbered(1000, 100)
    it.west.send([marker])

    def arrived():
        return it.east.next() == looked_at(marker)
    wait_for(arrived, "a frame over the new link")
    assert it.end()["lost_buffers"] == 0
