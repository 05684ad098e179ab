# SPDX-License-Identifier: BSD-3-Clause
"""rheinfall on schemes that lose, double, disorder and spoil frames on purpose: what it measures must be
exactly what was done. No driver and no card take part."""
import itertools
import json
import os
import pty
import random
import signal
import socket
import struct
import subprocess

import pytest
from scapy.utils import RawPcapNgWriter, RawPcapReader, RawPcapWriter

import lab
from double import READ, WRITE, Double, generated

FLOW = {"tx_frames", "tx_bytes", "tx_fps", "tx_mbit", "tx_dropped", "rx_frames", "rx_bytes", "rx_fps", "rx_mbit",
        "tx_no_link", "tx_refused"}
METER = {"lost", "duplicated", "reordered", "late", "corrupted", "foreign", "streams", "latency_ns"}
COMMON = {"mode", "url", "duration_s", "error"}
NOTHING = {"lost": 0, "duplicated": 0, "reordered": 0, "late": 0, "corrupted": 0, "foreign": 0}
MINE = bytes.fromhex("020000000042")
RHEIN = b"\x02RHEIN"


def echo(_, frame):
    return [frame]


@pytest.fixture
def double(run):
    with Double(run.schemes, "card", echo) as it:
        yield it


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out)

    def meter(self):
        return {name: self.json[name] for name in NOTHING}


class Started:
    """rheinfall with both outputs apart."""

    def __init__(self, run, *args):
        self.child = subprocess.Popen([lab.program("rheinfall"), *map(str, args)], env=run.env, cwd=run.dir,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      text=True)

    def end(self, number=None):
        if number:
            self.child.send_signal(number)
        try:
            out, err = self.child.communicate(timeout=lab.PATIENCE)
        except subprocess.TimeoutExpired:
            self.child.kill()
            out, err = self.child.communicate()
            raise AssertionError(f"did not end: {self.child.args}\n{out}{err}") from None
        return Result(self.child.returncode, out, err)


def rheinfall(run, *args):
    return Started(run, *args).end()


def generate(run, *args):
    return rheinfall(run, "--generate", "--quiet", "--json", *args)


def ready(double, promisc=True):
    """Waits until rheinfall has opened and set up what it needs."""
    double.client()
    lab.wait_for(lambda: double.promisc_writes or not promisc, "promiscuous mode is asked for")


def balance(result):
    """Every frame that was read is in exactly one of the counters."""
    r = result.json
    assert r["rx_frames"] == (r["tx_frames"] - r["lost"] + r["duplicated"] + r["late"] + r["corrupted"] +
                              r["foreign"])


# --- generating and measuring ---

@pytest.mark.parametrize("size, lengths", [
    ("60", [60]), ("61", [61]), ("1514", [1514]), ("60,512,1514", [60, 512, 1514]),
    ("imix", [60, 590, 60, 590, 60, 1514, 60, 590, 60, 60, 590, 60])])
def test_all_back(run, double, size, lengths):
    result = generate(run, "--size", size, "--count", 500, "--expect-lossless")
    assert result.code == 0, result.err
    expected = list(itertools.islice(itertools.cycle(lengths), 500))
    assert [len(f) for f in double.got] == expected
    r = result.json
    assert result.meter() == NOTHING
    assert r["tx_frames"] == r["rx_frames"] == 500
    assert r["tx_bytes"] == r["rx_bytes"] == sum(expected)
    assert r["sizes"] == lengths and r["streams"] == 1 and r["error"] is None
    assert r["tx_fps"] > 0 and r["rx_fps"] > 0 and r["duration_s"] > 0
    balance(result)


def test_frames_are_what_the_header_says(run, double):
    assert generate(run, "--size", 100, "--count", 3).code == 0
    streams = set()
    for number, frame in enumerate(double.got):
        assert frame[:6] == RHEIN and frame[6:12] == MINE and frame[12:18] == b"\x88\xb5Rfal"
        stream, length, _, n, sent = struct.unpack(">IHHQQ", frame[22:46])
        streams.add(stream)
        assert (length, n) == (100, number) and sent > 0
    assert len(streams) == 1
    assert generate(run, "--count", 1, "--to", "de:ad:BE:EF:00:01").code == 0
    assert double.got[3][:6] == bytes.fromhex("deadbeef0001")
    assert double.got[3][22:26] != double.got[0][22:26]


