# SPDX-License-Identifier: BSD-3-Clause
"""pcid under a service manager: what it tells it, by a socket that stands in for systemd's; and its unit, as
systemd-analyze judges it."""
import os
import re
import shutil
import signal
import socket
import subprocess
import uuid

import pytest

import lab
from stack import CONFIG, Stack

UNIT = lab.BUILD / "pcid" / "pcid.service"


class Manager:
    """Plays the notify socket: by path, or by an abstract name."""

    def __init__(self, run, abstract):
        self.name = f"@ixgbed-{uuid.uuid4()}" if abstract else str(run.dir / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + self.name[1:] if abstract else self.name)
        self._socket.settimeout(lab.PATIENCE)

    def next(self):
        return self._socket.recv(4096).decode()

    def until(self, end):
        """Messages up to the one that holds this line."""
        got = [self.next()]
        while end not in got[-1].splitlines():
            got.append(self.next())
        return got

    def close(self):
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(run, request):
    it = Manager(run, request.param == "abstract")
    run.env["NOTIFY_SOCKET"] = it.name
    yield it
    it.close()


def test_ready_status_and_stopping(run, manager):
    stack = Stack(run, a="loop", b="loop")
    pcid = stack.pcid()
    told = manager.until("READY=1")
    assert told[-1] == "READY=1\nSTATUS=2 of 2 cards served\n"
    # Not before all serve, and each state once.
    assert all(re.fullmatch(r"STATUS=[01] of 2 cards served\n", message) for message in told[:-1])
    assert len(set(told)) == len(told)
    pcid.signal(signal.SIGTERM)
    assert manager.until("STOPPING=1")[-1] == "STOPPING=1\nSTATUS=stopping\n"
    assert pcid.wait() == 0, pcid.text


def test_nothing_is_told_before_there_is_a_card(run, manager):
    code, said = run.call("pcid", "--config", CONFIG, "--vfio-user", run.dir / "none.sock")
    assert code == 1, said
    assert manager.next() == "STOPPING=1\nSTATUS=stopping\n"


@pytest.mark.parametrize("name", ["", "@", "relative", "/" + "x" * 200])
def test_a_socket_that_is_none_does_no_harm(run, name):
    run.env["NOTIFY_SOCKET"] = name
    stack = Stack(run, a="loop")
    assert stack.pcid().stop() == 0


# --- the unit ---


@pytest.fixture
def unit(tmp_path):
    assert shutil.which("systemd-analyze"), "systemd-analyze is missing: .ci/install check"
    path = tmp_path / "pcid.service"
    text, count = re.subn(r"(?m)^ExecStart=\S+/pcid$", f"ExecStart={lab.program('pcid')}", UNIT.read_text())
    assert count == 1
    # Documentation that is not installed where the tests run would be complained of.
    path.write_text(re.sub(r"(?m)^Documentation=.*\n", "", text))
    return path


def analyze(*arguments):
    done = subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True,
                          timeout=lab.PATIENCE, env=dict(os.environ, SYSTEMD_PAGER=""))
    return done.returncode, done.stdout + done.stderr


def test_the_unit_is_understood(unit):
    code, said = analyze("verify", unit)
    assert code == 0, said
    assert [line for line in said.splitlines() if "pcid.service" in line] == []
    # A word that systemd does not know is noticed: it is no error of its own.
    unit.write_text(unit.read_text().replace("ProtectHome=", "ProtectHouse="))
    assert "ProtectHouse" in analyze("verify", unit)[1]


def allowed_calls(unit):
    """The system calls of the sets that the unit's filter names."""
    groups, group = {}, None
    for line in analyze("syscall-filter")[1].splitlines():
        if line.startswith("@"):
            group = groups.setdefault(line.split()[0], set())
        elif group is not None and re.fullmatch(r"\s+[@a-z]\S*", line):
            group.add(line.strip())

    def members(name):
        return {name} if not name.startswith("@") else set().union(*(members(word) for word in groups[name]))
    return set().union(*(members(name) for name in re.search(r"(?m)^SystemCallFilter=(.+)$", unit.read_text())[1].split()))


@pytest.mark.traced
def test_the_unit_lets_pcid_and_its_drivers_do_their_work(run, unit):
    """Into the cage above all: nothing would be served without."""
    log = run.dir / "calls"
    strace = ("strace", "--follow-forks", "--seccomp-bpf", "--quiet=all", "-o", str(log))
    assert shutil.which("strace"), "strace is missing: .ci/install check"
    stack = Stack(run, a="loop")
    pcid = stack.pcid(wrap=strace[:2] + strace[3:])
    stack.stats("a")
    os.kill(int(log.read_text().split()[0]), signal.SIGTERM)
    assert pcid.wait() == 0, pcid.text
    made = set(re.findall(r"(?m)^\d+ +([a-z]\w*)\(", log.read_text()))
    assert {"execve", "unshare", "capset", "recvmsg"} <= made  # both of them are there
    assert made - allowed_calls(unit) == set()


def test_the_unit_is_hardened(unit):
    """Exposure as systemd computes it, from 0 (none) to 10."""
    code, said = analyze("security", "--offline=true", "--threshold=40", unit)
    assert code == 0, said
    text = unit.read_text()
    unit.write_text(text.replace("SystemCallFilter=", "#").replace("CapabilityBoundingSet=", "#"))
    assert analyze("security", "--offline=true", "--threshold=40", unit)[0] != 0
