# SPDX-License-Identifier: BSD-3-Clause
"""The cage: what is in force around a driver that serves, and that there is no way out of one (test/escape.c)."""
import errno
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

import lab
from scheme_client import READ
from stack import Stack, frame

ESCAPE = lab.BUILD / "test" / "escape"
ORDINARY = ("setpriv", "--reuid", "4321", "--regid", "4321", "--clear-groups")
KILLED = [
    "openat2", "socket", "socket-inet", "socketpair", "connect", "bind", "accept", "ptrace", "execve", "execveat",
    "kill", "tgkill", "pidfd", "mmap-exec", "mprotect-exec", "pkey-exec", "ioctl-inject", "ioctl-high", "ioctl-reset",
    "ioctl-map", "fork", "clone", "clone3", "memfd", "setuid", "mount", "unshare", "setns", "bpf", "io_uring",
    "userfaultfd", "perf", "add_key", "prctl", "chroot", "unlinkat", "prlimit", "setown", "process_vm_readv", "old-abi"]
REFUSED = {"open": errno.EACCES, "openat": errno.EACCES, "openat-proc": errno.EACCES}
ALLOWED = ["allowed-read", "allowed-send", "allowed-descriptor", "allowed-epoll", "allowed-yield", "allowed-sleep",
           "allowed-protect", "allowed-map", "allowed-memory", "allowed-flags", "allowed-duplicate", "allowed-statfs"]


def escape(*arguments, wrap=()):
    """Tries to; returns (exit code, what is in force, the attempt's outcome)."""
    done = subprocess.run([*wrap, ESCAPE, *arguments], capture_output=True, text=True, timeout=lab.PATIENCE)
    lines = done.stdout.splitlines()
    rules = dict(line[2:].split(" ", 1) for line in lines if line.startswith("| "))
    return done.returncode, rules, [line for line in lines if not line.startswith("| ")]


@pytest.fixture(scope="module")
def filtered():
    if escape("allowed-read")[1]["seccomp"] != "1":
        pytest.skip("built with a sanitizer, which the filter would not let work")


@pytest.fixture(params=["started", "ordinary"])
def wrap(request):
    """Whoever runs the tests; and, where that is root, an ordinary user too."""
    if request.param == "started":
        return ()
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    return ORDINARY


def test_each_way_out_is_shut(filtered, wrap):
    outcomes = {thing: escape(thing, wrap=wrap)[::2] for thing in KILLED}
    assert outcomes == {thing: (-signal.SIGSYS, []) for thing in KILLED}


def test_files_cannot_be_opened(filtered, wrap):
    outcomes = {thing: escape(thing, wrap=wrap)[::2] for thing in REFUSED}
    assert outcomes == {thing: (0, [str(error)]) for thing, error in REFUSED.items()}


def test_what_a_driver_needs_goes_on(filtered, wrap):
    outcomes = {thing: escape(thing, wrap=wrap)[::2] for thing in ALLOWED}
    assert outcomes == {thing: (0, ["0"]) for thing in ALLOWED}
    assert escape("abort", wrap=wrap)[0] == -signal.SIGABRT


def test_vfio_has_its_requests_and_no_others(filtered):
    # They reach an eventfd here, which knows none of them.
    assert escape("--vfio", "ioctl-reset")[::2] == (0, [str(errno.ENOTTY)])
    assert escape("--vfio", "ioctl-map")[::2] == (-signal.SIGSYS, [])
    assert escape("--vfio", "ioctl-inject")[::2] == (-signal.SIGSYS, [])


def test_an_unknown_user_is_refused():
    assert escape("--user", "no such user", "allowed-read")[0] == 2
    assert escape("--user", "0:no such group", "allowed-read")[0] == 2


def test_without_the_filter_the_ways_are_open():
    """What the other tests see is the cage's doing."""
    code, rules, outcome = escape("--no-cage", "openat")
    assert (code, outcome) == (0, ["-1"])  # a descriptor
    assert rules["seccomp"] == rules["landlock"] == "0"
    assert (rules["namespaces"], rules["root"], rules["dumpable"]) == ("none", "system", "1")
    assert escape("--no-cage", "socket")[2] == ["-1"]


@pytest.mark.skipif(os.geteuid() != 0, reason="root can become another user")
def test_roots_daemon_becomes_who_was_asked_for():
    for user, uid, gid in (("77", 77, 77), ("77:88", 77, 88), ("nobody:88", 65534, 88)):
        _, rules, _ = escape("--user", user, "allowed-read")
        assert (rules["user"], rules["group"]) == (str(uid), str(gid))


def test_a_user_that_cannot_be_had():
    """In a container that knows one user, the default stays with it, one that was asked for does not come."""
    inside = ("unshare", "--user", "--map-root-user")
    if shutil.which("unshare") is None or subprocess.run([*inside, "true"], capture_output=True).returncode != 0:
        pytest.skip("no user namespaces here")
    code, rules, outcome = escape("allowed-read", wrap=inside)
    assert (code, outcome) == (0, ["0"])
    assert (rules["user"], rules["capabilities"], rules["no_new_privs"]) == ("0", "none", "1")
    code, _, outcome = escape("--user", "77", "allowed-read", wrap=inside)
    assert code == 3
    assert "it cannot become another user" in outcome[0]


