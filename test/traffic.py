# SPDX-License-Identifier: BSD-3-Clause
"""Real traffic in a file: two kernels' worth of ping, UDP of the sizes of DNS, and TCP both ways up to
full frames, between two network namespaces.

    traffic.py FILE [SEED]      record it

What ping, UDP and TCP carry follows from the seed; the rest (ports, sequence numbers, times) is the
kernel's. The programs at the two ends are traffic.py too: `serve` and `talk`; `capture` records.
"""
import ctypes
import hashlib
import os
import pathlib
import random
import select
import signal
import socket
import struct
import sys
import threading

import lab
import netns

HERE, THERE = "10.77.0.1", "10.77.0.2"
# Of nobody's: what dissects frames by port must not take these for a protocol.
UDP_PORT, TCP_PORT = 5002, 5001
QUERIES = 300
TCP_BYTES = 1_500_000  # each way
FRAME_MAX = 1514
PING_SIZES = sorted({*range(0, 1472, 37), 1, 17, 18, 19, 1471, 1472})
ME = [sys.executable, str(pathlib.Path(__file__).resolve())]
LAST_WORD = b"that was all 16."


def content(seed, name, size):
    """Bytes that both ends can make."""
    return random.Random(f"{seed} {name}").randbytes(size)


def queries(seed):
    """(question, answer), in the sizes that DNS has."""
    rng = random.Random(f"{seed} dns")
    for number in range(QUERIES):
        head = struct.pack("!H", number)
        yield head + rng.randbytes(rng.randint(15, 60)), head + rng.randbytes(rng.randint(30, 1230))


def receive(stream, size):
    data = bytearray()
    while len(data) < size:
        piece = stream.recv(65536)
        assert piece, "the connection ended early"
        data += piece
    return bytes(data)


def exchange(stream, mine, theirs):
    """Sends one's own while receiving the other's; both must arrive whole."""
    sender = threading.Thread(target=lambda: (stream.sendall(mine), stream.shutdown(socket.SHUT_WR)), daemon=True)
    sender.start()
    got = receive(stream, len(theirs))
    assert hashlib.sha256(got).digest() == hashlib.sha256(theirs).digest(), "TCP content differs"
    assert stream.recv(1) == b"", "TCP brought more than was sent"
    sender.join()


def serve(seed, here):
    """Answers UDP questions, then exchanges content over one TCP connection."""
    questions = dict(queries(seed))
    tcp = socket.create_server((here, TCP_PORT))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((here, UDP_PORT))
    for any_socket in tcp, udp:
        any_socket.settimeout(lab.PATIENCE)
    print("serving", flush=True)
    while True:
        question, client = udp.recvfrom(2048)
        if question == LAST_WORD:
            break
        udp.sendto(questions[question], client)
    stream, _ = tcp.accept()
    with stream:
        stream.settimeout(lab.PATIENCE)
        exchange(stream, content(seed, "served", TCP_BYTES), content(seed, "talked", TCP_BYTES))


def talk(seed, there):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(lab.PATIENCE)
        udp.connect((there, UDP_PORT))
        for question, answer in queries(seed):
            udp.send(question)
            assert udp.recv(2048) == answer, "UDP content differs"
        udp.send(LAST_WORD)
    with socket.create_connection((there, TCP_PORT), timeout=lab.PATIENCE) as stream:
        exchange(stream, content(seed, "talked", TCP_BYTES), content(seed, "served", TCP_BYTES))
    print("talked", flush=True)


def ping(namespace, there, size, extra=()):
    namespace.call("ping", "-n", "-q", "-c", "1", "-W", str(int(lab.PATIENCE)), "-M", "do", "-s", size, *extra, there)


def pass_through(a, b, there, seed=1):
    """All of it between two namespaces; AssertionError if anything does not arrive as it left."""
    server = lab.Process([*b.wrap, *ME, "serve", str(seed), there], dict(os.environ), "/")
    try:
        server.expect("^serving$")
        for size in PING_SIZES:
            ping(a, there, size, ("-p", f"{(seed + size) & 0xff:02x}"))
        a.call(*ME, "talk", seed, there, limit=4 * lab.PATIENCE)
        assert server.wait() == 0, server.text
    finally:
        server.kill()


