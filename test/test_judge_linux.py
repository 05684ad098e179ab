# SPDX-License-Identifier: BSD-3-Clause
"""nicsim judged by a driver that was not written here: Linux 6.12's ixgbe, in a guest, with a network
namespace at the other end of the card's wire."""
import hashlib
import json
import os
import re
import socket
import struct

import pytest
from scapy.all import IP, TCP, UDP, Ether, Raw

import guest
import rss
import strict

pytestmark = pytest.mark.guest

HERE, THERE = "10.9.0.1", "10.9.0.2"
HERE_MAC, MAC = "02:00:00:00:00:28", "02:00:00:00:00:29"
# What a ping carries: nothing, every size near a boundary (minimum frame, cache line, MTU), steps between.
SIZES = sorted({*range(0, 20), *range(80, 88), *range(208, 216), *range(470, 474), *range(20, 1472, 97),
                *range(1466, 1473)})
JUMBO = (1473, 2020, 2048, 2049, 4068, 6100, 8972)

SCRIPT = f"""
gate() {{ echo "gate $1"; nc -l -p 9 </dev/null; }}
carrier() {{
	i=0
	while [ "$(cat /sys/class/net/eth0/carrier)" != "$1" ]; do i=$((i + 1)); [ $i -lt 400 ]; sleep 0.05; done
}}
up() {{
	ip link set eth0 up
	ip addr add {THERE}/24 dev eth0
	carrier 1
	echo "carrier $(cat /sys/class/net/eth0/carrier) speed $(cat /sys/class/net/eth0/speed)" \\
		"mac $(cat /sys/class/net/eth0/address)"
}}
# The card's registers (..._nic) and the system's counters, as soon as they stand still.
counters() {{
	read=
	while [ "$(ethtool -S eth0)" != "$read" ]; do read=$(ethtool -S eth0); sleep 0.2; done
	echo "$1 $read" | tr -d ' ' | tr '\\n' ' '
	echo
}}
pings() {{ for size; do ping -q -c 1 -W 10 -s $size {HERE} >/dev/null && echo "answered $size"; done; }}

echo "driver $(basename $(readlink /sys/class/net/eth0/device/driver))"
up
ip link set eth0 mtu 9000
carrier 1
pings {" ".join(map(str, JUMBO))}
ip link set eth0 mtu 1500
carrier 1
arp -s {HERE} {HERE_MAC}

counters before
gate before
pings {" ".join(map(str, SIZES))}
wget -q -O /tmp/fetched http://{HERE}:8000/file
echo "fetched $(sha256sum </tmp/fetched)"
mkdir /tmp/www
dd if=/dev/urandom of=/tmp/www/file bs=1000 count=701 2>/dev/null
echo "made $(sha256sum </tmp/www/file)"
httpd -h /tmp/www -p 80
gate served
counters after
grep eth0 /proc/interrupts

gate flap
carrier 0
echo "carrier lost"
carrier 1
pings 100

ethtool -m eth0 >/tmp/module 2>/dev/null || true
echo "module $(sed -n 's/^.*Vendor \\(name\\|PN\\) *: *//p;s/^.*Module temperature *: *//p' /tmp/module | tr '\\n' ' ')"
ethtool -t eth0 offline | grep -v '^$'
carrier 1
rmmod ixgbe
insmod /modules/ixgbe.ko
up
pings 0 1472
ip link set eth0 down
"""

FETCH = """
import hashlib, urllib.request
print(hashlib.sha256(urllib.request.urlopen("http://%s/file", timeout=60).read()).hexdigest())
"""
OPEN = """
import socket, sys, time
for _ in range(200):
    try:
        sys.exit(socket.create_connection(("%s", 9), 10).close())
    except ConnectionRefusedError:
        time.sleep(0.05)
sys.exit("the gate stays closed")
"""


def numbers(text):
    """NAME:NUMBER ... as a dictionary."""
    return {name: int(value) for name, value in re.findall(r"(\w+):(\d+)", text)}


def wire_counters(peer):
    (wire,) = json.loads(peer.call("ip", "-json", "-statistics", "link", "show", "wire"))
    return wire["stats64"]