def lose(number, frame):
    return [] if number % 100 == 7 else [frame]


def repeat(number, frame):
    return [frame, frame, frame] if number in (5, 50) else [frame]


class Disorder:
    """Every hundredth frame comes after the next two: one reordered frame each."""

    def __init__(self):
        self.kept = []

    def __call__(self, number, frame):
        if number % 100 == 3:
            self.kept = [frame]
            return []
        if number % 100 == 5:
            return [frame, *self.kept]
        return [frame]


def spoil(number, frame):
    at = {10: 12, 20: 14, 30: 18, 40: 25, 50: 35, 60: 45, 70: 46, 80: len(frame) - 1}.get(number)
    if at is not None:
        return [frame[:at] + bytes([frame[at] ^ 0x10]) + frame[at + 1:]]
    return {90: [frame[:-1]], 91: [frame + b"\0"], 92: [frame[:20]]}.get(number, [frame])


def intrude(number, frame):
    strangers = {4: bytes(60), 5: RHEIN + MINE + b"\x08\x00" + bytes(100), 6: b"\xff" * 14, 9: b"x",
                 12: RHEIN + MINE + b"\x88\xb5" + bytes(46)}
    return [frame, strangers[number]] if number in strangers else [frame]


def everything(number, frame):
    if number in (400, 401, 402):
        return []
    if number == 410:
        return [frame] * 5
    if number in (420, 421):
        return [frame[:-1] + bytes([frame[-1] ^ 0x3f])]  # a fixed byte may be the right one
    return [frame, bytes(60)] if number == 430 else [frame]


@pytest.mark.parametrize("fault, expected", [
    (lose, {"lost": 10}),
    (repeat, {"duplicated": 4}),
    (Disorder(), {"reordered": 10}),
    (spoil, {"lost": 11, "corrupted": 11}),
    (intrude, {"foreign": 5}),
    (everything, {"lost": 5, "duplicated": 4, "corrupted": 2, "foreign": 1}),
], ids=["loss", "duplicates", "order", "corruption", "foreign", "everything"])
@pytest.mark.parametrize("size", [60, 1514])
def test_each_fault_is_measured_exactly(run, double, fault, expected, size):
    double.answer = fault
    result = generate(run, "--size", size, "--count", 1000, "--drain", 1500, "--expect-lossless")
    assert result.meter() == dict(NOTHING, **expected)
    balance(result)
    lossy = set(expected) & {"lost", "duplicated", "corrupted"}
    assert result.code == (3 if lossy else 0)
    assert ("not lossless" in result.err) == bool(lossy)


def test_faults_are_no_error_unless_asked(run, double):
    double.answer = lose
    result = generate(run, "--count", 100)
    assert result.code == 0 and result.json["lost"] == 1 and result.err == ""


def test_nothing_comes_back(run, double):
    double.answer = lambda number, frame: []
    result = generate(run, "--count", 20, "--expect-lossless", "--drain", 10)
    assert result.code == 3
    assert result.json["lost"] == 20 and result.json["latency_ns"] is None
    text = rheinfall(run, "--generate", "--count", 20, "--drain", 10)
    assert text.code == 0 and "nothing came back" in text.out


def test_old_frames_of_another_run_are_foreign(run, double):
    assert generate(run, "--count", 5).code == 0
    old = list(double.got)
    double.answer = lambda number, frame: [old[number], frame]
    result = generate(run, "--count", 5)
    assert result.meter() == dict(NOTHING, foreign=5)


def test_latency_is_of_each_frame(run, double):
    result = generate(run, "--count", 300)
    latency = result.json["latency_ns"]
    assert set(latency) == {"min", "p50", "p90", "p99", "p99_9", "max", "frames"}
    assert latency["frames"] == 300
    order = [latency[k] for k in ("min", "p50", "p90", "p99", "p99_9", "max")]
    assert order == sorted(order) and order[0] > 0


