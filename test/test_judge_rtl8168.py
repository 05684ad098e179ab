# SPDX-License-Identifier: BSD-3-Clause
"""nicsim's RTL8168s judged by a driver that was not written here: Linux 6.12's r8169, in a guest on four processors, with
a network namespace at the other end of each card's wire. The 8168DP and the 8168C with MSI-X, and the 8161 with MSI and with
INTx."""
import hashlib
import os
import re

import pytest

import guest
import linux
import strict
from linux import far_mac, here, mac, there
from test_judge_linux import FETCH, SIZES

pytestmark = pytest.mark.guest

# Datagrams' payloads, beside the largest MTU (Linux's JUMBO_9K, JUMBO_6K).
CARDS = {1: ("rtl8168", 9194), 2: ("rtl8168c", 6122)}
# Segmentation is turned on by hand: where it is off without, r8169 has had trouble with it on some boards.
FEATURES = ("tx-scatter-gather", "tx-checksum-ipv4", "tx-checksum-ipv6", "rx-checksumming", "rx-vlan-offload", "tx-vlan-offload")
SEGMENTS = ("tx-tcp-segmentation", "tx-tcp6-segmentation")
STEPS = (1473, 2020, 2048, 4068, 6094)

SCRIPT = f"""
begin() {{ # CARD
	eth=$(slot $1) here=10.9.$1.1
	echo "driver $1 $(basename $(readlink /sys/class/net/$eth/device/driver))"
	up $eth
	ip addr add 10.9.$1.2/24 dev $eth
	echo "speed $1 $(cat /sys/class/net/$eth/speed) $(cat /sys/class/net/$eth/duplex) mac $(cat /sys/class/net/$eth/address)"
}}
pings() {{ for size; do ping -q -c 1 -W 10 -s $size $here >/dev/null && echo "answered $size"; done; }}
fetch() {{ wget -q -O /tmp/fetched http://$here:8000/file; echo "fetched $1 $(sha256sum </tmp/fetched)"; }}
# What the system counts itself; the rest of ethtool's is the card's.
own() {{ for way in rx tx; do echo "own_$way:$(cat /sys/class/net/$eth/statistics/${{way}}_packets)"; done | tr '\\n' ' '; }}
# Something is made here and fetched from outside.
serve() {{ # GATE
	dd if=/dev/urandom of=/tmp/www/file bs=1000 count=501 2>/dev/null
	echo "made $1 $card $(sha256sum </tmp/www/file)"
	gate "$1 $card"
}}
turn() {{ # on|off FEATURE...
	to=$1
	shift
	for feature; do ethtool -K $eth $feature $to >/dev/null; done
	for feature; do echo "feature $feature $to $(ethtool -k $eth | grep -c "^[[:space:]]*$feature: $to")"; done
	carrier $eth 1
}}
judge() {{ # CARD FAR-MAC MTU SIZE...
	card=$1 far=$2 mtu=$3
	shift 3
	begin $card
	ip link set $eth mtu $mtu
	carrier $eth 1
	pings $*
	ip link set $eth mtu 1500
	carrier $eth 1
	arp -s $here $far

	echo "before $card $(counters $eth) $(own)"
	gate "before $card"
	pings {" ".join(map(str, SIZES))}
	fetch default
	serve default
	echo "after $card $(counters $eth) $(own)"
	ethtool -i $eth | sed -n 's/^driver: /is /p'
	grep $eth /proc/interrupts

	gate "flap $card"
	carrier $eth 0
	echo "carrier lost $card"
	carrier $eth 1
	for to in off on; do
		turn $to {" ".join(FEATURES)}
		[ $to = off ] || turn on {" ".join(SEGMENTS)}
		pings 100
		fetch $to
		serve $to
		echo "with $to $card $(counters $eth) $(own)"
	done
	ip link set $eth down
}}
mkdir /tmp/www
httpd -h /tmp/www -p 80
judge 1 {far_mac(1)} {CARDS[1][1]} {" ".join(map(str, (*STEPS, CARDS[1][1] - 28)))}
judge 2 {far_mac(2)} {CARDS[2][1]} {" ".join(map(str, STEPS))}
for mode in msi intx; do
	begin 3
	pings 0 1472
	fetch $mode
	grep $eth /proc/interrupts
	echo "registers $(ethtool -d $eth raw on | wc -c) $(ethtool -d $eth raw on | od -An -v -t x4 -j 64 -N 4)"
	ip link set $eth down
	cd /sys/bus/pci/devices/0000:00:03.0
	echo 0 >msi_bus
	echo 0000:00:03.0 >driver/unbind
	[ $mode = intx ] || echo 0000:00:03.0 >/sys/bus/pci/drivers/r8169/bind
done
"""


