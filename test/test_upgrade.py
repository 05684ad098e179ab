# SPDX-License-Identifier: BSD-3-Clause
"""Replacement in flight: `pcid --upgrade` while frames flow. Nothing is lost, doubled, disordered or changed,
and what fails leaves somebody who serves."""
import errno
import os
import re
import shutil
import socket
import stat
import struct

import pytest

import lab
from stack import Stack, frame


@pytest.fixture
def cable(run):
    stack = Stack(run, a="cable:upgrade", b="cable:upgrade")
    stack.process = stack.pcid()
    stack.wait_link("a")
    stack.wait_link("b")
    return stack


def upgrade(run, card, *options, ok=True):
    """What pcid says of it."""
    code, said = run.call("pcid", "--upgrade", f"{card}_ixgbe", *options)
    assert code == (0 if ok else 1), said
    assert said.startswith("pcid: ") and "\n" not in said
    return said


def test_settings_and_counters_go_on(run, cable):
    a, b = cable.open("a"), cable.open("b")
    cable.set("a", "/mtu", "1400")
    cable.set("a", "/promisc", "1")
    a.write(frame(100))
    assert b.read() == frame(100)
    before = cable.stats("a")
    upgrade(run, "a")
    after = cable.stats("a")
    assert (cable.value("a", "/mtu"), cable.value("a", "/promisc")) == (b"1400\n", b"1\n")
    assert after["tx_frames"] == before["tx_frames"] == 1
    assert after["tx_bytes"] == before["tx_bytes"]
    # But for those that are reserved for what clients write.
    assert 0 <= after["pool_size"] - after["pool_free"] - after["rx_held"] - after["tx_held"] <= 32
    assert (after["upgrades"], after["restarts"]) == (1, 0)
    a.write(frame(101))
    assert b.read() == frame(101)
    b.write(frame(102, "b", "a"))
    assert a.read() == frame(102, "b", "a")


def test_what_waits_is_kept(run, cable):
    """Frames that nobody has read stay: in the client's socket, in the driver's hands, in the ring."""
    a, b = cable.open("a"), cable.open("b")
    for i in range(700):
        a.write(frame(1000, fill=i))
    lab.wait_for(lambda: cable.stats("a")["tx_frames"] == 700, "all are sent")
    lab.wait_for(lambda: cable.stats("b")["rx_waiting"] > 0, "the socket is full")
    upgrade(run, "b")
    for i in range(700):
        assert b.read() == frame(1000, fill=i), i
    assert cable.stats("b")["rx_missed"] == 0


def test_a_newer_program(run, cable):
    newer = run.dir / "ixgbed-2"
    shutil.copy(lab.program("ixgbed"), newer)
    for options in ("--program", "ixgbed-2"), ():  # then the same again
        pid = re.search(r"upgraded: pid (\d+)", upgrade(run, "a", *options))[1]
        assert os.readlink(f"/proc/{pid}/exe") == str(newer)


@pytest.mark.parametrize("program, words", [("/bin/true", "ends at once"), ("text", "cannot be run"),
                                            ("/bin/cat", "ends at once"), ("sleep", "does not say that it is there")])
def test_what_is_no_driver_changes_nothing(run, cable, program, words):
    if program in ("text", "sleep"):
        path = run.dir / program
        path.write_text("nothing" if program == "text" else "#!/bin/sh\nexec sleep 100\n")
        path.chmod(0o644 if program == "text" else 0o755)
        program = path
    a, b = cable.open("a"), cable.open("b")
    said = upgrade(run, "a", "--program", program, ok=False)
    assert "network:a_ixgbe: not upgraded: " in said and words in said
    assert cable.stats("a")["upgrades"] == 0
    os.kill(cable.drivers["a"], 0)
    a.write(frame(80))
    assert b.read() == frame(80)


def test_what_cannot_be_taken_over_starts_afresh(run, cable):
    """Rings of another size: the new driver cannot go on with those that there are, and says so."""
    other = run.dir / "other"
    other.write_text(f"#!/bin/sh\nexec {lab.program('ixgbed')} --rx-ring 256 \"$@\"\n")
    other.chmod(0o755)
    a, b = cable.open("a"), cable.open("b")
    said = upgrade(run, "a", "--program", other, ok=False)
    assert "the new driver serves, but after a reset" in said and "of another card or configuration" in said
    cable.wait_link("a")
    cable.wait_link("b")
    stats = cable.stats("a")
    assert (stats["rx_ring"], stats["upgrades"], stats["restarts"], stats["lost_in_restart"]) == (256, 0, 1, 0)
    a.write(frame(80))
    assert b.read() == frame(80)
    upgrade(run, "a")  # by the same again
    assert cable.stats("a")["upgrades"] == 1