# Without MSI the driver says what it has to do without.
INTX = r"ixgbe .*: (?:Failed to allocate MSI|Disabling SR-IOV|Disabling RSS)"


# In memory nobody keeps RDLEN's low bits from being written: the one thing that its register test finds.
MASK = "pattern test reg 1008 failed"


@pytest.mark.parametrize("device, line, append, allow, doorbells", [
    ("x540", "PCI-MSIX", "", "$^", "trapped"), ("x540", "IO-APIC", "pci=nomsi", INTX, "trapped"),
    ("x540", "PCI-MSIX", "", MASK, "mapped"), ("x550", "PCI-MSIX", "", "$^", "trapped"),
    ("82599", "PCI-MSIX", "", "$^", "trapped"), ("82599-kx4", "PCI-MSIX", "", "$^", "trapped")],
    ids=["x540-MSI-X", "x540-INTx", "x540-mapped", "x550", "82599", "82599-kx4"])
def test_linux_ixgbe(run, device, line, append, allow, doorbells):
    peer = run.namespace()
    peer.ip("tuntap add dev wire mode tap")
    peer.ip(f"link set wire address {HERE_MAC} mtu 9000 addrgenmode none up")
    peer.ip(f"addr add {HERE}/24 dev wire")
    content = os.urandom(700_001)
    (run.dir / "www").mkdir()
    (run.dir / "www/file").write_bytes(content)
    python = "/usr/bin/python3"
    run.start(python, "-u", "-m", "http.server", "8000", "--bind", HERE, "--directory", run.dir / "www",
              wrap=peer.wrap).expect("Serving")
    listed = ["--strict"] if line == "PCI-MSIX" and doorbells == "trapped" else []
    card = run.start("nicsim", *listed, "--device", device, "--socket", run.dir / "card", "--wire", "tap:wire",
                     "--mac", MAC, "--doorbells", doorbells, wrap=peer.wrap)
    card.expect(f"^nicsim: {device} ")

    linux = guest.Guest(run, SCRIPT, modules=["ixgbe"], cards=[run.dir / "card"],
                        programs={"bin/ethtool": "/usr/sbin/ethtool"}, append=f"ipv6.disable=1 {append}")
    assert linux.expect("^driver (.*)").group(1) == "ixgbe"
    expected = f"carrier 1 speed 10000 mac {MAC}"
    assert linux.expect("^carrier .*").group(0) == expected
    linux.expect("^gate before")
    before, wire_before = numbers(linux.expect("^before(.*)").group(1)), wire_counters(peer)
    peer.ip(f"neigh replace {THERE} lladdr {MAC} nud permanent dev wire")
    peer.call(python, "-c", OPEN % THERE)
    assert linux.expect("^fetched (\\w+)").group(1) == hashlib.sha256(content).hexdigest()
    made = linux.expect("^made (\\w+)").group(1)
    linux.expect("^gate served")
    assert peer.call(python, "-c", FETCH % THERE, limit=guest.PATIENCE).strip() == made
    peer.call(python, "-c", OPEN % THERE)

    # What one end sent is what the other received: by the card's registers, Linux's own count, and the wire's.
    linux.expect("^gate flap")
    after, wire_after = numbers(linux.expect("^after(.*)").group(1)), wire_counters(peer)
    for card_s, system_s, wire_s in ("tx_pkts_nic", "tx_packets", "rx"), ("rx_pkts_nic", "rx_packets", "tx"):
        moved = wire_after[wire_s]["packets"] - wire_before[wire_s]["packets"]
        assert moved > 2 * len(SIZES)
        assert after[card_s] - before[card_s] == moved
        assert after[system_s] - before[system_s] == moved
    assert not {name: value for name, value in after.items() if value and re.search("err|drop|miss|fail", name)}

    peer.call(python, "-c", OPEN % THERE)
    peer.ip("link set wire down")
    linux.expect("^carrier lost")
    peer.ip("link set wire up")
    lines = linux.finish(allow)
    assert lines.count(expected) == 2
    answered = [int(line.split()[1]) for line in lines if line.startswith("answered ")]
    assert answered == [*JUMBO, *SIZES, 100, 0, 1472]
    assert lines.count("module Intel Corp FTLX8571D3BCV-IT 35.00 degrees C / 95.00 degrees F "
                       if device == "82599" else "module ") == 1
    # The driver's own test: registers, EEPROM, interrupts, a loop in the MAC, link.
    if doorbells == "trapped":
        assert "The test result is PASS" in lines
    else:
        results = {name: int(value) for name, value in re.findall(r"^(\w+) test .*\t ?(\d+)$", "\n".join(lines), re.M)}
        assert results == {"Register": 0x1008, "Eeprom": 0, "Interrupt": 0, "Loopback": 0, "Link": 0}
    assert any(re.match(rf" *\d+: +[1-9]\d* +{line}.*eth0", text) for text in lines)
    assert card.stop() == 0
    assert not strict.unlisted(card, "Linux")