def compare(before, after, wire_before, wire_after):
    """What one end sent is what the other received: by the card's counters, Linux's own, and the wire's."""
    moved = {name: after[name] - before[name] for name in before}
    for way, wire in ("tx", "rx"), ("rx", "tx"):
        packets = wire_after[wire]["packets"] - wire_before[wire]["packets"]
        assert packets > 2 * len(SIZES)
        assert moved[f"{way}_packets"] == moved[f"own_{way}"] == packets
    assert moved["unicast"] == moved["rx_packets"]
    assert not {name: value for name, value in after.items() if value and re.search("err|miss|collision|abort|underrun", name)}


def test_linux_r8169(run):
    devices = ["rtl8168 --strict", "rtl8168c --strict", "rtl8161 --no-msix"]
    peer, cards = linux.on_taps(run, devices)
    for n in CARDS:  # so that nothing is asked while counters are compared
        peer.ip(f"neigh replace {there(n)} lladdr {mac(n)} nud permanent dev wire{n}")
        peer.ip(f"link set wire{n} mtu {CARDS[n][1]}")
    content = os.urandom(700_001)
    (run.dir / "www").mkdir()
    (run.dir / "www/file").write_bytes(content)
    run.start(linux.PYTHON, "-u", "-m", "http.server", "8000", "--directory", run.dir / "www",
              wrap=peer.wrap).expect("Serving")
    machine = linux.boot(run, SCRIPT, [run.dir / f"card{n}" for n in (1, 2, 3)], modules=["realtek", "r8169"],
                         append="ipv6.disable=1")

    def serve(what, n):
        machine.expect(f"^gate {what} {n}", limit=2 * guest.PATIENCE)
        made = machine.expect(f"^made {what} {n} (\\w+)").group(1)
        assert peer.call(linux.PYTHON, "-c", FETCH % there(n), limit=guest.PATIENCE).strip() == made
        linux.pass_gate(peer, n)

    for n in CARDS:
        machine.expect(f"^gate before {n}", limit=2 * guest.PATIENCE)
        before, wire_before = linux.numbers(machine.expect(f"^before {n}(.*)").group(1)), linux.wire_counters(peer, n)
        linux.pass_gate(peer, n)
        serve("default", n)
        machine.expect(f"^gate flap {n}")
        after = linux.numbers(machine.expect(f"^after {n}(.*)").group(1))
        compare(before, after, wire_before, linux.wire_counters(peer, n))
        linux.pass_gate(peer, n)
        peer.ip(f"link set wire{n} down")
        machine.expect(f"^carrier lost {n}")
        peer.ip(f"link set wire{n} up")
        for to in "off", "on":
            serve(to, n)
    lines = machine.finish(limit=2 * guest.PATIENCE)
    for n, times in (1, 1), (2, 1), (3, 2):
        assert lines.count(f"driver {n} r8169") == lines.count(f"speed {n} 1000 full mac {mac(n)}") == times
    assert lines.count("is r8169") == 2
    fetched = [line.split()[1:3] for line in lines if line.startswith("fetched ")]
    assert fetched == [[name, hashlib.sha256(content).hexdigest()] for name in (*("default", "off", "on") * 2, "msi", "intx")]
    answered = [int(line.split()[1]) for line in lines if line.startswith("answered ")]
    assert answered == [*STEPS, CARDS[1][1] - 28, *SIZES, 100, 100, *STEPS, *SIZES, 100, 100, 0, 1472, 0, 1472]
    turned = [line.split()[1:] for line in lines if line.startswith("feature ")]
    assert turned == [[name, to, "1"] for to in ("off", "on") for name in (*FEATURES, *(SEGMENTS if to == "on" else ()))] * 2
    # With segmentation the card sends more frames than Linux has given it.
    for n in CARDS:
        sent = {to: linux.numbers(text) for text in lines for to in ("off", "on") if text.startswith(f"with {to} {n} ")}
        ahead = {to: count["tx_packets"] - count["own_tx"] for to, count in sent.items()}
        assert ahead["off"] == 0 and ahead["on"] > 100, ahead
    used = [re.sub(r"\s+", " ", text) for text in lines if re.match(r" *\d+: .*\beth\d", text)]
    assert [re.search(r"(PCI-MSIX?|IO-APIC).* (eth\d)", text).groups() for text in used] == [
        ("PCI-MSIX", "eth0"), ("PCI-MSIX", "eth1"), ("PCI-MSI", "eth2"), ("IO-APIC", "eth2")]
    assert all(re.match(r" ?\d+:( \d+)* [1-9]", text) for text in used)
    dumps = [text.split()[1:] for text in lines if text.startswith("registers ")]
    assert [(int(size), int(tcr, 16) >> 20 & 0x7cf) for size, tcr in dumps] == [(256, 0x28b)] * 2
    for card in cards:
        assert card.stop() == 0
        assert not strict.unlisted(card, "r8169")