def test_a_driver_that_dies_while_it_takes_over(run, cable):
    """The old program starts afresh, and clients keep what they have open."""
    bad = run.dir / "bad"
    # Says that it is there, takes the card, and ends.
    bad.write_text(f"""#!/usr/bin/env python3
import os, socket, struct
channel = socket.socket(fileno=int(os.environ["PCID_CLIENT_CHANNEL"]))
assert struct.unpack_from("<I", channel.recv(65536))[0] == 5
channel.send(struct.pack("<II", 6, 0))
assert struct.unpack_from("<I", channel.recv(65536))[0] == 1
""")
    bad.chmod(0o755)
    a, b = cable.open("a"), cable.open("b")
    said = upgrade(run, "a", "--program", bad, ok=False)
    assert "ended before it was ready; the old one starts afresh" in said
    cable.wait_link("a")
    cable.wait_link("b")
    a.write(frame(80))
    assert b.read() == frame(80)


def ask_as(uid, folder, name):
    """What a process of that user gets that sends a request, whole but wrong: the reply's error, or connect's."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chdir(folder)  # whose parents are nobody else's business
            os.setgroups([])
            os.setresuid(uid, uid, uid)
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
                connection.settimeout(lab.PATIENCE)
                connection.connect(name)
                error = struct.unpack_from("<Ii", connection.recv(4096))[1]
        except OSError as problem:
            error = problem.errno
        finally:
            os.write(writer, struct.pack("<i", error))
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    error = struct.unpack("<i", os.read(reader, 4))[0]
    os.close(reader)
    return error


def test_who_may_ask(run, cable):
    path = run.schemes / "a_ixgbe.control"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "no pcid serves it" in upgrade(run, "c", ok=False)
    code, said = run.call("pcid", "--program", "/bin/true")
    assert code == 2 and "--program is for --upgrade" in said
    if os.geteuid() == 0:
        run.schemes.chmod(0o755)
        assert ask_as(65534, run.schemes, path.name) == errno.EACCES  # of connect(2)
        path.chmod(0o666)  # where the mode is not obeyed
        assert ask_as(65534, run.schemes, path.name) == -errno.EACCES
    cable.process.stop()
    assert not path.exists()


def test_a_long_path(run):
    """Longer than a socket's address may be."""
    root = run.dir / ("long" * 40)
    root.mkdir()
    run.schemes, run.env["SCHEME_ROOT"] = root, str(root)
    stack = Stack(run, a="loop")
    stack.pcid()
    assert "upgraded" in upgrade(run, "a")


def test_requests_that_are_none(run, cable):
    path = run.schemes / "a_ixgbe.control"
    good = struct.pack("<II4096s", 0x6C727463, 1, b"/bin/true")
    for request in (b"x", good[:-1], good + b"x", struct.pack("<II4096s", 1, 1, b""), struct.pack("<II4096s", 0x6C727463, 3, b""),
                    struct.pack("<II4096s", 0x6C727463, 1, b"bin/true"), struct.pack("<II4096s", 0x6C727463, 1, b"/" * 4096)):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.settimeout(lab.PATIENCE)
            connection.connect(str(path))
            connection.send(request)
            assert struct.unpack_from("<Ii", connection.recv(4096))[1] == -errno.EPROTO
    assert cable.stats("a")["upgrades"] == 0
    if lab.LINUX >= (6, 16):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection, pytest.raises(PermissionError):
            connection.connect(str(path))
            socket.send_fds(connection, [good], [connection.fileno()])
    # Who says nothing is waited for, and holds up nobody but others that ask; then it is another's turn.
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
        silent.settimeout(lab.PATIENCE)
        silent.connect(str(path))
        assert cable.value("a", "/mtu") == b"1500\n"
        upgrade(run, "a")
        assert struct.unpack_from("<Ii", silent.recv(4096))[1] == -errno.EPROTO
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as leaves:
        leaves.connect(str(path))
    upgrade(run, "a")