def test_one_way_reads_nothing(run, double):
    double.answer = lambda number, frame: []
    result = generate(run, "--count", 400, "--one-way")
    assert result.code == 0 and result.json["tx_frames"] == 400 and result.json["rx_frames"] == 0
    assert set(result.json) == COMMON | FLOW | {"sizes"}
    assert len(double.got) == 400  # it waited until all was taken
    assert ("", WRITE) in double.requests and not double.promisc_writes


def test_window_bounds_what_is_under_way(run, double):
    double.answer = lambda number, frame: []
    started = Started(run, "--generate", "--quiet", "--json", "--window", 4, "--count", 100, "--drain", 1000000)
    double.expect(4)
    double.leave()
    result = started.end()
    assert result.code == 1 and result.json["tx_frames"] == 4


def test_window_goes_on_after_a_loss(run, double):
    double.answer = lambda number, frame: [] if number < 3 else [frame]
    result = generate(run, "--window", 2, "--count", 1000, "--drain", 300)  # a wait for each loss, not for each frame
    assert result.code == 0
    assert result.meter() == dict(NOTHING, lost=3)


def test_rate_and_duration(run, double):
    assert generate(run, "--rate", 2000, "--count", 20).json["tx_frames"] == 20
    result = generate(run, "--rate", 100, "--duration", "0.3")
    assert 1 <= result.json["tx_frames"] <= 31 and result.meter() == NOTHING


def test_sizes_up_to_the_mtu(run):
    with Double(run.schemes, "small", echo, mtu=600):
        assert generate(run, "--size", 614, "--count", 3, "--expect-lossless").code == 0
        result = generate(run, "--size", "60,615", "--count", 3)
    assert result.code == 1 and result.json["tx_frames"] == 0
    assert result.err == "rheinfall: network:small: frames of 615 bytes are too long, its MTU allows 614\n"
    assert result.json["error"] in result.err


def test_jumbo_sizes(run):
    with Double(run.schemes, "jumbo", echo, mtu=9000):
        result = generate(run, "--size", 9014, "--count", 50, "--expect-lossless")
    assert result.code == 0 and result.json["rx_bytes"] == 50 * 9014


# --- mirror ---

def other_frames(count, seed=1, shortest=14, longest=1514):
    dice = random.Random(seed)
    return [dice.randbytes(dice.randint(shortest, longest)) for _ in range(count)]


@pytest.mark.parametrize("swap", [False, True])
def test_mirror(run, double, swap):
    double.answer = lambda number, frame: []
    frames = other_frames(300)
    started = Started(run, "--quiet", "--json", "--count", 300, *(["--swap"] if swap else []))
    for frame in frames:
        double.client().send(frame)
    result = started.end()
    assert result.code == 0
    assert double.got == [f[6:12] + f[:6] + f[12:] if swap else f for f in frames]
    r = result.json
    assert set(r) == COMMON | FLOW and r["mode"] == "mirror"
    assert r["rx_frames"] == r["tx_frames"] == 300 and r["tx_dropped"] == 0
    assert r["rx_bytes"] == r["tx_bytes"] == sum(map(len, frames))


def test_mirror_counts_what_it_cannot_send(run, double):
    double.answer = lambda number, frame: []
    started = Started(run, "--quiet", "--json", "--count", 4)
    for length in (60, 13, 1515, 1514):
        double.client().send(bytes(length))
    result = started.end()
    assert [len(f) for f in double.got] == [60, 1514]
    assert result.code == 0 and result.json["tx_dropped"] == 2 and result.json["rx_frames"] == 4


def test_mirror_drops_while_the_link_is_down(run, double):
    double.answer = lambda number, frame: []
    started = Started(run, "--quiet", "--json", "--count", 5)
    connection = double.client()
    double.link(False)
    for _ in range(3):
        connection.send(bytes(60))
    connection.send(bytes(61))
    connection.send(bytes(62))
    result = started.end()
    assert result.json["tx_dropped"] == 5 and not double.got


# --- receive ---

