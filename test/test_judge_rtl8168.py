# SPDX-License-Identifier: BSD-3-Clause
"""nicsim's RTL8168s judged by a driver that was not written here: Linux 6.12's r8169, in a guest on two processors, with
a network namespace at the other end of each card's wire. The 8168DP and the 8168C with MSI-X, and the 8161 with MSI and with
INTx. Then two more with a cable between them, with a VLAN on top, over IPv4 and IPv6."""
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
TALK = ("10.9.14.1", "10.9.54.1", "fd00:14::1", "fd00:54::1")  # without and with a VLAN
FEW = SIZES[::5]
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
judge() {{ # CARD FAR-MAC MTU SIZES SIZE...
	card=$1 far=$2 mtu=$3 sizes=$4
	shift 4
	begin $card
	ip link set $eth mtu $mtu
	carrier $eth 1
	pings $*
	ip link set $eth mtu 1500
	carrier $eth 1
	arp -s $here $far

	echo "before $card $(counters $eth) $(own)"
	gate "before $card"
	pings $sizes
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
# So that nothing is said of which nobody knows.
for conf in all default; do echo 1 >/proc/sys/net/ipv6/conf/$conf/disable_ipv6; done
mkdir /tmp/www
httpd -h /tmp/www -p 80
judge 1 {far_mac(1)} {CARDS[1][1]} "{" ".join(map(str, SIZES))}" {" ".join(map(str, (*STEPS, CARDS[1][1] - 28)))}
judge 2 {far_mac(2)} {CARDS[2][1]} "{" ".join(map(str, FEW))}" {" ".join(map(str, STEPS))}
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

# Card 4 is near; card 5 is far, in a namespace of its own. Addresses are usable at once.
unshare -n sleep 100000 & holder=$!
other_namespace() {{ [ "$(readlink /proc/$holder/ns/net)" != "$(readlink /proc/self/ns/net)" ]; }}
until_ 100 other_namespace
inside() {{ nsenter -t $holder -n "$@"; }}
near=$(slot 4) far=$(slot 5)
ip link set $far netns $holder
equip() {{ # INSIDE INTERFACE N
	for conf in default $2; do
		for key in accept_dad disable_ipv6; do $1 sh -c "echo 0 >/proc/sys/net/ipv6/conf/$conf/$key"; done
	done
	$1 ip link add link $2 name vlan5 type vlan id 5
	for pair in $2:1 vlan5:5; do
		$1 ip link set ${{pair%:*}} up
		$1 ip addr add 10.9.${{pair#*:}}4.$3/24 dev ${{pair%:*}}
		$1 ip -6 addr add fd00:${{pair#*:}}4::$3/64 dev ${{pair%:*}}
	done
}}
equip "" $near 2
equip inside $far 1
linked() {{ ethtool $near | grep -q 'detected: yes' && inside ethtool $far | grep -q 'detected: yes'; }}
until_ 600 linked
inside bounce serve 7777 &
talk() {{ # NAME SIZE...
	name=$1
	shift
	for to in {" ".join(TALK)}; do echo "$name $to $(bounce $near $to 7777 100000 0 1 1000 "$@")"; done
}}
for to in on off; do
	for feature in {" ".join((*FEATURES, *SEGMENTS))} generic-receive-offload; do
		ethtool -K $near $feature $to >/dev/null
		inside ethtool -K $far $feature $to >/dev/null
	done
	talk $to 1471 1472 1473
done
kill $holder
"""


def compare(before, after, wire_before, wire_after):
    """What one end sent is what the other received: by the card's counters, Linux's own, and the wire's."""
    moved = {name: after[name] - before[name] for name in before}
    for way, wire in ("tx", "rx"), ("rx", "tx"):
        packets = wire_after[wire]["packets"] - wire_before[wire]["packets"]
        assert packets > 200
        assert moved[f"{way}_packets"] == moved[f"own_{way}"] == packets
    assert moved["unicast"] == moved["rx_packets"]
    assert not {name: value for name, value in after.items() if value and re.search("err|miss|collision|abort|underrun", name)}


def judge_offloads(lines):
    """Whether it was the card that did what was turned on, and Linux what was not. That all data arrived, bounce says."""
    talks = {tuple(match.groups()): linux.numbers(line) for line in lines
             if (match := re.match(r"(on|off) (\S+) bounced ", line))}
    assert set(talks) == {(to, address) for to in ("on", "off") for address in TALK}
    for (to, address), seen in talks.items():
        on, vlan = to == "on", "54" in address
        computes = on and not (vlan and ":" in address)      # r8169 does not ask for that
        assert (seen["sent"] > 1518, seen["open"] > 0) == (computes, computes), (to, address, seen)
        assert not vlan or (seen["tagged"] > 10) == on, (to, address, seen)
        if not on:                                           # what Linux puts together it has checked itself
            assert seen["checked"] == 0 and seen["got"] <= 1518, (address, seen)


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
    pair = run.start("nicsim", "--strict", *(text for n, device in ((4, "rtl8168"), (5, "rtl8168c")) for text in (
        "--device", device, "--socket", run.dir / f"card{n}", "--wire", "cable:wire", "--mac", mac(n))))
    pair.expect("/card5, wire")
    machine = linux.boot(run, SCRIPT, [run.dir / f"card{n}" for n in range(1, 6)], modules=["realtek", "r8169", "8021q"],
                         qemu=["-smp", "2"])

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
    # A machine of which a processor stands still for seconds takes a queue for stuck: where the log shows that one did.
    machine.expect("^guest: exit", limit=4 * guest.PATIENCE)
    stood = "Long readout interval" in machine.kernel_log
    lines = machine.finish("r8169 .* NETDEV WATCHDOG: .* timed out" if stood else "$^")
    for n, times in (1, 1), (2, 1), (3, 2):
        assert lines.count(f"driver {n} r8169") == lines.count(f"speed {n} 1000 full mac {mac(n)}") == times
    assert lines.count("is r8169") == 2
    fetched = [line.split()[1:3] for line in lines if line.startswith("fetched ")]
    assert fetched == [[name, hashlib.sha256(content).hexdigest()] for name in (*("default", "off", "on") * 2, "msi", "intx")]
    answered = [int(line.split()[1]) for line in lines if line.startswith("answered ")]
    assert answered == [*STEPS, CARDS[1][1] - 28, *SIZES, 100, 100, *STEPS, *FEW, 100, 100, 0, 1472, 0, 1472]
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
    judge_offloads(lines)
    for card in (*cards, pair):
        assert card.stop() == 0
        assert not strict.unlisted(card, "r8169")
