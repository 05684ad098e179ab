# SPDX-License-Identifier: BSD-3-Clause
"""nicsim judged by DPDK's driver, on its vector path and on its full one: testpmd, in a guest, on the kernel's
VFIO, forwards what comes from the far end of a wire, which has it back."""
import re
import socket
import struct

import pytest
from scapy.all import IP, TCP, UDP, Ether, IPv6, wrpcap

import guest
import rss
import strict
import traffic

pytestmark = pytest.mark.guest

LOADER = guest.CACHE / "dpdk/ld-linux-x86-64.so.2"
# For four cards, and as many again; on an idle machine it takes half a minute.
LIMIT = 4 * guest.PATIENCE
# Each twice: for the vector path, and for the full one.
DEVICES = ["x540", "x550", "82599", "82599-kx4"]
QUEUES = 4
# Around a cache line, the MTU, a buffer of 2 KiB, a page; the shortest and the longest.
SHORT = (60, 61, 63, 64, 65, 127, 128, 129, 511, 512, 1000, 1513, 1514)
LONG = (1515, 2044, 2047, 2048, 2049, 4095, 4096, 4097, 6145, 8192, 9013, 9014)

SCRIPT = """
chmod 755 / # else no plug-in is taken from below
mkdir -p /var/run
echo 48 >/proc/sys/vm/nr_hugepages
for card in /sys/bus/pci/devices/*; do
	[ "$(cat $card/class)" = 0x020000 ] || continue
	echo vfio-pci >$card/driver_override
	echo ${card##*/} >/sys/bus/pci/drivers_probe
done
export HOME=/tmp
trap '[ ! -e /tmp/out ] || cat /tmp/out' EXIT

# A testpmd with options of EAL's, and of its own; its input is descriptor 3, its output /tmp/out.
testpmd() {
	eal=$1
	shift
	mkfifo /tmp/in
	/dpdk/$LOADER --library-path /dpdk /dpdk/dpdk-testpmd --in-memory --no-telemetry -m 80 \\
		--lcores 0@0,1@0 -d /dpdk/librte_mempool_ring.so --log-level=pmd.net.ixgbe.init:debug $eal -- \\
		--interactive --total-num-mbufs=8192 --port-topology=loop --txd=1024 --no-flush-rx "$@" \\
		</tmp/in >/tmp/out 2>&1 & testpmd=$!
	exec 3>/tmp/in
}
say() { for line; do echo "$line" >&3; done; }
# Forwards $1 frames of each card, and ends.
forward() {
	# Without "retry" what a full ring does not take is dropped.
	say "set fwd $2 retry" "set burst tx delay 100 retry 10000" start
	i=0
	until [ $(grep TX-errors /tmp/out | tail -n $CARDS | grep -c "TX-packets: $1 ") = $CARDS ]; do
		i=$((i + 1))
		[ $i -lt 300 ]
		kill -0 $testpmd
		say "show port stats all"
		sleep 1
	done
	say stop
	for port in $(seq 0 $((CARDS - 1))); do
		say "show port info $port" "show port $port rss-hash key"
	done
	say quit
	wait $testpmd
	echo "== $2"
	cat /tmp/out
	rm /tmp/in /tmp/out
}

testpmd "$VECTOR"
forward $N_VECTOR io

testpmd "--force-max-simd-bitwidth=64 $FULL" --enable-rx-cksum --enable-scatter --max-pkt-len=9018 \\
	--tx-offloads=0x800e --rxq=$QUEUES --txq=$QUEUES --rss-udp # checksums, several buffers a frame
forward $N_FULL csum
"""


def body(size):
    """So many bytes, of which none looks like its neighbours."""
    return bytes(n * 7 + (n >> 8) & 0xff for n in range(size))


def plain(n):
    """A frame that no card knows anything of, for all: it comes before testpmd turns the filters off."""
    size = SHORT[n % len(SHORT)]
    return b"\xff" * 6 + bytes.fromhex("02 00 00 00 10 00 88 b5") + struct.pack(">I", n) + body(size - 18)


def packet(n):
    """One of IP, for all, with right checksums; of each size and kind, of different connections."""
    size = (*SHORT, *LONG)[n % len(SHORT + LONG)]
    ip = IPv6(src=f"fd00::{n % 5}", dst="fd00::1") if n % 3 == 2 else IP(src=f"10.0.{n % 5}.2", dst="10.0.0.1", id=n)
    transport = TCP(sport=n % 11, dport=80, seq=n) if n % 4 == 3 else UDP(sport=n % 61, dport=5000 + n % 7)
    head = Ether(src="02:00:00:00:10:00", dst="ff:ff:ff:ff:ff:ff") / ip / transport
    return bytes(head / body(max(0, size - len(head)))).ljust(60, b"\0")


def spoilt(frame):
    """Its checksums are wrong."""
    data = bytearray(frame)
    six = data[12:14] == b"\x86\xdd"
    if not six:
        data[24] ^= 0x55
    at, protocol = (54, data[20]) if six else (34, data[23])
    data[at + (16 if protocol == 6 else 6)] ^= 0xaa
    return bytes(data)


def queue(frame, key):
    """Where the hash leads: 0, 1, 2, 3, 0 ... is the driver's table."""
    six = frame[12:14] == b"\x86\xdd"
    data = frame[22:54] if six else frame[26:34]
    at, protocol = (54, frame[20]) if six else (34, frame[23])
    return rss.toeplitz(key, data + (frame[at:at + 4] if protocol == socket.IPPROTO_UDP else b"")) % QUEUES