def test_receive_measures_streams(run, double):
    assert generate(run, "--size", 100, "--count", 100).code == 0
    assert generate(run, "--size", 60, "--count", 50).code == 0
    double.idle()
    one, two = double.got[:100], double.got[100:]
    sent = one[:10] + two[:20] + one[13:50] + [one[20]] + two[20:] + one[52:60] + [one[50]] + [bytes(60)]
    sent += [one[61][:-1] + bytes([one[61][-1] ^ 0x3f])] + one[62:]
    started = Started(run, "--receive", "--quiet", "--json", "--count", len(sent))
    for frame in sent:
        double.client().send(frame)
    result = started.end()
    r = result.json
    assert result.code == 0 and set(r) == COMMON | FLOW | METER and r["mode"] == "receive"
    # one: 10, 11, 12, 51, 60, 61 are missing
    assert result.meter() == dict(NOTHING, lost=6, duplicated=1, reordered=1, corrupted=1, foreign=1)
    assert r["streams"] == 2 and r["rx_frames"] == len(sent) and r["tx_frames"] == 0
    assert r["latency_ns"]["frames"] == 144
    assert ("", READ) in double.requests


def test_receive_lossless_needs_a_stream(run, double):
    started = Started(run, "--receive", "--quiet", "--json", "--count", 1, "--expect-lossless")
    double.client().send(bytes(60))
    assert started.end().code == 3


def receive(run, double, numbers):
    started = Started(run, "--receive", "--quiet", "--json", "--count", len(numbers))
    for number in numbers:
        double.client().send(generated(7, number))
    return started.end().meter()


def test_receive_joins_a_running_stream(run, double):
    assert receive(run, double, [10 ** 12, 10 ** 12 + 1, 10 ** 12 + 3]) == dict(NOTHING, lost=1)


def test_frames_behind_the_window_are_late(run, double):
    assert receive(run, double, [1, 2, 0, 65538, 3, 2, 2]) == dict(NOTHING, lost=65534, late=2, reordered=2)


def test_frames_are_as_documented(run, double):
    """The description in payload.h, carried out a second time, gives the same bytes."""
    assert generate(run, "--size", "60,333,1514", "--count", 30).code == 0
    for frame in double.got:
        stream, length, clock, number, sent = struct.unpack(">IHHQQ", frame[22:46])
        assert generated(stream, number, length, clock, sent) == frame


# --- recordings ---

def record(run, double, frames, *args):
    started = Started(run, "--write", "out.pcap", "--quiet", "--json", "--count", len(frames), *args)
    for frame in frames:
        double.client().send(frame)
    result = started.end()
    assert result.code == 0, result.err
    return result


def test_record_is_byte_for_byte(run, double):
    frames = other_frames(1000, shortest=1) + [bytes(1514), b"\xff" * 60]
    result = record(run, double, frames)
    assert [bytes(data) for data, _ in RawPcapReader(str(run.dir / "out.pcap"))] == frames
    r = result.json
    assert set(r) == COMMON | FLOW and r["mode"] == "write"
    assert r["rx_frames"] == 1002 and r["rx_bytes"] == sum(map(len, frames))


def test_record_from_a_tap(run, double):
    record(run, double, [bytes(60)], "--url", "network:card/tap")
    assert ("/tap", READ) in double.requests


def test_record_nothing_is_a_valid_file(run, double):
    result = rheinfall(run, "--write", "out.pcap", "--duration", "0.05", "--quiet")
    assert result.code == 0
    assert list(RawPcapReader(str(run.dir / "out.pcap"))) == []


def test_record_is_readable_while_it_grows(run, double):
    started = Started(run, "--write", "out.pcap", "--quiet")
    double.client().send(bytes(77))
    lab.wait_for(lambda: (run.dir / "out.pcap").exists() and (run.dir / "out.pcap").stat().st_size == 24 + 16 + 77,
                 "the frame is in the file")
    assert started.end(signal.SIGTERM).code == 0


def write_pcap(path, frames, **kwargs):
    with RawPcapWriter(str(path), linktype=kwargs.pop("linktype", 1), **kwargs) as writer:
        for frame in frames:
            writer.write(frame)


@pytest.mark.parametrize("kind", [{}, {"nano": True}, {"endianness": ">"}, {"endianness": "<"}], ids=str)
def test_replay_is_byte_for_byte(run, double, kind):
    frames = other_frames(800)
    write_pcap(run.dir / "in.pcap", frames, **kind)
    result = rheinfall(run, "--read", "in.pcap", "--quiet", "--json")
    assert result.code == 0, result.err
    assert double.got == frames
    r = result.json
    assert set(r) == COMMON | FLOW and r["mode"] == "read"
    assert r["tx_frames"] == 800 and r["tx_bytes"] == sum(map(len, frames))
    assert ("", WRITE) in double.requests


