# SPDX-License-Identifier: BSD-3-Clause
"""nicsim's wires from outside: what is said when one cannot be had, or breaks in use. What passes through
them is judged by test/unit, and by the tests of everything that is plugged into one."""
import os
import struct

import pytest

import lab
import netns


def capture(*frames, link=1, magic=0xA1B2C3D4):
    """A file of (bytes, length on the wire)."""
    head = struct.pack("<IHHIIII", magic, 2, 4, 0, 0, 65535, link)
    return head + b"".join(struct.pack("<IIII", 0, 0, len(data), size) + data for data, size in frames)


FILES = {
    "letter": b"this is a letter and no capture\n",
    "empty": b"",
    "raw.pcap": capture(link=101),
    "cut.pcap": capture((bytes(60), 60), (bytes(96), 1514)),
    "short.pcap": capture((bytes(13), 13)),
    "long.pcap": capture((bytes(16385), 16385)),
    "torn.pcap": capture((bytes(60), 60), (bytes(60), 60))[:-1],
    "good.pcap": capture((bytes(60), 60)),
}


@pytest.fixture
def nicsim(run):
    def start(wire, wrap=()):
        process = run.start("nicsim", "--device", "x540", "--socket", "s", "--wire", wire, wrap=wrap)
        process.expect("^nicsim: x540 .* on s")
        return process
    return start


@pytest.mark.parametrize("wire, what", [
    ("", "no such kind; write tap:IF"),
    ("rope:x", "rope:x: no such kind; write tap:IF, loop, cable:NAME, pcap:IN[,OUT], gen:SIZE[@RATE] or sink"),
    ("loop:x", "write loop"),
    ("gen:9", "SIZE must be a number from 60 to 16384"),
    ("gen:60@x", "RATE must be a number of frames a second from 1 to"),
    ("tap:a-much-too-long-name", "the name has more than 15 characters"),
    ("tap:lo", "take another name"),
    ("cable:none/x", "none/x.lock: No such file or directory"),
    ("cable:" + "x" * 200, "take a shorter one"),
    ("cable:./letter", "./letter is in use by something that is no cable: take another name"),
    ("pcap:none", "none: No such file or directory"),
    ("pcap:.", "is no regular file or FIFO"),
    ("pcap:/dev/zero", "is no regular file or FIFO"),
    ("pcap:letter", "letter is no capture file"),
    ("pcap:empty", "empty is no capture file"),
    ("pcap:raw.pcap", "raw.pcap holds frames of type RAW: record Ethernet"),
    ("pcap:cut.pcap", "frame 2 was cut when captured: record whole frames"),
    ("pcap:short.pcap", "frame 1 is shorter than an Ethernet header"),
    ("pcap:long.pcap", "frame 1 is longer than 16384 bytes"),
    ("pcap:torn.pcap", "broken at frame 2"),
    ("pcap:good.pcap,good.pcap", "good.pcap is to be played and written: name two files"),
    ("pcap:good.pcap,none/out", "none/out: No such file or directory"),
    ("pcap:-,.", "Is a directory"),
])
def test_refused(run, wire, what):
    for name, data in FILES.items():
        (run.dir / name).write_bytes(data)
    before = sorted(os.listdir(run.dir))
    with netns.Pair() as pair:  # for the TAP
        code, text = run.call("nicsim", "--device", "x540", "--socket", "s", "--wire", wire, wrap=pair.a.wrap)
    assert code == 1
    assert text.startswith("nicsim: ") and text.count("\n") == 0
    assert what in text
    assert sorted(os.listdir(run.dir)) == before
    for name, data in FILES.items():
        assert (run.dir / name).read_bytes() == data


def test_a_cable_has_two_ends(run, nicsim):
    first = nicsim("cable:x")
    second = run.start("nicsim", "--device", "x540", "--socket", "s2", "--wire", "cable:x")
    second.expect("on s2")
    code, text = run.call("nicsim", "--device", "x540", "--socket", "s3", "--wire", "cable:x")
    assert code == 1 and "cable:x: both its ends are plugged in already" in text and text.count("\n") == 0
    # However an end goes, its place is free.
    first.kill()
    third = run.start("nicsim", "--device", "x540", "--socket", "s3", "--wire", "cable:x")
    third.expect("on s3")
    for process in second, third:
        assert process.running() and process.stop() == 0
    assert not list(run.dir.glob("*.cable*"))


def test_an_interface_that_is_deleted(nicsim):
    with netns.Pair() as pair:
        process = nicsim("tap:t0", wrap=pair.a.wrap)
        pair.a.ip("link set t0 up")
        pair.a.ip("link del t0")
        process.expect("^nicsim: s: wire tap:t0: the interface was deleted: start again$")
        assert process.stop() == 0


def test_the_interface_goes_with_nicsim(nicsim):
    with netns.Pair() as pair:
        process = nicsim("tap:t0", wrap=pair.a.wrap)
        assert "t0" in pair.a.ip("link")
        assert process.kill() < 0
        lab.wait_for(lambda: "t0" not in pair.a.ip("link"), "the interface's end")


def test_a_fifo_that_brings_no_capture(run, nicsim):
    os.mkfifo(run.dir / "fifo")
    process = nicsim("pcap:fifo")
    with open(run.dir / "fifo", "wb") as writer:
        writer.write(FILES["letter"])
    process.expect("^nicsim: s: wire pcap:fifo: what comes is no capture in the pcap format: convert it")
    assert process.stop() == 0