def test_no_user_namespaces(filtered, tmp_path):
    """Where an ordinary user may make none the rest of the walls stands, and the report says so."""
    if os.geteuid() != 0:
        pytest.skip("only root can forbid them")
    # The kernel makes none for who lives in a chroot.
    forbid = ("unshare", "--mount", "sh", "-c", 'mount --rbind / "$0" && exec chroot "$0" "$@"', tmp_path, *ORDINARY)
    if subprocess.run([*forbid, "true"], capture_output=True).returncode != 0:
        pytest.skip("no mount namespace here")
    code, rules, outcome = escape("openat", wrap=forbid)
    assert (rules["namespaces"], rules["root"], rules["capabilities"]) == ("none", "system", "none")
    assert (code, outcome) == (0, [str(errno.EACCES)])
    assert escape("socket", wrap=forbid)[0] == -signal.SIGSYS


# --- a daemon that serves ---


def status(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {line.split(":")[0]: line.split(":", 1)[1].split() for line in lines}


def cage_of(stack, card):
    return dict(line.split(" ", 1) for line in stack.value(card, "/cage").decode().splitlines())


def check(pid, rules, uid, filtered=True):
    said = status(pid)
    assert said["NoNewPrivs"] == ["1"]
    assert {said[key][0] for key in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert said["Uid"] == [str(uid)] * 4
    assert rules["capabilities"] == "none"
    assert rules["no_new_privs"] == "1"
    assert rules["dumpable"] == "0"
    assert rules["user"] == str(uid)
    assert (rules["bounding"] == "none") == (said["CapBnd"] == ["0" * 16])
    assert said["Seccomp"] == (["2"] if rules["seccomp"] == "1" else ["0"])


def test_a_driver_of_pcids_sits_in_the_cage(run):
    stack = Stack(run, a="loop")
    root = os.geteuid() == 0
    pcid = stack.pcid(driver=("--user", "77:88") if root else ())
    rules = cage_of(stack, "a")
    check(stack.drivers["a"], rules, 77 if root else os.geteuid())
    if root:
        assert status(stack.drivers["a"])["Gid"] == ["88"] * 4
        assert status(stack.drivers["a"])["Groups"] == []
        assert rules["bounding"] == "none"
    if root and rules["seccomp"] == "1":
        assert rules["namespaces"] == "mount net ipc uts"
        assert os.listdir(f"/proc/{stack.drivers['a']}/root") == []
        assert os.readlink(f"/proc/{stack.drivers['a']}/ns/net") != os.readlink("/proc/self/ns/net")
    code, said = run.call("scheme", "cat", "network:a_ixgbe/cage")
    assert code == 0
    assert said.splitlines() == [f"{key} {value}" for key, value in rules.items()]
    stack.wait_link("a")
    with stack.open("a") as handle, stack.open("a", "/tap", READ) as tap:
        handle.write(frame(60, "a", "a"))
        assert handle.read() == frame(60, "a", "a")
        assert tap.read() == frame(60, "a", "a")
    stack.set("a", "/promisc", "1")
    assert pcid.stop() == 0, pcid.text


def test_a_daemon_by_itself_sits_in_it_too(run):
    """Clients are let in by a process beside it, which takes the socket away at the end."""
    stack = Stack(run, a="loop")
    ixgbed = stack.ixgbed("a")
    check(ixgbed.pid, cage_of(stack, "a"), 65534 if os.geteuid() == 0 else os.geteuid())
    stack.wait_link("a")
    with stack.open("a") as handle:
        handle.write(frame(60, "a", "a"))
        assert handle.read() == frame(60, "a", "a")
        assert ixgbed.stop() == 0, ixgbed.text
        assert handle.read() == b""
    assert os.listdir(run.schemes / "network") == []


def test_the_door_closes_behind_a_killed_daemon(run):
    stack = Stack(run, a="loop")
    ixgbed = stack.ixgbed("a")
    with stack.open("a") as handle:
        assert ixgbed.kill() == -signal.SIGKILL
        assert handle.read() == b""
    lab.wait_for(lambda: os.listdir(run.schemes / "network") == [], "the socket is gone")


# --- the others ---


def keeps_little(pid):
    """Root's right to pass over file permissions at most."""
    said = status(pid)
    return said["NoNewPrivs"] == ["1"] and {said[key][0] for key in ("CapPrm", "CapEff")} <= {"0" * 16, "0" * 15 + "2"} \
        and {said[key][0] for key in ("CapInh", "CapAmb")} == {"0" * 16}


def test_nicsim_and_rheinfall_drop_what_they_do_not_need(run, filtered):
    stack = Stack(run, a="cable:x", b="cable:x")
    stack.pcid()
    lab.wait_for(lambda: keeps_little(stack.nicsim.pid), "nicsim has started")
    mirror = run.start("rheinfall", "--quiet", "--url", "network:b_ixgbe")
    lab.wait_for(lambda: status(mirror.pid)["Seccomp"] == ["2"], "rheinfall has opened its scheme")
    assert keeps_little(mirror.pid)
    # All that it opens and writes later goes on.
    code, said = run.call("rheinfall", "--generate", "--count", "500", "--json", "--expect-lossless",
                          "--url", "network:a_ixgbe")
    assert code == 0, said
    assert mirror.stop() == 0, mirror.text
    assert stack.value("b", "/promisc") == b"0\n"
    assert stack.nicsim.stop() == 0, stack.nicsim.text
    assert not (run.dir / "a.sock").exists()


def test_no_cage_is_said_aloud(run):
    stack = Stack(run, a="loop")
    ixgbed = stack.ixgbed("a", "--no-cage")
    ixgbed.expect("--no-cage: this driver can do what its user can")
    assert cage_of(stack, "a")["seccomp"] == "0"
    assert status(ixgbed.pid)["Seccomp"] == ["0"]


def test_an_unknown_user_is_wrong_usage(run):
    code, said = run.call("ixgbed", "--device", "vfio-user:x", "--user", "no such user")
    assert code == 2
    assert "--user no such user: there is no such user or group" in said
