# SPDX-License-Identifier: BSD-3-Clause
"""The flight recorder: traces that a daemon writes, what the software card makes of them, and the post-mortem
that pcid writes of a driver that died."""
import json
import os
import signal
import struct

import pytest

import lab
from stack import Stack, frame

HEADER, RECORD = 256, struct.Struct("<QIIQ")
READ, WRITE, PUBLISH, CONFIG_WRITE = 1, 2, 3, 5
INTERRUPT, LINK, CLIENT, HANDLES, START, READY, STOP, OVERRUN = range(7, 15)
RDT, TDT, LINKS, EERD, EICR = 0x1018, 0x6018, 0x42a4, 0x10014, 0x800
RAH = 0x5404  # of the 82574L


class Trace:
    """A file of --record; records are (kind, where, offset, value)."""

    def __init__(self, path):
        self.path = path
        data = path.read_bytes()
        assert (len(data) - HEADER) % RECORD.size == 0
        self.header = data[:HEADER]
        self.raw = list(RECORD.iter_unpack(data[HEADER:]))
        self.records = [(seal >> 32 & 0xff, seal >> 40 & 0xff, offset, value) for _, offset, value, seal in self.raw]

    def values(self, kind, offset=0):
        return [value for k, _, at, value in self.records if (k, at) == (kind, offset)]

    def write(self):
        self.path.write_bytes(self.header + b"".join(RECORD.pack(*record) for record in self.raw))

    def alter(self, index, value):
        time, offset, _, seal = self.raw[index]
        self.raw[index] = (time, offset, value, seal)
        self.write()


def record(run, *devices):
    """A start, the link, three frames out and in again, and a stop."""
    stack = Stack(run, devices, a="loop")
    daemon = run.start(stack.daemon, "--device", f"vfio-user:{run.dir}/a.sock", "--name", f"a_{stack.family}",
                       "--record", run.dir / "a.trace")
    daemon.expect(" ready ")
    stack.wait_link("a")
    handle = stack.open("a")
    for size in (60, 61, 1514):
        handle.write(frame(size, to="a"))
        assert handle.read() == frame(size, to="a")
    handle.close()
    lab.wait_for(lambda: stack.stats("a")["handles"] == 0, "closed")
    assert daemon.stop() == 0
    return Trace(run.dir / "a.trace")


@pytest.fixture
def trace(run):
    return record(run)


def replay(run, path, *options):
    code, text = run.call("nicsim", "replay", path, *options)
    return code, json.loads(text) if "--json" in options else text


def test_a_trace_is_what_happened(trace):
    magic, version, size, hz = struct.unpack_from("<QIIQ", trace.header)
    assert (magic, version, size) == (0x6372547467696c46, 1, RECORD.size)
    assert hz >= 10**6
    assert struct.unpack_from("<HH", trace.header, 48) == (0x8086, 0x1528)
    assert trace.header[64:96].rstrip(b"\0") == b"ixgbe" and trace.header[96:].startswith(b"ixgbed ")
    sequences = [seal & 0xffffffff for _, _, _, seal in trace.raw]
    assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
    times = [time for time, _, _, _ in trace.raw]
    assert times == sorted(times)
    kinds = [kind for kind, _, _, _ in trace.records]
    assert kinds[0] == START and kinds.count(READY) == kinds.count(STOP) == 1
    assert trace.values(CONFIG_WRITE, 4)  # bus mastering
    assert trace.values(LINK) == [10000]
    assert 1 in trace.values(HANDLES) and trace.values(HANDLES)[-1] == 0
    tails = trace.values(PUBLISH, TDT)
    assert tails[-1] == 3 and tails == sorted(tails)  # three frames, a descriptor each
    assert trace.values(PUBLISH, RDT)
    assert not trace.values(WRITE, TDT)[1:]  # set to 0 at the start; then they are publications
    assert trace.values(READ, LINKS)