def test_replay_of_pcapng(run, double):
    frames = other_frames(100)
    with RawPcapNgWriter(str(run.dir / "in.pcapng")) as writer:
        for frame in frames:
            writer.write(frame)
    assert rheinfall(run, "--read", "in.pcapng", "--quiet").code == 0
    assert double.got == frames


def test_replay_of_a_record_is_the_same_record(run, double):
    frames = other_frames(500)
    record(run, double, frames)
    assert rheinfall(run, "--read", "out.pcap", "--quiet").code == 0
    assert double.got == frames


def test_replay_count_and_rate(run, double):
    frames = other_frames(20)
    write_pcap(run.dir / "in.pcap", frames)
    assert rheinfall(run, "--read", "in.pcap", "--count", 7, "--rate", 500, "--quiet").code == 0
    assert double.got == frames[:7]


def test_replay_waits_for_room(run, double):
    double.answer = lambda number, frame: []
    frames = other_frames(3000, shortest=1000)
    write_pcap(run.dir / "in.pcap", frames)
    double.pause()
    started = Started(run, "--read", "in.pcap", "--quiet", "--json")
    double.client()
    double.pause(False)
    result = started.end()
    assert result.code == 0 and double.got == frames and result.json["tx_dropped"] == 0


def cut_third_frame(path):
    """Of its 100 bytes, 50 were recorded."""
    data = bytearray(path.read_bytes())
    at = 24 + 2 * (16 + 100)
    del data[at + 16 + 50:at + 16 + 100]
    data[at + 8:at + 12] = struct.pack("=I", 50)
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("lengths, sent, text", [
    ([100, 100, 1515, 100], 2, "in.pcap: frame 3 is too long for network:card: 1515 bytes, of 14 to 1514"),
    ([100, 13], 1, "in.pcap: frame 2 is too short for network:card: 13 bytes, of 14 to 1514"),
])
def test_replay_names_the_frame_that_cannot_be_sent(run, double, lengths, sent, text):
    write_pcap(run.dir / "in.pcap", [bytes(n) for n in lengths])
    result = rheinfall(run, "--read", "in.pcap", "--quiet", "--json")
    assert (result.code, result.err) == (1, f"rheinfall: {text}\n")
    assert result.json["tx_frames"] == sent
    double.expect(sent)


def test_replay_takes_tagged_frames(run, double):
    frames = [bytes(12) + b"\x81\x00\x00\x05" + bytes(1502)]
    write_pcap(run.dir / "in.pcap", frames)
    assert rheinfall(run, "--read", "in.pcap", "--quiet").code == 0
    assert double.got == frames


def test_replay_refuses_cut_frames(run, double):
    write_pcap(run.dir / "in.pcap", [bytes(100)] * 4)
    cut_third_frame(run.dir / "in.pcap")
    result = rheinfall(run, "--read", "in.pcap", "--quiet")
    assert result.code == 1
    assert "in.pcap: frame 3 was cut when it was recorded, 50 of 100 bytes" in result.err
    double.expect(2)


def test_bad_recordings(run, double):
    def error():
        result = rheinfall(run, "--read", "in.pcap", "--quiet")
        assert result.code == 1 and result.out == "" and result.err.count("\n") == 1
        return result.err
    assert "in.pcap: No such file" in error()
    (run.dir / "in.pcap").write_bytes(b"this is no recording, whatever it is called")
    assert "in.pcap: not a recording" in error()
    (run.dir / "in.pcap").write_bytes(b"")
    assert "in.pcap: not a recording" in error()
    write_pcap(run.dir / "in.pcap", [bytes(100)], linktype=101)
    assert "not of Ethernet" in error()
    (run.dir / "in.pcap").unlink()
    (run.dir / "in.pcap").mkdir()
    assert "in.pcap" in error()
    assert not double.got


def test_a_recording_that_ends_in_a_frame(run, double):
    write_pcap(run.dir / "in.pcap", [bytes(100)] * 3)
    data = (run.dir / "in.pcap").read_bytes()
    (run.dir / "in.pcap").write_bytes(data[:-30])
    result = rheinfall(run, "--read", "in.pcap", "--quiet")
    assert result.code == 1 and "in.pcap: after frame 2: truncated" in result.err