def test_forwards_on_its_vector_and_its_full_path(run):
    sent = {"io": [plain(n) for n in range(600)], "csum": [packet(n) for n in range(400)]}
    wire = {"io": sent["io"], "csum": [spoilt(frame) if n % 2 else frame for n, frame in enumerate(sent["csum"])]}
    for mode in sent:
        wrpcap(str(run.dir / f"{mode}.pcap"), [Ether(frame) for frame in wire[mode]])
    cards = [(mode, device) for mode in sent for device in DEVICES]
    arguments = [text for mode, device in cards for text in (
        "--device", device, "--socket", run.dir / f"{mode}.{device}",
        "--wire", f"pcap:{run.dir / mode}.pcap,{run.dir / mode}.{device}.pcap")]
    nicsim = run.start("nicsim", "--strict", *arguments)
    nicsim.expect(f"csum.{DEVICES[-1]}, wire")

    slots = [f"0000:00:{n + 1:02x}.0" for n in range(len(cards))]
    allow = {mode: " ".join(f"-a {slot}" for slot, card in zip(slots, cards) if card[0] == mode) for mode in sent}
    machine = guest.Guest(
        run, f"LOADER={LOADER.name} CARDS={len(DEVICES)} QUEUES={QUEUES}\n"
             f"N_VECTOR={len(sent['io'])} N_FULL={len(sent['csum'])}\n"
             f"VECTOR='{allow['io']}' FULL='{allow['csum']}'\n{SCRIPT}",
        iommu=True, modules=["vfio-pci", "vfio_iommu_type1"],
        files={f"dpdk/{path.name}": path.read_bytes() for path in (guest.CACHE / "dpdk").iterdir() if path != LOADER},
        programs={f"dpdk/{LOADER.name}": LOADER},
        qemu=[text for slot, (mode, device) in zip(slots, cards)
              for text in guest.card(run.dir / f"{mode}.{device}", bus="pcie.0", addr=slot[-4:])])
    machine.expect("^== csum", LIMIT)
    # The prompt and what is said go past the buffer of what is printed, into the middle of lines.
    text = re.sub(r"testpmd> [^\n]*\n\n", "", "\n".join(machine.finish(limit=LIMIT)))
    assert nicsim.stop() == 0
    assert not strict.unlisted(nicsim, "DPDK")

    _, vector, full = re.split("^== .*", text, flags=re.M)
    for mode, said in ("io", vector), ("csum", full):
        octets = sum(map(len, sent[mode]))
        for port, device in enumerate(DEVICES):
            # The wire's end, the card's counters and the driver agree.
            assert re.search(rf"statistics for port {port} .*\n  RX-packets: {len(sent[mode])} +RX-missed: 0 +"
                             rf"RX-bytes: +{octets}\n  RX-errors: 0\n  RX-nombuf: +0 *\n"
                             rf"  TX-packets: {len(sent[mode])} +TX-errors: 0 +TX-bytes: +{octets}\n", said), device
            assert re.search(rf"Infos for port {port} (?:.*\n)+?Driver name: net_ixgbe\n(?:.*\n)+?"
                             r"Link status: up\nLink speed: 10 Gbps\n", said), device

    assert vector.count("Vector tx enabled.") == len(DEVICES) and "full-featured" not in vector
    assert full.count("Using full-featured tx code path") == len(DEVICES) * QUEUES
    for port, device in enumerate(DEVICES):
        assert f"Vector rx enabled, please make sure RX burst size no less than 4 (port={port})." in vector
        assert traffic.frames(run.dir / f"io.{device}.pcap") == sent["io"], device

        # Every other frame came with wrong checksums; the card saw which, and computed them anew.
        assert f"Port[{port}] doesn't meet Vector Rx preconditions" in full
        addresses = bytes.fromhex(f"0200000000{port:02x} 0200000000{len(DEVICES) + port + 1:02x}")
        expected = [addresses + frame[12:] for frame in sent["csum"]]
        bad = sent["csum"][1::2]
        ip = sum(frame[12:14] == b"\x08\x00" for frame in bad)
        # Of an 82599 the driver believes no error of UDP: one without a checksum may be marked (an erratum).
        l4 = sum(frame[20 if frame[12] == 0x86 else 23] == socket.IPPROTO_TCP for frame in bad) \
            if device.startswith("82599") else len(bad)
        assert re.search(rf"Forward statistics for port {port} .*\n.*\n"
                         rf"  Bad-ipcsum: {ip} +Bad-l4csum: {l4} ", full), device
        # Each queue has what the hash gave it; in the order in which it came it left.
        key = bytes.fromhex(re.findall(r"^RSS key:\n(\w+)$", full, re.M)[port])
        came = traffic.frames(run.dir / f"csum.{device}.pcap")
        assert len(came) == len(expected), device
        for number in range(QUEUES):
            share = [frame for frame in expected if queue(frame, key) == number]
            assert len(share) > len(expected) / 10
            assert re.search(rf"RX Port= {port}/Queue= {number} -.*\n  RX-packets: {len(share)} ", full), device
            assert [frame for frame in came if queue(frame, key) == number] == share, device