def test_the_model_answers_as_it_did(run, trace):
    code, result = replay(run, trace.path, "--json")
    assert (code, result["differences"], result["difference_count"], result["missing"]) == (0, [], 0, 0)
    assert result["reads"] == len([1 for kind, *_ in trace.records if kind == READ])
    assert result["writes"] == len([1 for kind, *_ in trace.records if kind in (WRITE, PUBLISH)])
    assert result["records"] == len(trace.records) and result["compared"] > 40
    assert result["recorded"]["driver"] == "ixgbe" and result["cut"] is False
    code, text = replay(run, trace.path)
    assert code == 0 and text.endswith("; 0 differences")


def test_one_altered_answer_is_one_difference(run, trace):
    at = max(i for i, (kind, _, offset, _) in enumerate(trace.records) if (kind, offset) == (READ, EERD))
    value = trace.records[at][3]
    trace.alter(at, value ^ 0x10000)
    code, result = replay(run, trace.path, "--json")
    assert code == 1 and result["difference_count"] == 1
    assert result["differences"] == [{
        "record": at, "sequence": trace.raw[at][3] & 0xffffffff, "bar": 0, "offset": f"0x{EERD:05x}",
        "recorded": f"0x{value ^ 0x10000:08x}", "model": f"0x{value:08x}"}]
    code, text = replay(run, trace.path)
    line = f"record {at}: BAR 0 0x{EERD:05x}: the card answered 0x{value ^ 0x10000:08x}, x540 0x{value:08x}"
    assert code == 1 and text.splitlines()[0] == line


def test_so_does_the_82574l(run):
    trace = record(run, "82574l")
    code, result = replay(run, trace.path, "--json")
    assert (code, result["differences"], result["device"], result["missing"]) == (0, [], "82574l", 0)
    assert result["recorded"]["driver"] == "e1000" and result["compared"] > 10
    at = [i for i, (kind, _, offset, _) in enumerate(trace.records) if (kind, offset) == (READ, RAH)][-1]
    trace.alter(at, trace.records[at][3] ^ 1 << 31)
    code, result = replay(run, trace.path, "--json")
    assert code == 1 and [difference["offset"] for difference in result["differences"]] == [f"0x{RAH:05x}"]


def test_what_comes_from_outside_is_not_compared(run, trace):
    for at, (kind, _, offset, value) in enumerate(trace.records):
        if kind == READ and (offset in (LINKS, EICR) or 0x4000 <= offset < 0x4200):
            trace.alter(at, value ^ 1)
    assert replay(run, trace.path, "--json")[0] == 0


def test_a_missing_write_shows(run, trace):
    """The model is asked, not the trace: without the command the EEPROM's answer is another."""
    at = max(i for i, (kind, _, offset, _) in enumerate(trace.records) if (kind, offset) == (WRITE, EERD))
    del trace.raw[at]
    trace.write()
    code, result = replay(run, trace.path, "--json")
    assert code == 1 and result["missing"] == 1
    assert {difference["offset"] for difference in result["differences"]} == {f"0x{EERD:05x}"}


@pytest.mark.parametrize("damage, words", [
    (lambda data: b"", "no trace"),
    (lambda data: b"X" + data[1:], "no trace"),
    (lambda data: data[:8] + b"\2" + data[9:], "another version"),
    (lambda data: data[:HEADER - 1], "no trace"),
    (lambda data: data[:HEADER] + RECORD.pack(0, 0, 0, 0), "record 0 is no record"),
    (lambda data: data[:HEADER] + RECORD.pack(0, 0, 0, 0xff << 32), "record 0 is no record"),
    (lambda data: data[:HEADER] + RECORD.pack(0, 2, 0, READ << 32), "record 0 is no record"),
    (lambda data: data[:HEADER] + RECORD.pack(0, 0x200000, 0, WRITE << 32), "record 0 is no record"),
    (lambda data: data[:HEADER] + RECORD.pack(0, 0, 0, 0xff << 40 | READ << 32), "record 0 is no record"),
])
def test_what_is_no_trace_is_refused(run, tmp_path, damage, words):
    header = struct.pack("<QII32x24x", 0x6372547467696c46, 1, RECORD.size).ljust(HEADER, b"\xff")
    (tmp_path / "bad.trace").write_bytes(damage(header))
    code, text = replay(run, tmp_path / "bad.trace")
    assert code == 2 and words in text and len(text.splitlines()) == 1