def test_places_that_cannot_be_written(run, double):
    result = rheinfall(run, "--write", "no/such/place.pcap", "--count", 1, "--quiet")
    assert result.code == 1 and "no/such/place.pcap" in result.err and result.err.count("\n") == 1
    result = rheinfall(run, "--write", "/dev/full", "--quiet")
    assert result.code == 1 and "/dev/full: cannot be written" in result.err


def test_replay_reports_what_the_driver_dropped(run, double):
    def answer(number, frame):
        if number == 1:
            double.page().add("no_link")
        return []
    double.answer = answer
    write_pcap(run.dir / "in.pcap", [bytes(100)] * 3)
    result = rheinfall(run, "--read", "in.pcap", "--quiet", "--json")
    assert result.code == 1 and "dropped 1 frames" in result.err and result.json["tx_no_link"] == 1


# --- bridge ---

@pytest.fixture
def two(run):
    with Double(run.schemes, "left") as left, Double(run.schemes, "right") as right:
        yield left, right


def test_bridge_carries_both_ways(run, two):
    left, right = two
    forth, back = other_frames(400, 1), other_frames(300, 2)
    started = Started(run, "--bridge", "network:left", "network:right", "--quiet", "--json", "--count", 700)
    a, b = left.client(), right.client()
    for frame in forth[:200]:
        a.send(frame)
    for frame in back:
        b.send(frame)
    for frame in forth[200:]:
        a.send(frame)
    result = started.end()
    assert result.code == 0, result.err
    assert right.got == forth and left.got == back
    lanes = result.json["lanes"]
    assert set(result.json) == COMMON | {"lanes"} and result.json["mode"] == "bridge"
    for lane, ends, frames in zip(lanes, (("left", "right"), ("right", "left")), (forth, back)):
        assert set(lane) == {"from", "to", "frames", "bytes", "fps", "mbit", "dropped"}
        assert (lane["from"], lane["to"]) == tuple("network:" + e for e in ends)
        assert (lane["frames"], lane["bytes"], lane["dropped"]) == (len(frames), sum(map(len, frames)), 0)


def test_a_full_output_stops_its_input_alone(run, two):
    left, right = two
    right.pause()
    started = Started(run, "--bridge", "network:left", "network:right", "--quiet", "--json")
    a, b = left.client(), right.client()
    forth, back = other_frames(5000, 3, 1000), other_frames(300, 4)
    queued = refused = 0

    def stuck():
        """All that fits on the way is on the way, and stays there."""
        nonlocal queued, refused
        try:
            while queued < len(forth):
                a.send(forth[queued], socket.MSG_DONTWAIT)
                queued += 1
                refused = 0
        except BlockingIOError:
            refused += 1
        return refused > 20
    lab.wait_for(stuck, "the bridge stops reading")
    assert queued < len(forth)
    for f in back:  # the other way is open all the time
        b.send(f)
    left.expect(300)
    assert left.got == back
    right.pause(False)
    for frame in forth[queued:]:
        a.send(frame)
    right.expect(5000)
    result = started.end(signal.SIGINT)
    assert result.code == 0
    assert right.got == forth
    assert [lane["dropped"] for lane in result.json["lanes"]] == [0, 0]


def test_bridge_counts_what_the_other_side_does_not_take(run):
    with Double(run.schemes, "left") as left, Double(run.schemes, "right", mtu=1000) as right:
        started = Started(run, "--bridge", "network:left", "network:right", "--quiet", "--json", "--count", 3)
        for length in (1014, 1015, 60):
            left.client().send(bytes(length))
        result = started.end()
    assert [len(f) for f in right.got] == [1014, 60]
    assert result.json["lanes"][0]["dropped"] == 1 and result.json["lanes"][0]["frames"] == 2


@pytest.mark.parametrize("which", [0, 1])
def test_bridge_ends_when_a_driver_leaves(run, two, which):
    started = Started(run, "--bridge", "network:left", "network:right", "--quiet", "--json")
    for side in two:
        ready(side)
    two[which].leave()
    result = started.end()
    assert result.code == 1
    assert result.err == f"rheinfall: {two[which].url}: its driver has left\n"


