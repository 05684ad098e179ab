# SPDX-License-Identifier: BSD-3-Clause
"""Clients that die or talk nonsense, while drivers die too: the others have what is theirs, and nothing is left."""
import array
import contextlib
import errno
import json
import os
import pathlib
import random
import signal
import socket
import struct
import subprocess
import sys
import time

import pytest

import fuse
import lab
import ring_client
import scheme_client
from scheme_client import READ, WRITE
from stack import Stack
from test_survive import echo, kill, up


def send(connection, data, fds=()):
    """Whatever it takes; a connection that was hung up, or takes no more now, is none of the test's business."""
    control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    try:
        connection.sendmsg([data], control, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
    except OSError as error:
        assert error.errno in (errno.EPIPE, errno.EAGAIN, errno.ECONNRESET, errno.EMSGSIZE) or \
            fds and error.errno == errno.EPERM, error


def descriptors(*pids):
    return [len(os.listdir(f"/proc/{pid}/fd")) for pid in pids]


class Nonsense:
    """Connections that ask wrongly, and handles that send what is no frame and no value."""

    def __init__(self, stack):
        self.stack = stack
        self.open = []
        self.refused = 0  # as the handles' pages have it
        self.fds = [os.open("/dev/null", os.O_RDWR) for _ in range(3)]

    def ask(self):
        good = scheme_client.request("/stats", READ)
        connection = scheme_client.connect(self.stack.run.schemes, "a_ixgbe")
        self.open.append(connection)
        data = random.choice([
            b"", b"\0", good[:-1], good + b"\0", os.urandom(len(good)), os.urandom(100000),
            scheme_client.request("/stats", READ, magic=1), scheme_client.request("/stats", READ, version=99),
            scheme_client.request("/none" * 30, READ), scheme_client.request("/stats", 0xffffffff),
            scheme_client.REQUEST.pack(scheme_client.MAGIC, scheme_client.VERSION, 0xffff, READ, 0, b"/stats"), good,
            ring_client.REQUEST.pack(scheme_client.MAGIC, ring_client.VERSION, 0, READ, 6, 6, 0, b"")])
        send(connection, data, random.choice([(), self.fds[:1], self.fds[:2], self.fds]))

    def talk(self):
        """Nothing that could be a frame, or set anything."""
        handle = self.stack.open("a", random.choice(["", "", "/mtu", "/promisc"]), WRITE)
        self.open.append(handle)
        for size in random.choices([0, 1, 13, 9729, 65535, 150000], k=8):
            send(handle.socket, b"\xff" * size, random.choice([(), self.fds]))

    def leave(self, some=0):
        random.shuffle(self.open)
        while len(self.open) > some:
            one = self.open.pop()
            if isinstance(one, scheme_client.Handle):
                self.refused += one.status("refused")
            one.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.leave()
        for fd in self.fds:
            os.close(fd)


def test_nonsense_while_drivers_die(run):
    random.seed(3)
    stack = Stack(run, a="loop")
    pcid = stack.pcid("--max-deaths", 0, driver=("--no-cage",))  # whose descriptors can be counted

    def open_now():
        return descriptors(pcid.pid, stack.nicsim.pid, stack.pids("a")[-1])

    def settled(count):
        lab.wait_for(lambda: open_now() == count, f"{count} descriptors, of pcid, nicsim, and the driver")

    def quiet():
        """Once nothing is being opened or closed any more."""
        seen = [0]

        def same():
            seen.append(open_now())
            time.sleep(0.05)
            return len(seen) > 5 and seen[-5:] == seen[-1:] * 5

        lab.wait_for(same, "quiet")
        return seen[-1]

    alone = quiet()
    with stack.open("a") as steady, Nonsense(stack) as nonsense:
        up(steady)
        one = quiet()
        for turn in range(8):
            for _ in range(5):
                nonsense.ask()
                nonsense.talk()
            if turn % 2:
                kill(stack, "a")
            echo(steady, fill=turn)
            nonsense.leave(10 if turn < 7 else 0)
        settled(one)
        assert steady.status("sent") == steady.status("received") == 8
        assert steady.status("refused") == 0 and steady.status("mtu") == 1500
    settled(alone)
    stats = stack.stats("a")
    assert (stats["restarts"], stats["handles"]) == (4, 0)
    assert nonsense.refused > 20


class Slow:
    """Descriptors whose close takes an hour: of sockets with SO_LINGER, and data that their peers do not read."""

    def __init__(self, _=None):
        self.listener = socket.create_server(("127.0.0.1", 0))  # which accepts nobody

    def open(self):
        one = socket.create_connection(self.listener.getsockname())
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3600))
        one.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                one.send(bytes(65536))
        return one.detach()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