# --- several queues ---

# To all, since nobody answers that: what a queue sent is what it was given to send.
FLOWS, EACH, ALL = 64, 5, "10.9.0.255"
# For nobody, so that nobody answers: a packet, how often, whether its checksum is one that the driver finds wrong.
TO_SUM = Ether(dst=MAC, src=HERE_MAC) / IP(src=HERE, dst="10.9.0.77")
SUMS = [
    (TO_SUM / TCP() / Raw(b"right"), 3, False), (TO_SUM / UDP() / Raw(b"right"), 3, False),
    (TO_SUM / TCP(chksum=1) / Raw(b"wrong"), 1, True), (TO_SUM / UDP(chksum=1) / Raw(b"wrong"), 2, True),
    (TO_SUM / UDP(chksum=0) / Raw(b"none"), 3, False),
    (Ether(dst=MAC, src=HERE_MAC) / IP(src=HERE, dst="10.9.0.77", chksum=1) / UDP() / Raw(b"wrong"), 4, True),
    (Ether(dst=MAC, src=HERE_MAC) / IP(src=HERE, dst="10.9.0.77", flags="MF", id=9) / UDP(chksum=1) / Raw(b"not8"), 3, False),
]
SPREAD = f"""
up() {{
	ip link set eth0 up
	i=0
	while [ "$(cat /sys/class/net/eth0/carrier)" != 1 ]; do i=$((i + 1)); [ $i -lt 400 ]; sleep 0.05; done
}}
ip addr add {THERE}/24 dev eth0
up
arp -s {HERE} {HERE_MAC}
echo "queues $(ls -d /sys/class/net/eth0/queues/rx-* | wc -l) $(ls -d /sys/class/net/eth0/queues/tx-* | wc -l)"
# What a queue's own counters say, frames: "rx 0 3 0 2".
count() {{ echo $1 $(ethtool -S eth0 | sed -n "s/^ *$1_queue_[0-9]*_packets: //p"); }}
sum() {{ count $1 | tr ' ' '\\n' | awk '{{ n += $1 }} END {{ print n }}'; }}
receive() {{
	ethtool -x eth0
	echo "before $1 $(count rx)"
	base=$(sum rx)
	echo "receiving $1"
	i=0
	while [ $(($(sum rx) - base)) -lt {FLOWS * EACH} ]; do i=$((i + 1)); [ $i -lt 600 ]; sleep 0.1; done
	echo "after $1 $(count rx)"
}}
# UDP ports are not hashed until one says so.
receive addresses
ethtool -N eth0 rx-flow-hash udp4 sdfn
ethtool -X eth0 hkey {rss.KEY.hex(":")}
receive ports
ethtool -X eth0 equal 2
receive two
ethtool -X eth0 hkey {bytes(range(40)).hex(":")}
ethtool -X eth0 weight 1 0 2 1
receive weighed
grep eth0-TxRx /proc/interrupts

base=$(sum tx)
echo "before sending $(count tx)"
for cpu in 0 1 2 3; do taskset $((1 << cpu)) ping -q -c 20 -i 0.1 -W 10 {HERE} >/dev/null & done
wait
i=0
while [ $(($(sum tx) - base)) -lt 80 ]; do i=$((i + 1)); [ $i -lt 600 ]; sleep 0.1; done
echo "after sending $(count tx)"

# Who opens a connection by a queue is answered to it: the driver asks the flow director for that.
for cpu in 0 1 2 3; do
	echo "before flow $cpu $(count rx)"
	taskset $((1 << cpu)) wget -q -O /tmp/fetched http://{HERE}:8000/file
	echo "after flow $cpu $(count rx)"
done
wrong() {{ ethtool -S eth0 | sed -n "s/^ *rx_csum_offload_errors: //p"; }}
echo "before sums $(wrong)"
base=$(sum rx)
echo "receiving sums"
i=0
while [ $(($(sum rx) - base)) -lt {sum(count for _, count, _ in SUMS)} ]; do i=$((i + 1)); [ $i -lt 600 ]; sleep 0.1; done
echo "after sums $(wrong)"
ethtool -A eth0 autoneg off rx on tx on
up
pauses() {{ echo "$1 $(ethtool -S eth0 | sed -n 's/^ *rx_flow_control_xo.*: //p' | tr '\\n' ' ')"; }}
pauses "before pauses"
echo "receiving pauses"
i=0
while ethtool -S eth0 | grep -q 'rx_flow_control_xon: 0$'; do i=$((i + 1)); [ $i -lt 600 ]; sleep 0.1; done
pauses "after pauses"
ip link set eth0 down
"""