# --- link, drivers, signals ---

def test_generate_waits_for_the_link(run):
    with Double(run.schemes, "card", echo, link=False) as card:
        started = Started(run, "--generate", "--count", 10, "--quiet", "--json", "--expect-lossless")
        card.client()
        assert not card.got
        card.link(True)
        assert started.end().code == 0
        assert len(card.got) == 10


def test_no_link_is_an_error(run):
    with Double(run.schemes, "card", echo, link=False) as card:
        write_pcap(run.dir / "in.pcap", [bytes(100)])
        for what in (["--generate"], ["--read", "in.pcap"]):
            result = rheinfall(run, *what, "--count", 10, "--quiet", "--link-wait", "0.05")
            assert (result.code, result.out) == (1, "")
            assert result.err == ("rheinfall: network:card: no link within 0.05 s; "
                                  "is the other end plugged in?\n")
        assert not card.got


def test_link_lost_while_generating(run, double):
    def answer(number, frame):
        if number == 20:
            double.link(False)
        return [frame]
    double.answer = answer
    started = Started(run, "--generate", "--count", 3000, "--quiet", "--json", "--rate", 20000)
    double.expect(21)
    lab.wait_for(lambda: len(double.got) < 3000, "it stopped")
    double.link(True)
    result = started.end()
    assert result.code == 0 and result.meter() == NOTHING and result.json["tx_frames"] == 3000


@pytest.mark.parametrize("what", [["--generate"], [], ["--receive"], ["--write", "out.pcap"],
                                  ["--read", "in.pcap", "--rate", "10"]], ids=str)
def test_driver_leaves(run, double, what):
    write_pcap(run.dir / "in.pcap", [bytes(100)] * 1000)
    started = Started(run, *what, "--quiet", "--json")
    ready(double, promisc="--read" not in what)
    if "--generate" in what:
        double.expect(1)  # it has read the card's address, too
    double.leave()
    result = started.end()
    assert result.code == 1
    assert result.err == "rheinfall: network:card: its driver has left\n"
    assert result.json["error"] == "network:card: its driver has left"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("what", [["--generate", "--rate", "1000"], [], ["--receive"], ["--write", "out.pcap"],
                                  ["--read", "in.pcap", "--rate", "10"]], ids=str)
def test_signals_end_it_with_a_summary(run, double, what, number):
    write_pcap(run.dir / "in.pcap", [bytes(100)] * 1000)
    started = Started(run, *what, "--quiet", "--json")
    connection = double.client()
    if "--read" in what or "--generate" in what:
        double.expect(1)
    else:
        connection.send(bytes(60))
        if not what:
            double.expect(1)
    result = started.end(number)
    assert result.code == 0 and result.err == ""
    assert result.json["error"] is None


def test_no_scheme(run):
    result = rheinfall(run, "--quiet")
    assert result.code == 1 and result.err.startswith("rheinfall: network:: no network scheme is there")
    assert result.err.count("\n") == 1
    result = rheinfall(run, "--url", "network:nobody", "--quiet")
    assert result.code == 1 and result.err.startswith("rheinfall: network:nobody: ")
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("url", ["card", "tcp:card", "network:card/mac", "network:card/", "network:../card"])
def test_urls_that_are_none(run, double, url):
    result = rheinfall(run, "--url", url, "--quiet")
    assert result.code == 1 and url in result.err and result.err.count("\n") == 1 and result.out == ""


def test_a_tap_is_read_only(run, double):
    for what in (["--generate"], [], ["--read", "in.pcap"]):
        result = rheinfall(run, "--url", "network:card/tap", "--quiet", *what)
        assert result.code == 1 and "a tap is read only" in result.err


# --- the card's filter ---

def test_promiscuous_while_it_runs(run, double):
    assert generate(run, "--count", 1).code == 0
    assert double.promisc_writes == [b"1\n", b"0\n"]
    double.promisc = b"1\n"
    assert generate(run, "--count", 1).code == 0
    assert generate(run, "--count", 1, "--no-promisc").code == 0
    assert double.promisc_writes == [b"1\n", b"0\n"]


