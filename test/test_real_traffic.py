# SPDX-License-Identifier: BSD-3-Clause
"""Traffic of real kernels through all of it."""
import traffic


def test_the_record_is_whole(real_traffic):
    """What tests send through the drivers is what was said: each answer, each byte of TCP, each checksum."""
    from scapy.layers.inet import ICMP, IP, TCP, UDP
    from scapy.layers.l2 import Ether
    frames = [Ether(frame) for frame in traffic.frames(real_traffic)]
    replies = [len(f[ICMP].payload) for f in frames if ICMP in f and f[ICMP].type == 0]
    assert replies == [*traffic.PING_SIZES, 32]
    answers = [bytes(f[UDP].payload) for f in frames if UDP in f and f[UDP].sport == traffic.UDP_PORT]
    assert answers == [answer for _, answer in traffic.queries(1)]
    for port_of, name in (lambda f: f[TCP].dport, "talked"), (lambda f: f[TCP].sport, "served"):
        stream = {}
        for f in frames:
            if TCP in f and port_of(f) == traffic.TCP_PORT:
                size = f[IP].len - 4 * f[IP].ihl - 4 * f[TCP].dataofs
                stream[f[TCP].seq] = bytes(f[TCP].payload)[:size]
        first = next(iter(stream))  # SYN's
        data = b"".join(stream[seq] for seq in sorted(stream, key=lambda seq: (seq - first) % 2**32))
        assert data == traffic.content(1, name, traffic.TCP_BYTES)
    for f in frames:
        if IP in f:
            again = Ether(bytes(f))
            for layer in IP, ICMP, UDP, TCP:
                if layer in again:
                    del again[layer].chksum
            assert bytes(again) == bytes(f)