def test_a_trace_that_was_cut_is_played(run, trace):
    data = trace.path.read_bytes()
    trace.path.write_bytes(data[:-5])
    code, result = replay(run, trace.path, "--json")
    assert code == 0 and result["cut"] is True and result["records"] == len(trace.records) - 1


def test_a_file_that_cannot_be_made(run):
    Stack(run, a="loop")
    code, text = run.call("ixgbed", "--device", f"vfio-user:{run.dir}/a.sock", "--record", run.dir / "no" / "file")
    assert code == 1 and text == f"ixgbed: --record {run.dir}/no/file: No such file or directory"


def test_an_old_trace_is_kept(run, trace):
    old = trace.path.read_bytes()
    daemon = run.start("ixgbed", "--device", f"vfio-user:{run.dir}/a.sock", "--record", trace.path)
    daemon.expect(" ready ")
    assert daemon.stop() == 0
    assert (run.dir / "a.trace.old").read_bytes() == old
    assert replay(run, trace.path, "--json")[1]["recorded"]["driver"] == "ixgbe"


def test_a_file_that_takes_no_more(run):
    """At once it is a failure to start; later the card is served on, and the end tells."""
    stack = Stack(run, a="loop")
    code, text = run.call("ixgbed", "--device", stack.address("a"), "--record", "/dev/full")
    assert code == 1 and text == "ixgbed: --record /dev/full: No space left on device"
    path = run.dir / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    daemon = stack.ixgbed("a", "--name", "a_ixgbe", "--record", path)
    os.close(reader)
    stack.wait_link("a")
    assert daemon.stop() == 1
    assert daemon.lines[-1] == f"ixgbed: --record {path}: the trace ends early: Broken pipe"


def post_mortem(process, seen=0):
    """Waits for the post-mortem number `seen` that pcid tells of: its text, and what its JSON says."""
    def lines():
        return [line for line in process.lines if ": post-mortem in " in line]
    lab.wait_for(lambda: len(lines()) > seen, "a post-mortem")
    path = lines()[seen].split(" in ", 1)[1]
    assert path.endswith(".txt")
    with open(path, encoding="ascii") as text, open(path[:-4] + ".json", encoding="ascii") as data:
        return text.read(), json.load(data)


def test_a_killed_driver_leaves_what_it_did_last(run):
    stack = Stack(run, a="loop")
    trace = run.dir / "a.trace"
    process = stack.pcid("--post-mortem-dir", run.dir / "post mortems", driver=("--record", str(trace)))
    stack.wait_link("a")
    handle = stack.open("a")
    lab.wait_for(lambda: Trace(trace).values(HANDLES)[-1:] == [1],
                 "only one handle is open")  # those that waited for the link are closed, but maybe not seen yet
    for size in (60, 61, 1514):
        handle.write(frame(size, to="a"))
        assert handle.read() == frame(size, to="a")
    pid = stack.drivers["a"]
    os.kill(pid, signal.SIGKILL)
    text, result = post_mortem(process)
    end = f"ixgbed pid {pid} was killed by signal 9 (Killed)"
    assert (result["name"], result["end"]) == ("a_ixgbe", end)
    assert (result["address"], result["vendor"], result["device"]) == (stack.address("a"), 0x8086, 0x1528)
    records = result["records"]
    names = ["read", "write", "publish", "config-read", "config-write", "reset", "interrupt", "link", "client",
             "handles", "start", "ready", "stop", "overrun"]
    kept = [(names.index(r["kind"]) + 1, r["where"], r["offset"], r["value"]) for r in records]
    assert all(r.get("bytes") == (4 if r["kind"] in names[:3] else None) for r in records)
    # Whatever had reached the file before the end is here, too; and it goes on.
    old = run.dir / "a.trace.old"  # the next driver has its own
    lab.wait_for(old.exists, "the next driver")
    filed = Trace(old).records
    assert len(filed) > 200 and kept[:len(filed)] == filed
    assert [r["sequence"] for r in records] == list(range(records[0]["sequence"], records[0]["sequence"] + len(records)))
    times = [r["ns"] for r in records]
    assert times == sorted(times) and times[-1] == 0 > times[0]
    assert kept[0] == (START, 0, 0, pid) and (READY, 0, 0, 0) in kept and STOP not in [kind for kind, *_ in kept]
    assert [r["value"] for r in records if (r["kind"], r["offset"]) == ("publish", TDT)][-1] == 3
    assert [r["value"] for r in records if r["kind"] == "handles"][-1] == 1
    lines = text.splitlines()
    assert lines[0] == f"network:a_ixgbe: {end}" and len(lines) == 4 + len(records)
    last = [line for line in lines if "publish" in line and f"0x{TDT:05x}" in line][-1]
    assert last.endswith(f"publish       BAR 0 0x{TDT:05x}  0x00000003")
    modes = {path.suffix: path.stat().st_mode & 0o7 for path in (run.dir / "post mortems").iterdir()}
    assert modes == {".txt": 0, ".json": 0}  # not for everybody


