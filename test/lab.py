# SPDX-License-Identifier: BSD-3-Clause
"""Processes under test: each starts with its output on record, is waited for by conditions that have a
limit, and is ended by its own id."""
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

import netns

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("IXGBED_BUILD", ROOT / "build")).resolve()
# Everything is slower under sanitizers, valgrind or a busy machine: limits, never waits.
PATIENCE = float(os.environ.get("IXGBED_PATIENCE", "30"))
# "mapped": every nicsim is started with --doorbells mapped, unless a test says how itself.
DOORBELLS = os.environ.get("IXGBED_DOORBELLS", "trapped")
LINUX = tuple(map(int, os.uname().release.split(".")[:2]))


def program(name):
    """The path of a program of the build folder: 'nicsim' is nicsim/nicsim, 'ixgbed' daemon/ixgbed."""
    paths = [BUILD / folder / name for folder in (name, "daemon")]
    path = next((path for path in paths if path.exists()), None)
    assert path, f"{paths[0]} is not built"
    return str(path)


def wait_for(condition, what, limit=None):
    """Waits until condition() is true and returns its value."""
    end = time.monotonic() + (limit or PATIENCE)
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not within {limit or PATIENCE} s: {what}"
        time.sleep(0.01)


def thread(path):
    """Name and state of a process or thread in /proc. One that is gone is dead."""
    try:
        name, rest = pathlib.Path(f"/proc/{path}/stat").read_text().split("(", 1)[1].rsplit(")", 1)
        return name, rest.split()[0]
    except OSError:
        return "", "X"


def children(pid, name):
    """The processes of that name that another one has started."""
    pids = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(pid) for pid in pids if (at := thread(pid))[0] == name and at[1] not in "ZX"]


class Process:
    def __init__(self, args, env, cwd, pass_fds=()):
        self.args = args
        self.lines = []
        self._changed = threading.Condition()
        self._child = subprocess.Popen(
            args, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", pass_fds=pass_fds)
        self.pid = self._child.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._child.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    @property
    def text(self):
        return "\n".join(self.lines)

    def expect(self, pattern, limit=None):
        """Waits for a line of output that matches; returns the match."""
        end = time.monotonic() + (limit or PATIENCE)
        seen = 0
        with self._changed:
            while True:
                for line in self.lines[seen:]:
                    match = re.search(pattern, line)
                    if match:
                        return match
                seen = len(self.lines)
                over = not self._reader.is_alive()
                left = end - time.monotonic()
                if over or left <= 0:
                    why = "it ended" if over else "time is up"
                    raise AssertionError(f"{why} before {pattern!r}: {self.args}\n" + "\n".join(self.lines))
                self._changed.wait(min(left, 0.2))

    def running(self):
        return self._child.poll() is None

    def ended(self, limit):
        """Waits for its end, but not for its output, which those it has started may hold open."""
        self._child.wait(limit)

    def wait(self, limit=None):
        """Waits for its end; returns the exit code (negative: the signal)."""
        code = self._child.wait(limit or PATIENCE)
        self._reader.join(limit or PATIENCE)
        return code

    def signal(self, number):
        if self.running():
            os.kill(self.pid, number)

    def stop(self, limit=None):
        """SIGTERM, and what it came to."""
        self.signal(signal.SIGTERM)
        return self.wait(limit)

    def kill(self):
        self.signal(signal.SIGKILL)
        return self.wait()


class Lab:
    """The processes and files of one test."""

    def __init__(self, tmp_path):
        self.dir = tmp_path
        self.schemes = tmp_path / "scheme"
        self.schemes.mkdir()
        self.env = dict(os.environ, SCHEME_ROOT=str(self.schemes), NICSIM_ROOT=str(tmp_path),
                        XDG_STATE_HOME=str(tmp_path))
        self._running = []
        self._namespaces = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self._running):
            if process.running():
                process.signal(signal.SIGTERM)
        for process in reversed(self._running):
            try:
                process.ended(5)
            except subprocess.TimeoutExpired:
                process.signal(signal.SIGKILL)
                process.ended(PATIENCE)
        for namespace in self._namespaces:
            namespace.close()
        # pytest shows it where the test has failed.
        for process in self._running:
            print(f"-- pid {process.pid}: {' '.join(map(str, process.args))}", *process.lines[-40:], sep="\n")

    def start(self, name, *args, wrap=(), env=None):
        """Starts a program of the build folder (or a path); `wrap` goes in front, as 'ip netns exec X'."""
        path = name if "/" in name else program(name)
        if name == "nicsim" and "--device" in args and "--doorbells" not in args:
            args = ("--doorbells", DOORBELLS, *args)
        return self.start_with([*wrap, path, *map(str, args)], env)

    def start_with(self, command, env=None, pass_fds=()):
        """Starts any command, with descriptors that it inherits."""
        process = Process(command, dict(self.env, **(env or {})), self.dir, pass_fds)
        self._running.append(process)
        return process

    def call(self, name, *args, limit=None, wrap=(), env=None):
        """Runs a program to its end; returns (exit code, output)."""
        process = self.start(name, *args, wrap=wrap, env=env)
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"did not end: {process.args}\n{process.text}") from None
        return code, process.text

    def namespace(self):
        """A new network namespace; it goes with the test."""
        self._namespaces.append(netns.Namespace())
        return self._namespaces[-1]
