# SPDX-License-Identifier: BSD-3-Clause
"""The scheme from outside: the program `scheme`, and plain sockets from Python, on a card in software whose
wire returns what is sent. Once served by ixgbed alone, once through pcid."""
import errno
import mmap
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile

import pytest

import lab


def documented_open():
    """scheme_open() as doc/scheme.md gives it to its readers."""
    text = (lab.ROOT / "doc" / "scheme.md").read_text()
    space = {}
    exec(re.search(r"```python\n(.*?)```", text, re.S).group(1), space)
    return space["scheme_open"]


scheme_open = documented_open()


class Card:
    """A served card: its name, and who serves it."""

    def __init__(self, run, owner, *args, env=None):
        self.run = run
        self.env = env
        self.nicsim = run.start("nicsim", "--device", "x540", "--socket", run.dir / "card",
                                "--mac", "02:00:00:00:00:2a", "--wire", "loop")
        self.nicsim.expect(r"on .*card")
        device = f"vfio-user:{run.dir / 'card'}"
        if owner == "pcid":
            args = ("--config", lab.ROOT / "pcid" / "pcid.toml", "--driver-path", lab.BUILD / "daemon",
                    "--vfio-user", run.dir / "card", *args)
        else:
            args = ("--device", device, "--name", "x0", *args)
        self.owner = run.start(owner, *args, env=env)
        self.name = self.owner.expect(r"network:(\S+) ready").group(1)
        self.url = f"network:{self.name}"
        lab.wait_for(lambda: self.scheme("cat", f"{self.url}/link") == (0, "up 10000"), "link")

    def scheme(self, *args, wrap=()):
        return self.run.call("scheme", *args, wrap=wrap, env=self.env)

    def stat(self, name):
        code, text = self.scheme("cat", f"{self.url}/stats")
        assert code == 0
        return int(re.search(rf"^{name} (\d+)$", text, re.M).group(1))


@pytest.fixture(params=["ixgbed", "pcid"])
def card(run, request, monkeypatch):
    monkeypatch.setenv("SCHEME_ROOT", str(run.schemes))
    return Card(run, request.param)


@pytest.fixture
def single(run, monkeypatch):
    monkeypatch.setenv("SCHEME_ROOT", str(run.schemes))
    return Card(run, "ixgbed")


def frame(mark, size=60):
    return bytes.fromhex("ffffffffffff02000000002a0800") + bytes([mark]) * (size - 14)


def opened(name, path="", access=3):
    connection, page = scheme_open(name, path, access)
    os.close(page)
    connection.settimeout(lab.PATIENCE)
    return connection


def test_values(card):
    assert card.scheme("ls") == (0, f"{card.url}  02:00:00:00:00:2a  up 10000  mtu 1500")
    assert card.scheme("cat", "network:/mac") == (0, "02:00:00:00:00:2a")
    with opened(card.name, "/mac", 1) as mac:
        assert mac.recv(100) == bytes.fromhex("02000000002a")
        assert mac.recv(100) == b""
    assert card.scheme("cat", f"{card.url}/mtu") == (0, "1500")
    assert card.scheme("set", f"{card.url}/mtu", "1400") == (0, "")
    assert card.scheme("cat", "network:/mtu") == (0, "1400")
    assert card.scheme("set", f"{card.url}/promisc", "1") == (0, "")
    assert card.scheme("cat", f"{card.url}/promisc") == (0, "1")
    code, text = card.scheme("cat", f"{card.url}/stats")
    assert code == 0
    assert all(re.fullmatch(r"[a-z0-9_]+ \S.*", line) for line in text.splitlines()), text
    assert card.stat("handles") == 0


def test_frames(card):
    with opened(card.name) as port:
        for size in (60, 61, 590, 1514):
            port.send(frame(size % 251, size))
            assert port.recv(2048) == frame(size % 251, size)
        for mark in range(100):
            port.send(frame(mark))
        assert [port.recv(2048)[59] for _ in range(100)] == list(range(100))
        assert card.stat("tx_frames") == 104
        # What a plain write cannot say is counted.
        port.send(frame(1, 1515))
        port.send(b"short")
        lab.wait_for(lambda: card.stat("refused") == 2, "two refused")
        assert card.stat("tx_frames") == 104


