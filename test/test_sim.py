# SPDX-License-Identifier: BSD-3-Clause
"""Software cards of a program's own: what nicsim --fd does, and pci_open("sim:WIRE") with it."""
import json
import os
import pathlib
import re
import socket
import subprocess

import pytest
from scapy.utils import rdpcap

import lab
import scheme_client
from vfio_user import Client, Closed

NIC_LOOP = str(lab.BUILD / "test" / "nic_loop")
FRAMES = 300


def processes(word):
    """The ids of the nicsim that have this word on their command line."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue  # it has ended
        if word.encode() in line and line.split(b"\0")[0].endswith(b"nicsim"):
            found.append(int(entry.name))
    return found


def gone(word):
    lab.wait_for(lambda: not processes(word), f"the end of nicsim {word}")


def loop(run, address, *options, wrap=()):
    code, text = run.call(NIC_LOOP, "--to", 359, *options, address, wrap=wrap, limit=lab.PATIENCE * 2)
    assert code == 0, text
    return json.loads(text.splitlines()[-1])


# --- nicsim --fd ---

def start_nicsim(run, fd, *options, **more):
    return subprocess.run([lab.program("nicsim"), "--device", "x540", "--fd", str(fd), *options], env=run.env,
                          cwd=run.dir, pass_fds=[fd], text=True, timeout=lab.PATIENCE, capture_output=True, **more)


def test_one_client_and_its_end(run):
    ours, theirs = socket.socketpair()
    wire = f"pcap:-,{run.dir}/out.pcap"
    done = start_nicsim(run, theirs.fileno(), "--wire", wire)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"nicsim: x540 02:00:00:00:00:01 on --fd, wire {wire}\n"
    theirs.close()
    assert len(processes(wire)) == 1
    with Client(ours) as client:
        assert client.config(0, 4) == 0x15288086
        client.socket.shutdown(socket.SHUT_WR)
        # The end of the stream is the end of the process.
        with pytest.raises(Closed):
            client.receive()
        assert not processes(wire)
    assert (run.dir / "out.pcap").stat().st_size == 24


@pytest.mark.parametrize("options, word", [
    (("--wire", "none"), "none"), (("--wire", "pcap:/none/in"), "/none/in"), ((), "--wire"),
    (("--wire", "sink", "--socket", "s"), "--fd serves one card"),
    (("--wire", "sink", "--device", "x540", "--socket", "s", "--wire", "sink"), "--fd serves one card")])
def test_a_card_that_cannot_be(run, options, word):
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            done = start_nicsim(run, theirs.fileno(), *options)
        assert done.returncode in (1, 2) and done.stdout == ""
        assert re.fullmatch(rf"nicsim: .*{re.escape(word)}.*\n", done.stderr)
        ours.settimeout(lab.PATIENCE)
        assert ours.recv(1) == b""  # nobody has it


@pytest.mark.parametrize("fd", ["2", "x", "", "-1", "99999", "3 "])
def test_no_descriptor(run, fd):
    code, text = run.call("nicsim", "--device", "x540", "--fd", fd, "--wire", "sink")
    assert code == 2 and "no descriptor" in text


def test_a_descriptor_that_is_no_socket(run):
    with open("/dev/null", "rb") as file:
        done = start_nicsim(run, file.fileno(), "--wire", "sink")
    assert done.returncode == 1 and "no stream socket" in done.stderr


# --- sim: ---

@pytest.mark.parametrize("address", ["sim:", "sim:loop"])
def test_there_and_back(run, address):
    result = loop(run, address)
    assert result["sent"] == result["received"] == result["rx_frames"] == FRAMES
    assert result["errors"] == result["bad"] == result["lost_buffers"] == 0


def test_what_was_sent_is_written_when_the_program_ends(run):
    """To somebody else, so that the program expects nothing back."""
    result = loop(run, "sim:pcap:-,out.pcap", "--filtered", "--to-others")
    assert result["sent"] == FRAMES
    assert [len(frame) for frame in rdpcap(str(run.dir / "out.pcap"))] == list(range(60, 60 + FRAMES))


def test_closing_waits_for_the_end(run):
    """Somebody keeps nicsim's end of the socket open, as nicsim does until it has ended."""
    slow = run.dir / "slow"
    slow.write_text(f"""#!/bin/sh
        (exec >/dev/null 2>&1; until [ -e {run.dir}/release ] || [ ! -e {run.dir} ]; do sleep 0.05; done) &
        exec {lab.program("nicsim")} "$@"
        """, encoding="ascii")
    slow.chmod(0o755)
    wire = f"pcap:-,{run.dir}/out.pcap"
    program = run.start(NIC_LOOP, "--to", 60, "--filtered", "--to-others", f"sim:{wire}",
                        env={"IXGBED_NICSIM": str(slow)})
    program.expect("X540")
    gone(wire)
    assert program.running()
    (run.dir / "release").touch()
    assert program.wait() == 0