def test_a_driver_that_stops_is_no_case(run):
    stack = Stack(run, a="loop")
    process = stack.pcid("--post-mortem-dir", run.dir / "none")
    assert process.stop() == 0
    assert "post-mortem" not in process.text and not (run.dir / "none").exists()


def test_ten_post_mortems_are_kept(run):
    folder = run.dir / "kept"
    folder.mkdir()
    for suffix in ("txt", "json"):
        for n in range(12):
            (folder / f"a_ixgbe-20200101T0000{n:02}.000Z.{suffix}").write_text("old")
    others = ["a_ixgbe-20190101T000000.000Z.log", "b_ixgbe-20190101T000000.000Z.txt", "a_ixgbe-notes.txt",
              "a_ixgbe-2-20190101T000000.000Z.txt", "a_ixgbe-20190101T0000x0.000Z.txt"]
    for name in others:
        (folder / name).write_text("not ours")
    stack = Stack(run, a="loop")
    process = stack.pcid("--post-mortem-dir", folder)
    os.kill(stack.drivers["a"], signal.SIGKILL)
    post_mortem(process)
    lab.wait_for(lambda: len(list(folder.iterdir())) == 20 + len(others), "old ones are gone")
    names = {path.name for path in folder.iterdir()}
    assert set(others) <= names
    assert {f"a_ixgbe-20200101T0000{n:02}.000Z.txt" for n in range(3, 12)} <= names


def test_a_folder_that_cannot_be_made(run):
    stack = Stack(run, a="loop")
    process = stack.pcid("--post-mortem-dir", run.dir / "no" / "folder")
    os.kill(stack.drivers["a"], signal.SIGKILL)
    process.expect(r"network:a_ixgbe: no post-mortem: .*/no/folder: No such file or directory \(see --post-mortem-dir\)")


@pytest.mark.parametrize("env, where", [
    ({"STATE_DIRECTORY": "{}/one:{}/two"}, "one"),
    ({"STATE_DIRECTORY": ""}, "ixgbed"),  # lab's XDG_STATE_HOME
])
def test_the_folder_comes_from_the_environment(run, env, where):
    stack = Stack(run, a="loop")
    run.env.update({name: value.format(run.dir, run.dir) for name, value in env.items()})
    process = stack.pcid()
    os.kill(stack.drivers["a"], signal.SIGABRT)
    _, result = post_mortem(process)
    assert result["end"].endswith("was killed by signal 6 (Aborted)")
    assert len(list((run.dir / where).iterdir())) == 2


def test_a_post_mortem_of_a_driver_that_lives(run):
    stack = Stack(run, a="loop")
    process = stack.pcid("--post-mortem-dir", run.dir / "asked")
    code, said = run.call("pcid", "--post-mortem", "a_ixgbe")
    assert code == 0 and said.startswith(f"pcid: network:a_ixgbe: post-mortem in {run.dir}/asked/a_ixgbe-")
    with open(said.split(" in ", 1)[1][:-4] + ".json", encoding="ascii") as data:
        result = json.load(data)
    assert result["end"] == f"pid {stack.drivers['a']} runs"
    assert result["records"][0]["kind"] == "start" and "ready" in [r["kind"] for r in result["records"]]
    stack.wait_link("a")  # it was not disturbed
    assert run.call("pcid", "--post-mortem", "b_ixgbe") == (
        1, "pcid: network:b_ixgbe: no pcid serves it: see scheme ls, and SCHEME_ROOT")
    assert process.stop() == 0
