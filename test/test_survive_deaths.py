# SPDX-License-Identifier: BSD-3-Clause
"""Deaths that need an occasion: a forbidden system call, no memory left, at the start or later."""
import errno
import os
import pathlib
import signal

import pytest

import lab
import scheme_client
from stack import Stack, entry
from test_survive import alive, echo, hung_up, kill, next_driver, up

WILD = lab.BUILD / "test" / "wild"


class Driver:
    """Stands before a driver as the command of pcid's configuration, and limits its address space on demand."""

    def __init__(self, run, program):
        self.stack = Stack(run, a="loop")
        self.limit = run.dir / "limit"
        script = run.dir / "bin" / "ixgbed"
        script.parent.mkdir()
        script.write_text(f"#!/bin/sh\n[ ! -e '{self.limit}' ] || ulimit -v \"$(cat '{self.limit}')\"\n"
                          f"exec '{program}' \"$@\"\n")
        script.chmod(0o755)
        self.config = run.dir / "driver.toml"
        self.config.write_text(entry().replace('"ixgbed"', f'"{script}"'))

    def pcid(self, *options, ready=True):
        pcid = self.stack.pcid(*options, config=self.config, ready=ready)
        if ready and self.stack.value("a", "/cage").startswith(b"seccomp 0"):
            pytest.skip("built with a sanitizer: no filter, and no limit that it could live with")
        return pcid

    def set_limit(self, kib):
        """Whole, or not at all: a driver may start just now."""
        fresh = self.limit.with_suffix(".new")
        fresh.write_text(str(kib))
        fresh.rename(self.limit)

    def size(self):
        """The most that it has mapped so far, in KiB."""
        text = pathlib.Path(f"/proc/{self.stack.pids('a')[-1]}/status").read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmPeak:"))


def test_a_forbidden_call(run):
    """From inside the very driver that serves: the kernel kills it, another one follows."""
    driver = Driver(run, WILD)
    pcid = driver.pcid("--max-deaths", 0)
    stack = driver.stack
    with stack.open("a") as handle:
        for fill in range(3):
            echo(handle, fill=fill)
            pid = stack.pids("a")[-1]
            kill(stack, "a", signal.SIGUSR1)
            pcid.expect(rf"^pcid: network:a_ixgbe: ixgbed pid {pid} was killed by signal {int(signal.SIGSYS)} "
                        r"\(Bad system call\)$")
        echo(handle)
    assert stack.stats("a")["restarts"] == 3


def test_a_driver_that_takes_all_memory(run):
    driver = Driver(run, WILD)
    pcid = driver.pcid("--max-deaths", 0)
    stack = driver.stack
    driver.set_limit(4 * driver.size())
    kill(stack, "a")
    with stack.open("a") as handle:
        for fill in range(3):
            echo(handle, fill=fill)
            pid = stack.pids("a")[-1]
            kill(stack, "a", signal.SIGUSR2)
            pcid.expect(rf"^pcid: network:a_ixgbe: ixgbed pid {pid} was killed by signal {int(signal.SIGABRT)} ")
        echo(handle)
    assert stack.stats("a")["restarts"] == 4


def test_no_memory_for_the_next_driver(run):
    """Tried again and again; once there is memory the client goes on."""
    driver = Driver(run, lab.program("ixgbed"))
    pcid = driver.pcid("--max-deaths", 0)
    stack = driver.stack
    with stack.open("a") as handle:
        echo(handle)
        size = driver.size()
        driver.set_limit(size * 3 // 4)
        os.kill(stack.pids("a")[-1], signal.SIGKILL)
        lab.wait_for(lambda: pcid.text.count("Cannot allocate memory") >= 3, "tries")
        assert handle.status("present") == 0 and handle.status("link_up") == 0
        assert len(stack.pids("a")) == 1
        driver.limit.unlink()
        next_driver(stack, "a", 1)
        echo(handle)
    assert stack.stats("a")["restarts"] == 1  # those that never had the card count for nothing


def test_no_memory_and_the_patience_ends(run):
    driver = Driver(run, lab.program("ixgbed"))
    pcid = driver.pcid("--max-deaths", "3/60")
    stack = driver.stack
    with stack.open("a") as handle:
        echo(handle)
        driver.set_limit(driver.size() * 3 // 4)
        os.kill(stack.pids("a")[-1], signal.SIGKILL)
        pcid.expect(r"^pcid: network:a_ixgbe: GIVEN UP: 4 drivers died within 60 s")
        hung_up(handle)
    assert pcid.wait() == 1
    assert pcid.text.count("Cannot allocate memory") == 3


def test_no_memory_at_all(run):
    """The first driver has none: a line that says so, and the end."""
    driver = Driver(run, lab.program("ixgbed"))
    pcid = driver.pcid()
    size = driver.size()
    assert pcid.stop() == 0
    driver.set_limit(size * 3 // 4)
    pcid = driver.pcid(ready=False)
    pcid.expect(r"^pcid: network:a_ixgbe: ixgbed pid \d+: .*: Cannot allocate memory$")
    assert pcid.wait() == 1
    assert pcid.lines[-1] == "pcid: no driver is left"
    assert list((run.schemes / "network").iterdir()) == []


def handles_open(stack):
    try:
        return stack.stats("a")["handles"]
    except OSError as error:  # none for this one either, as yet
        assert error.errno == errno.ENOMEM
        return None


def test_no_memory_for_more_clients(run):
    """Who comes too late is told so; who is there notices nothing, and memory that is given back serves again."""
    driver = Driver(run, lab.program("ixgbed"))
    driver.pcid("--max-deaths", 0)
    stack = driver.stack
    driver.set_limit(driver.size() + 64)
    kill(stack, "a")
    pid = stack.pids("a")[-1]
    handles = [stack.open("a")]
    echo(handles[0])
    for turn in range(3):
        with pytest.raises(OSError, match="Cannot allocate memory"):
            while len(handles) < 200:
                handles.append(stack.open("a", access=scheme_client.WRITE))
        assert 1 < len(handles) < 200
        echo(handles[0], fill=turn)
        while len(handles) > 1:
            handles.pop().close()
        lab.wait_for(lambda: handles_open(stack) == 1, "handles that are closed")
    echo(handles[0])
    handles[0].close()
    assert alive(pid) and stack.pids("a")[-1] == pid