def test_two_programs_on_a_cable(run):
    watch = run.start(NIC_LOOP, "--link", 1, "sim:cable:x")
    watch.expect("link down")
    other = run.start(NIC_LOOP, "--link", 9, "sim:cable:x")
    assert watch.wait() == 0, watch.text
    other.expect("X540")
    first, second = (re.match(r"\S+ .*?((?:[0-9a-f]{2}:){5}[0-9a-f]{2})", p.lines[0])[1] for p in (watch, other))
    assert first[:3] == second[:3] == "02:" and first != second


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_it_ends_with_its_program(run, how):
    wire = f"cable:{run.dir}/c"
    program = run.start(NIC_LOOP, "--link", 9, f"sim:{wire}")
    program.expect("link down")
    assert len(processes(wire)) == 1
    getattr(program, how)()
    gone(wire)


def test_it_has_nothing_of_the_program(run):
    """No descriptor but its own, whatever the program left open for others; no signal that is ignored or blocked."""
    wire = f"cable:{run.dir}/c"
    with open(run.dir / "open", "w", encoding="utf-8") as file:
        program = run.start_with(["env", "--ignore-signal=TERM", "--block-signal=USR1", NIC_LOOP, "--link", "9",
                                  f"sim:{wire}"], pass_fds=[file.fileno()])
        program.expect("link down")
        [pid] = processes(wire)
        files = {os.readlink(entry) for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir()}
        assert str(run.dir / "open") not in files
        assert "/dev/null" in files
        assert not any(name.startswith("pipe:") for name in files)
        assert os.getsid(pid) not in (os.getsid(0), os.getsid(program.pid))
        status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        assert int(re.search(r"SigIgn:\s*(\w+)", status)[1], 16) & 1 << 14 == 0
    os.kill(pid, 15)
    assert program.wait() == 1 and "gone" in program.text
    gone(wire)


@pytest.mark.parametrize("wrap", [
    ("env", "--ignore-signal=CHLD"), ("env", "--ignore-signal=PIPE"),
    ("sh", "-c", 'exec "$0" "$@" <&-'), ("sh", "-c", 'exec "$0" "$@" <&- 2>&-')], ids=str)
def test_whatever_the_program_was_started_with(run, wrap):
    assert loop(run, "sim:loop", wrap=wrap)["received"] == FRAMES


def test_the_program_has_no_child(run):
    program = run.start(NIC_LOOP, "--link", 9, f"sim:cable:{run.dir}/c")
    program.expect("link down")
    assert not pathlib.Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text(encoding="ascii")


@pytest.mark.parametrize("address, env, words", [
    ("sim:none", {}, "nicsim: wire none: no such kind; write tap:IF"),
    ("sim:pcap:/none/in", {}, "nicsim: wire pcap: /none/in: No such file"),
    ("sim:" + "x" * 124, {}, "relative paths are shorter"),
    ("sim:", {"IXGBED_NICSIM": "/none/nicsim"}, "no program /none/nicsim (No such file or directory): install"),
    ("sim:", {"IXGBED_NICSIM": "/dev/null"}, "no program /dev/null (Permission denied)"),
    ("sim:", {"IXGBED_NICSIM": "false"}, "nicsim ended without a word"),
    ("sim:", {"IXGBED_NICSIM": "true"}, "no vfio-user server")])
def test_what_is_wrong_is_told(run, address, env, words):
    code, text = run.call(NIC_LOOP, address, env=env)
    assert code == 1 and text.count("\n") == 0
    assert text.startswith(f"nic_loop: {address}: sim:") and words in text


def test_a_nicsim_that_talks_without_end(run):
    talker = run.dir / "talker"
    talker.write_text("#!/bin/sh\nyes nonsense | head -c 300000\nexit 3\n", encoding="ascii")
    talker.chmod(0o755)
    code, text = run.call(NIC_LOOP, "sim:", env={"IXGBED_NICSIM": str(talker)})
    assert code == 1 and text == "nic_loop: sim:: sim:: nonsense"


def test_ixgbed_takes_it(run):
    """Into its cage and out again: closing such a card is waiting for its end."""
    daemons = [run.start("ixgbed", "--device", "sim:cable:x", "--name", name) for name in ("a", "b")]
    for daemon, name in zip(daemons, "ab"):
        daemon.expect(rf"network:{name} ready \(sim:cable:x\)")
    lab.wait_for(lambda: all(scheme_client.value(run.schemes, name, "/link").startswith(b"up") for name in "ab"),
                 "the cable")
    for daemon in daemons:
        assert daemon.stop() == 0, daemon.text


def test_ixgbed_names_it(run):
    daemon = run.start("ixgbed", "--device", f"sim:pcap:-,{run.dir}/out.pcap")
    daemon.expect(r"network:sim-pcap_ixgbe ready \(sim:pcap:-,")
    assert daemon.stop() == 0, daemon.text
    assert (run.dir / "out.pcap").stat().st_size == 24