def test_promiscuous_may_be_denied(run, double):
    double.denied.add("/promisc")
    result = generate(run, "--count", 1)
    assert result.code == 0 and result.json["rx_frames"] == 1
    assert result.err.startswith("rheinfall: network:card/promisc: not allowed")


# --- what people see ---

def test_summary(run, double):
    double.answer = lose
    result = rheinfall(run, "--generate", "--count", 1234, "--size", 60, "--quiet")
    assert result.code == 0 and result.err == ""
    for text in ("network:: ", "frames of 60 bytes", "1,234 frames", "lost 13, duplicated 0", "median"):
        assert text in result.out


def test_a_line_each_second(run, double):
    result = rheinfall(run, "--generate", "--rate", 100, "--duration", "1.5")
    lines = result.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("tx ") and lines[0].endswith("lost 0")


def test_the_line_overwrites_itself_on_a_terminal(run, double):
    master, slave = pty.openpty()
    child = subprocess.Popen([lab.program("rheinfall"), "--generate", "--rate", "100", "--duration", "1.5"],
                             env=run.env, stdout=subprocess.DEVNULL, stderr=slave)
    os.close(slave)
    text = b""
    try:
        while piece := os.read(master, 4096):
            text += piece
    except OSError:
        pass  # its other end was closed
    os.close(master)
    assert child.wait(lab.PATIENCE) == 0
    assert text.startswith(b"\rtx ") and text.endswith(b"\x1b[K\r\n")


# --- arguments ---

@pytest.mark.parametrize("args", [
    ["--frobnicate"], ["word"], ["--generate", "word"], ["--url"], ["--generate", "--receive"],
    ["--generate", "--generate"], ["--write", "a", "--read", "b"], ["--bridge", "network:a"],
    ["--bridge", "network:a", "--quiet"], ["--bridge", "network:a", "network:b", "--url", "network:c"],
    ["--size", "60"], ["--generate", "--size", "59"], ["--generate", "--size", "16385"],
    ["--generate", "--size", "60,"], ["--generate", "--size", ",60"], ["--generate", "--size", ""],
    ["--generate", "--size", "60x"], ["--generate", "--size", "-60"], ["--generate", "--size", "60 "],
    ["--generate", "--size", ",".join(["60"] * 17)], ["--generate", "--count", "0"],
    ["--generate", "--count", "99999999999999999999999"], ["--generate", "--duration", "0"],
    ["--generate", "--duration", "1e3"], ["--generate", "--duration", "1.0000000001"],
    ["--generate", "--duration", "1."], ["--generate", "--duration", ".5"], ["--generate", "--duration", "-1"],
    ["--generate", "--rate", "0"], ["--generate", "--rate", "1000000001"], ["--generate", "--burst", "0"], ["--generate", "--burst", "33"], ["--generate", "--window", "0"],
    ["--generate", "--window", "1000001"], ["--generate", "--to", "02:00:00:00:00"],
    ["--generate", "--to", "02:00:00:00:00:0g"], ["--generate", "--to", "02-00-00-00-00-01"],
    ["--generate", "--drain", "1.5"], ["--generate", "--link-wait", "soon"], ["--rate", "5"],
    ["--generate", "--swap"], ["--receive", "--one-way"], ["--expect-lossless"],
    ["--generate", "--one-way", "--window", "5"], ["--generate", "--one-way", "--expect-lossless"],
    ["--write", "-"], ["--receive", "--drain", "5"], ["--receive", "--link-wait", "5"],
], ids=" ".join)
def test_bad_arguments(run, args):
    result = rheinfall(run, *args)
    assert (result.code, result.out) == (2, "")
    assert "rheinfall: " in result.err and result.err.count("\n") == 1


def test_help(run):
    for flag in ("--help", "-h"):
        result = rheinfall(run, flag)
        assert result.code == 0 and result.out.startswith("usage: rheinfall") and result.err == ""
        assert len(result.out.splitlines()) < 20


def test_version(run):
    result = rheinfall(run, "--version")
    assert result.code == 0 and result.out.startswith("rheinfall ") and result.out.count("\n") == 1


def test_short_options_of_the_original(run, double):
    result = rheinfall(run, "-g", "-s", "60", "--count", 3, "--quiet", "--json")
    assert result.code == 0 and [len(f) for f in double.got] == [60] * 3