def test_status_page(single):
    connection, page = scheme_open(single.name)
    with connection, mmap.mmap(page, 4096, prot=mmap.PROT_READ) as status:
        connection.settimeout(lab.PATIENCE)
        assert struct.unpack_from("=6I", status) == (1, 10000, 1500, 0, 0, 1)
        connection.send(frame(1))
        connection.send(frame(1, 1515))
        lab.wait_for(lambda: struct.unpack_from("=I", status, 12) == (2,), "two writes")
        assert struct.unpack_from("=i", status, 16) == (-errno.EMSGSIZE,)
        assert struct.unpack_from("=3Q", status, 24) == (1, 1, 0)
        assert connection.recv(2048) == frame(1)
        assert struct.unpack_from("=2QI", status, 48) == (1, 0, 0)
        with pytest.raises(PermissionError):
            mmap.mmap(page, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    os.close(page)


def test_tap_shows_both_ways(single):
    cat = single.run.start("scheme", "cat", "--count", "4", f"{single.url}/tap", env=single.env)
    lab.wait_for(lambda: single.stat("handles") == 1, "the tap is open")
    with opened(single.name) as port:
        for size in (60, 90):
            port.send(frame(1, size))
            assert port.recv(2048) == frame(1, size)
    assert cat.wait() == 0
    line = "ff:ff:ff:ff:ff:ff 02:00:00:00:00:2a 0800"
    assert sorted(cat.lines) == [f"60 {line}", f"60 {line}", f"90 {line}", f"90 {line}"]


def test_frames_nobody_reads_are_counted(single):
    with opened(single.name, access=2) as port:
        port.send(frame(1))
        lab.wait_for(lambda: single.stat("unclaimed") == 1, "one unclaimed")


def test_wrong_urls(single):
    for path, number in (("/nonsense", errno.ENOENT), ("/mac/", errno.ENOENT), ("mac", errno.EINVAL)):
        with pytest.raises(OSError) as error:
            scheme_open(single.name, path)
        assert error.value.errno == number
    with pytest.raises(PermissionError):
        scheme_open(single.name, "/mac", 3)
    for args, word in ((("cat", "network:other"), "no such scheme"),
                       (("cat", f"{single.url}/nonsense"), "no such scheme or path"),
                       (("cat", "http://x"), "not a URL"),
                       (("set", f"{single.url}/mac", "1"), "not allowed"),
                       (("set", f"{single.url}/mtu", "many"), "does not take 'many'"),
                       (("set", f"{single.url}/mtu", "67"), "does not take '67'"),
                       (("set", f"{single.url}", "x"), "does not take 'x'")):
        code, text = single.scheme(*args)
        assert (code, len(text.splitlines())) == (1, 1), text
        assert word in text and args[1] in text


@pytest.mark.parametrize("args", [(), ("nonsense",), ("ls", "x"), ("cat",), ("cat", "a", "b"), ("set", "a"),
                                  ("--nonsense",), ("cat", "--count", "0", "network:"),
                                  ("cat", "--count", "x", "network:"), ("cat", "--count")])
def test_wrong_usage(run, args):
    code, text = run.call("scheme", *args)
    assert code == 2
    assert len(text.splitlines()) == 1 and "scheme --help" in text


def test_nothing_there(run):
    code, text = run.call("scheme", "ls")
    assert code == 1 and f"no card in {run.schemes}/network" in text
    code, text = run.call("scheme", "cat", "network:/mac")
    assert code == 1 and "no such scheme" in text
    code, text = run.call("scheme", "--help")
    assert code == 0 and text.startswith("usage:")
    assert run.call("scheme", "--version")[0] == 0


def test_output_that_fails(single):
    with open("/dev/full", "w") as full:
        done = subprocess.run([lab.program("scheme"), "ls"], stdout=full, stderr=subprocess.PIPE, text=True,
                              env=dict(single.run.env), timeout=lab.PATIENCE)
    assert done.returncode == 1 and "standard output" in done.stderr


def test_driver_killed(single):
    port = opened(single.name)
    cat = single.run.start("scheme", "cat", f"{single.url}/tap", env=single.env)
    lab.wait_for(lambda: single.stat("handles") == 2, "port and tap are open")
    single.owner.kill()
    assert port.recv(2048) == b""
    with pytest.raises(BrokenPipeError):
        port.send(frame(1))
    port.close()
    assert cat.wait() == 1 and "driver has left" in cat.text
    # Whoever keeps the door takes its socket away. A dead one is passed over, and told from one that is missing.
    path = single.run.schemes / "network" / single.name
    lab.wait_for(lambda: not path.exists(), "the end of the socket")
    directory = os.open(path.parent, os.O_PATH)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
        dead.bind(f"/proc/self/fd/{directory}/{single.name}")
    os.close(directory)
    code, text = single.scheme("ls")
    assert code == 1 and "no card" in text
    code, text = single.scheme("cat", f"{single.url}/mac")
    assert code == 1 and "its owner is gone" in text


def test_driver_stopped(single):
    port = opened(single.name)
    assert single.owner.stop() == 0
    assert port.recv(2048) == b""
    port.close()
    assert not (single.run.schemes / "network" / single.name).exists()


def test_client_killed(single):
    cat = single.run.start("scheme", "cat", single.url, env=single.env)
    lab.wait_for(lambda: single.stat("handles") == 1, "it is open")
    cat.signal(signal.SIGKILL)
    cat.wait()
    lab.wait_for(lambda: single.stat("handles") == 0, "it is cleared away")
    with opened(single.name) as port:
        port.send(frame(7))
        assert port.recv(2048) == frame(7)


def test_who_may_open(run):
    """Another user is refused, unless anyone may; as an ordinary user there is no other to become."""
    if os.geteuid() != 0:
        return
    root = tempfile.mkdtemp()  # one that others can enter, as /run/scheme
    try:
        os.chmod(root, 0o755)
        program = shutil.copy(lab.program("scheme"), root)
        nobody = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
        card = Card(run, "ixgbed", env={"SCHEME_ROOT": root})
        code, text = run.call(program, "cat", "network:x0/mac", wrap=nobody, env=card.env)
        assert code == 1 and "not allowed" in text
        assert card.owner.stop() == 0
        card.owner = run.start("ixgbed", "--device", f"vfio-user:{run.dir / 'card'}", "--name", "x0", "--anyone",
                               env=card.env)
        card.owner.expect("ready")
        assert run.call(program, "cat", "network:x0/mac", wrap=nobody,
                        env=card.env) == (0, "02:00:00:00:00:2a")
    finally:
        shutil.rmtree(root)


def test_hostile_clients(single):
    """Nonsense, silence and floods, while another client's frames go through."""
    path = str(single.run.schemes / "network" / single.name)
    silent = []
    for _ in range(20):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.connect(path)
        silent.append(s)
    for message in (b"x", b"\0" * 208, b"y" * 1000):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.settimeout(lab.PATIENCE)
            s.connect(path)
            s.send(message)
            assert len(s.recv(100)) == 8
            assert s.recv(100) == b""
    flood = opened(single.name, access=2)
    flood.setblocking(False)
    with opened(single.name) as port:
        for mark in range(50):
            try:
                while True:
                    flood.send(b"")
                    flood.send(b"z" * 13)
                    flood.send(b"z" * 3000)
            except BlockingIOError:
                pass
            port.send(frame(mark))
            assert port.recv(2048) == frame(mark)
    flood.close()
    for s in silent:
        s.close()
    lab.wait_for(lambda: single.stat("handles") == 0, "all are cleared away")