def give(slow, connection, data, copies=1):
    """Sends one along, and keeps none. False: it was refused. In a process that ends: an end waits for none."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            fds = array.array("i", copies * [slow.open()])
            try:
                connection.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
                os._exit(0)
            except PermissionError:
                os._exit(1)
        os._exit(2)
    result = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert result in (0, 1)
    return result == 0


@pytest.mark.parametrize("alone", [False, True], ids=["pcid", "alone"])
def test_nobody_waits_for_what_is_slow_to_close(run, alone):
    stack = Stack(run, a="loop")
    owner = stack.ixgbed("a") if alone else stack.pcid()
    good = scheme_client.request("/stats", READ)
    rings = ring_client.REQUEST.pack(scheme_client.MAGIC, ring_client.VERSION, 0, READ, 6, 6, 0, b"")
    with Slow() as slow, stack.open("a") as steady, stack.open("a", access=WRITE) as other:
        up(steady)
        for data, copies in ((b"nonsense", 253), (rings, 1), (rings, 2), (rings, 253), (good, 1), (b"", 1)):
            for _ in range(2):
                with scheme_client.connect(stack.run.schemes, stack.name("a")) as asker:
                    assert give(slow, asker, data, copies)
        if lab.LINUX >= (6, 16):
            assert not give(slow, other.socket, bytes(60))
            assert not give(slow, steady.socket, b"")
        echo(steady, fill=1)
        with stack.open("a", "/mac", READ) as handle:
            assert len(handle.read()) == 6
        echo(steady, fill=2)
        assert steady.status("sent") == 2
        with scheme_client.connect(stack.run.schemes, stack.name("a")) as late:
            give(slow, late, b"")
        assert owner.stop(lab.PATIENCE) == 0


def lives(pid):
    threads = os.listdir(f"/proc/{pid}/task") if os.path.exists(f"/proc/{pid}") else []
    return any(lab.thread(f"{pid}/task/{thread}")[1] not in "ZX" for thread in threads)


def receiver(owner):
    """The process that has what clients send along."""
    return lab.wait_for(lambda: lab.children(owner.pid, "scheme-receiver"), "it")[0]


@pytest.mark.parametrize("kind", [Slow, fuse.Fuse])
def test_pcid_has_nothing_that_hangs(run, kind):
    """Neither its end nor a driver that it forks meets a close that lasts. Here no timer cuts one short."""
    try:
        hung = kind(run.dir / "slow")
    except OSError as error:
        pytest.skip(f"no FUSE here: {error}")
    stack = Stack(run, a="loop")
    owner = stack.pcid(wrap=("prlimit", "--sigpending=0"))
    rings = ring_client.REQUEST.pack(scheme_client.MAGIC, ring_client.VERSION, 0, READ, 6, 6, 0, b"")
    with hung, stack.open("a") as steady:
        up(steady)
        place = receiver(owner)
        before, there = descriptors(owner.pid, place)
        with contextlib.ExitStack() as askers:
            waiting = [askers.enter_context(scheme_client.connect(stack.run.schemes, stack.name("a"))) for _ in range(12)]
            owner.signal(signal.SIGSTOP)  # until who gave has ended, and it is the receiver that closes
            for asker in waiting:
                assert give(hung, asker, rings, 2)
            owner.signal(signal.SIGCONT)
            for asker in waiting:
                assert scheme_client.REPLY.unpack(asker.recv(8))[1] == -errno.EINVAL
        assert descriptors(place)[0] > there + 4
        assert "memfd:" not in pathlib.Path(f"/proc/{place}/maps").read_text()  # no card's memory: it outlives pcid
        kill(stack, "a")
        echo(steady, fill=1)
        lab.wait_for(lambda: descriptors(owner.pid) == [before], "no more descriptors than before")
        assert owner.stop(lab.PATIENCE) == 0
        assert kind is Slow or lives(place)
    lab.wait_for(lambda: not lives(place), "the end of what hung")


def test_who_receives_is_replaced(run):
    stack = Stack(run, a="loop")
    owner = stack.pcid()
    for _ in range(3):
        with ring_client.Ring(run.schemes, stack.name("a")):
            place = receiver(owner)
        os.kill(place, signal.SIGKILL)
        lab.wait_for(lambda: not lives(place), "its end")


def test_thirty_killed_clients():
    """The benchmark's short form."""
    done = subprocess.run([sys.executable, lab.ROOT / "bench" / "run", "survive", "--build", lab.BUILD, "--clients", "30"],
                          capture_output=True, text=True, timeout=4 * lab.PATIENCE)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["client_kills"] == 30 and result["frames"] > 0
    errors = ("client_errors", "corrupted", "duplicated", "reordered", "client_lost", "restarts")
    assert {name: result[name] for name in errors} == dict.fromkeys(errors, 0)
    assert result["client_descriptors_after"] <= result["client_descriptors_before"]


def test_shares_are_measured():
    """What they are is for the benchmark to say, on a machine that does nothing else: nobody was starved here."""
    done = subprocess.run([sys.executable, lab.ROOT / "bench" / "run", "shares", "--build", lab.BUILD, "--repeat", "1",
                           "--seconds", "0.5"], capture_output=True, text=True, timeout=4 * lab.PATIENCE)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    shares = {name: value for name, value in result.items() if "_share_" in name}
    assert len(shares) == 5 and min(shares.values()) > 0
    assert shares["send_share_min"] <= 1 <= shares["send_share_max"]