def capture(interface, path):
    """Records until SIGTERM, then says how many frames were dropped."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    pcap = ctypes.CDLL("libpcap.so.0.8")
    pcap.pcap_create.restype = pcap.pcap_dump_open.restype = ctypes.c_void_p
    why = ctypes.create_string_buffer(256)
    handle = ctypes.c_void_p(pcap.pcap_create(interface.encode(), why))
    pcap.pcap_set_snaplen(handle, 65535)
    pcap.pcap_set_buffer_size(handle, 32 << 20)
    pcap.pcap_set_immediate_mode(handle, 1)
    if pcap.pcap_activate(handle) < 0 or pcap.pcap_setnonblock(handle, 1, why) < 0:
        sys.exit(f"cannot record {interface}: {why.value.decode()}")
    dumper = ctypes.c_void_p(pcap.pcap_dump_open(handle, str(path).encode()))
    descriptor = pcap.pcap_get_selectable_fd(handle)
    print("recording", flush=True)
    while not stopped.is_set():
        select.select([descriptor], [], [], 0.05)
        assert pcap.pcap_dispatch(handle, -1, pcap.pcap_dump, dumper) >= 0
        pcap.pcap_dump_flush(dumper)
    stats = (ctypes.c_uint * 3)()  # received, dropped, dropped by the interface
    pcap.pcap_stats(handle, stats)
    pcap.pcap_dump_close(dumper)
    pcap.pcap_close(handle)
    print(f"dropped {stats[1]}", flush=True)


class Recorder:
    """Records on an interface of a namespace, through libpcap. Not by tcpdump, which wants to become
    another user, of whom a user namespace has none."""

    def __init__(self, namespace, interface, path):
        self._path = pathlib.Path(path)
        self._process = lab.Process(
            [*namespace.wrap, *ME, "capture", interface, str(path)], dict(os.environ), "/")
        try:
            self._process.expect("^recording$")
        except AssertionError:
            self._process.kill()
            raise

    def stop(self, last):
        """Once `last` is in the file twice, asked and answered, ends it. Nothing may be missing."""
        try:
            lab.wait_for(lambda: self._path.read_bytes()[-4096:].count(last) == 2, "the last frame in the file")
            self._process.signal(signal.SIGTERM)
            self._process.expect("^dropped 0$")
            assert self._process.wait() == 0, self._process.text
        finally:
            self._process.kill()


def frames(path):
    """The frames of a capture file, as scapy reads it."""
    from scapy.utils import RawPcapReader  # slow to load
    reader = RawPcapReader(str(path))
    try:
        return [frame for frame, _ in reader]
    finally:
        reader.close()


def record(path, seed=1):
    """Makes the traffic and records it; returns the path."""
    with netns.Pair() as pair:
        pair.join("veth0")
        for end, address in (pair.a, HERE), (pair.b, THERE):
            end.ip(f"addr add {address}/24 dev veth0")
            end.ip("link set veth0 up")
        recorder = Recorder(pair.a, "veth0", path)
        pass_through(pair.a, pair.b, THERE, seed)
        # 16 bytes of time, then the pattern once.
        ping(pair.a, THERE, 32, ("-p", LAST_WORD.hex()))
        recorder.stop(LAST_WORD)
    got = frames(path)
    assert len(got) > 2000, f"{len(got)} frames only"
    assert max(map(len, got)) == FRAME_MAX, "no full frame, or one that no wire carries"
    return path


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] in ("serve", "talk"):
        {"serve": serve, "talk": talk}[sys.argv[1]](int(sys.argv[2]), sys.argv[3])
    elif len(sys.argv) == 4 and sys.argv[1] == "capture":
        capture(sys.argv[2], sys.argv[3])
    elif len(sys.argv) in (2, 3) and not sys.argv[1].startswith("-"):
        print(record(sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else 1))
    else:
        sys.exit(__doc__)
