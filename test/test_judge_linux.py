# SPDX-License-Identifier: BSD-3-Clause
"""nicsim judged by a driver that was not written here: Linux 6.12's ixgbe, in a guest, with a network
namespace at the other end of the card's wire."""
import hashlib
import json
import os
import re

import pytest

import guest

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


@pytest.mark.parametrize("line, append, allow, doorbells", [
    ("PCI-MSIX", "", "$^", "trapped"), ("IO-APIC", "pci=nomsi", INTX, "trapped"), ("PCI-MSIX", "", MASK, "mapped")],
    ids=["MSI-X", "INTx", "mapped"])
def test_linux_ixgbe(run, line, append, allow, doorbells):
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
    card = run.start("nicsim", "--device", "x540", "--socket", run.dir / "card", "--wire", "tap:wire",
                     "--mac", MAC, "--doorbells", doorbells, wrap=peer.wrap)
    card.expect("^nicsim: x540")

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
    # The driver's own test: registers, EEPROM, interrupts, a loop in the MAC, link.
    if doorbells == "trapped":
        assert "The test result is PASS" in lines
    else:
        results = {name: int(value) for name, value in re.findall(r"^(\w+) test .*\t ?(\d+)$", "\n".join(lines), re.M)}
        assert results == {"Register": 0x1008, "Eeprom": 0, "Interrupt": 0, "Loopback": 0, "Link": 0}
    assert any(re.match(rf" *\d+: +[1-9]\d* +{line}.*eth0", text) for text in lines)
    assert card.stop() == 0
    assert len(card.lines) == 1, card.text