SEND = f"""
import socket
for port in range(20000, 20000 + {FLOWS}):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        s.bind(("{HERE}", port))
        for _ in range({EACH}):
            s.sendto(bytes(40), ("{ALL}", 9))
"""

PAUSE = "0180c2000001" + HERE_MAC.replace(":", "") + "88080001%04x" + 42 * "00"
RAW = """
import socket, sys
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
    s.bind(("wire", 0))
    for data in sys.argv[1:]:
        s.send(bytes.fromhex(data))
"""


def table_of(lines):
    """Key and table, as ethtool -x prints them."""
    rows = [line.partition(":")[2].split() for line in lines if re.match(r" *\d+: +\d", line)]
    keys = [line for line in lines if re.fullmatch(r"(?:[0-9a-f]{2}:){39}[0-9a-f]{2}", line)]
    return bytes.fromhex(keys[-1].replace(":", "")), [int(entry) for row in rows[-16:] for entry in row]


def test_linux_spreads_by_rss(run):
    """Linux's driver on four processors: each of its queues gets what the table says, to the frame."""
    peer = run.namespace()
    peer.ip("tuntap add dev wire mode tap")
    peer.ip(f"link set wire address {HERE_MAC} addrgenmode none up")
    peer.ip(f"addr add {HERE}/24 dev wire")
    card = run.start("nicsim", "--strict", "--device", "x540", "--socket", run.dir / "card", "--wire", "tap:wire",
                     "--mac", MAC, wrap=peer.wrap)
    card.expect("^nicsim: x540")
    linux = guest.Guest(run, SPREAD, modules=["ixgbe"], cards=[run.dir / "card"], qemu=["-smp", "4"],
                        programs={"bin/ethtool": "/usr/sbin/ethtool"}, append="ipv6.disable=1")
    assert linux.expect("^queues (.*)").group(1) == "4 4"
    peer_serves = run.dir / "www"
    peer_serves.mkdir()
    (peer_serves / "file").write_bytes(b"short")
    run.start("/usr/bin/python3", "-u", "-m", "http.server", "8000", "--bind", HERE, "--directory", peer_serves,
              wrap=peer.wrap).expect("Serving")
    peer.ip(f"neigh replace {THERE} lladdr {MAC} nud permanent dev wire")
    shares = []
    for what, ports in ("addresses", False), ("ports", True), ("two", True), ("weighed", True):
        before = linux.expect(f"^before {what} rx (.*)").group(1).split()
        linux.expect(f"^receiving {what}")
        key, table = table_of(linux.machine.lines)
        peer.call("/usr/bin/python3", "-c", SEND)
        after = linux.expect(f"^after {what} rx (.*)").group(1).split()
        got = [int(b) - int(a) for a, b in zip(before, after, strict=True)]
        expected = [0] * 4
        for port in range(20000, 20000 + FLOWS):
            data = socket.inet_aton(HERE) + socket.inet_aton(ALL)
            hash_ = rss.toeplitz(key, data + struct.pack(">HH", port, 9) if ports else data)
            expected[table[hash_ % 128]] += EACH
        assert got[:4] == expected and sum(got) == FLOWS * EACH, what
        shares.append(sum(share > 0 for share in expected))
    assert shares == [1, 4, 2, 3]
    linux.expect("eth0-TxRx-3")
    vectors = re.findall(r"^ *\d+:((?: +\d+)+) .*eth0-TxRx-\d$", linux.machine.text, re.M)
    assert len(vectors) == 4 and all(sum(map(int, counts.split())) > 0 for counts in vectors)
    before = linux.expect("^before sending tx (.*)").group(1).split()
    after = linux.expect("^after sending tx (.*)").group(1).split()
    sent = [int(b) - int(a) for a, b in zip(before, after, strict=True)]
    assert sent[:4] == [20] * 4 and sum(sent) == 80          # each processor has a queue
    for cpu in range(4):
        before = linux.expect(f"^before flow {cpu} rx (.*)").group(1).split()
        after = linux.expect(f"^after flow {cpu} rx (.*)").group(1).split()
        got = [int(b) - int(a) for a, b in zip(before, after, strict=True)]
        # The first answer at least, though RSS never leads to queue 1; later ones may go where an acknowledgement came from.
        assert got[cpu] >= 1 and sum(got) >= 3, (cpu, got)
    before = int(linux.expect(r"^before sums (\d+)").group(1))
    linux.expect("^receiving sums")
    peer.call("/usr/bin/python3", "-c", RAW, *(bytes(packet).hex() for packet, count, _ in SUMS for _ in range(count)))
    after = int(linux.expect(r"^after sums (\d+)").group(1))
    assert after - before == sum(count for _, count, wrong in SUMS if wrong)
    linux.expect("^receiving pauses")
    peer.call("/usr/bin/python3", "-c", RAW, *(PAUSE % quanta for quanta in (65535, 65535, 100, 0)))
    assert linux.expect("^before pauses (.*)").group(1).split() == ["0", "0"]
    assert linux.expect("^after pauses (.*)").group(1).split() == ["1", "3"]
    linux.finish("enabling UDP RSS")                         # pieces may come out of order
    assert card.stop() == 0
    assert len(card.lines) == 1, card.text


MODULES = """
for slot in 1 2 3; do
	name=$(ls /sys/bus/pci/devices/0000:00:0$slot.0/net 2>/dev/null || true)
	[ -z "$name" ] && { echo "slot $slot is not driven"; continue; }
	ip link set $name up
	i=0
	while [ "$(cat /sys/class/net/$name/carrier)" != 1 ] && [ $i -lt 60 ]; do i=$((i + 1)); sleep 0.1; done
	echo "slot $slot has carrier $(cat /sys/class/net/$name/carrier) speed $(cat /sys/class/net/$name/speed)"
	ip link set $name down
done
"""


def test_linux_and_modules(run):
    """A cage that is empty, one with a module that Intel does not support, one with a cable."""
    card = run.start("nicsim", *(text for kind in ("none", "foreign", "copper") for text in (
        "--device", "82599", "--module", kind, "--socket", str(run.dir / kind), "--wire", "loop")))
    card.expect(f"{run.dir / 'copper'}, wire")
    linux = guest.Guest(run, MODULES, modules=["ixgbe"], qemu=[
        text for n, kind in enumerate(("none", "foreign", "copper"), 1)
        for text in guest.card(run.dir / kind, bus="pcie.0", addr=str(n))], append="ipv6.disable=1")
    lines = linux.finish("unsupported SFP|not supported|Reload the driver|probe with driver ixgbe failed")
    assert lines == ["slot 1 has carrier 0 speed -1", "slot 2 is not driven", "slot 3 has carrier 1 speed 10000"]
    assert "unsupported SFP+ or QSFP module type was detected" in linux.kernel_log
    assert card.stop() == 0
