# SPDX-License-Identifier: BSD-3-Clause
"""DHCP, ping, TFTP and TCP over cards that were not written here, between two network stacks that were not either:
Linux's, with an interface of its own, and libslirp in QEMU. In between QEMU's four models in a row, in one guest, on the
kernel's VFIO behind a virtual VT-d:

    Linux --- 82540EM, 82574L --- 82545EM, 82576 --- libslirp

Of one pair each card has an e1000d of pcid, and rheinfall --bridge joins them; the other pair is one process's, which
links the library (nic_bridge). Then they change places. No packet leaves: libslirp answers by itself, or by a program
that it starts (guestfwd)."""
import hashlib
import json
import random
import shlex
import shutil

import pytest

import guest
import lab
from test_judge_vfio import PRELUDE, sections

pytestmark = pytest.mark.guest

# Slots 4 and 8 have their INTx line in common.
MODELS = {"e1000": "0000:00:04.0", "e1000e": "0000:00:05.0", "e1000-82545em": "0000:00:08.0", "igb": "0000:00:06.0"}
FIRST, SECOND, THIRD, FOURTH = MODELS.values()
LINUX = "52:54:00:09:00:01"
NETWORK, GATEWAY, LEASE, PROGRAM = "10.9.0.0/24", "10.9.0.1", "10.9.0.77", "10.9.0.100"
PING_SIZES = (0, 18, 56, 1000, 1471, 1472, 4000)  # the last is of three frames
PATTERN = "00ff55aa0102feed"
TCP_BYTES = 1 << 20  # each way, at the same time
FILE_BYTES = 100_000
TROUBLE = ("rx_missed", "rx_dropped", "rx_crc_errors", "rx_length_errors", "rx_other_errors", "rx_damaged", "tx_refused",
           "bad_offsets", "bad_writebacks", "restarts", "unclaimed", "refused", "no_link")

SCRIPT = """
chmod +x /etc/lease
# The scheme of a card of e1000d.
scheme_of() { echo network:$(echo $1 | tr : -)_e1000; }
said() { until grep -q "$1" $2; do kill -0 $3; sleep 0.1; done; }
value_is() { until [ "$(scheme cat $1)" = "$2" ]; do sleep 0.1; done; }
ping_() { pinger -c 1 -W 60 -s $1 -p PATTERN GATEWAY | grep -E "bytes from|wrong|BAD|transmitted" | sed "s/ time.*//"; }
linux() { echo $(($(cat /sys/class/net/eth0/statistics/$1_packets) - $2)); }
bound() { # CARD DRIVER: by that driver, or by none
	echo $2 >/sys/bus/pci/devices/$1/driver_override
	[ -n "$2" ] || echo $1 >/sys/bus/pci/devices/$1/driver/unbind
	[ -z "$2" ] || echo $1 >/sys/bus/pci/drivers_probe
}

through() { # NUMBER, pcid's cards and those of nic_bridge
	: >/tmp/pcid
	: >/tmp/process
	: >/tmp/left
	: >/tmp/right
	pcid --config /etc/pcid.toml --bind $2 --bind $3 --watchdog 60 >/tmp/pcid 2>&1 & pcid=$!
	bound $4 vfio-pci
	bound $5 vfio-pci
	nic_bridge --irq --unchanged $4 $5 >/tmp/process 2>&1 & process=$!
	driver_number 2
	left=$(scheme_of $2) right=$(scheme_of $3)
	value_is $left/link "up 1000"
	value_is $right/link "up 1000"
	rheinfall --quiet --json --bridge $left $right >/tmp/bridge 2>&1 & rheinfall=$!
	value_is $left/promisc 1
	value_is $right/promisc 1
	said "^up" /tmp/process $process
	tx=$(linux tx 0) rx=$(linux rx 0)

	echo "== lease $1"
	ip link set eth0 up
	udhcpc -i eth0 -f -q -n -t 20 -T 3 -s /etc/lease 2>/dev/null

	echo "== pings $1"
	for size in PING_SIZES; do
		ping_ $size
	done

	echo "== streams $1"
	tftp -g -b 1428 -r file -l /tmp/file GATEWAY 2>/tmp/tftp || tail -n 1 /tmp/tftp
	sha256sum </tmp/file
	nc PROGRAM $1 </etc/goes >/tmp/came
	sha256sum </tmp/came

	# Nothing more is on its way: nobody asks for addresses any more, and what comes back now came back behind all else.
	arp -s GATEWAY $(sed -n "s/^GATEWAY .* \\(..:[^ ]*\\) .*/\\1/p" /proc/net/arp)
	arp -s PROGRAM $(sed -n "s/^PROGRAM .* \\(..:[^ ]*\\) .*/\\1/p" /proc/net/arp)
	echo "== counted $1"
	ping_ 56 >/tmp/last
	tail -n 1 /tmp/last
	# Linux counts what its interface has sent a little later.
	tries=300
	until sent=$(linux tx $tx) came=$(linux rx $rx)
		grep -q "^tx_frames $came$" /tmp/left && grep -q "^tx_frames $sent$" /tmp/right
	do
		[ $tries -gt 0 ] || break
		tries=$((tries - 1))
		sleep 0.1
		scheme cat $left/stats >/tmp/left
		scheme cat $right/stats >/tmp/right
	done
	echo "$sent $came"
	for side in left right; do
		tr '\\n' ';' </tmp/$side
		echo
	done
	echo "== errors $1"
	grep -E "^(Ip|Icmp|Tcp|Udp):" /proc/net/snmp
	echo "== interrupts $1"
	grep -o "vfio-.*" /proc/interrupts

	echo "== ended $1"
	kill -INT $rheinfall
	wait $rheinfall
	tr -d ' \\n' </tmp/bridge
	echo
	end $process
	tail -n 1 /tmp/process
	end $pcid
	bound $4 ""
	bound $5 ""
	for card in $2 $3 $4 $5; do
		card=/sys/bus/pci/devices/$card
		master
		driver
	done
	ip addr flush dev eth0
	ip link set eth0 down
}
"""

LEASE_SCRIPT = """#!/bin/sh
[ $1 = bound ] || exit 0
echo "$ip $subnet $serverid"
ip addr add $ip/$mask dev $interface
"""


def content(name, size):
    return random.Random(f"judge_dhcp {name}").randbytes(size)


class Network:
    """What libslirp is for the guest, and what it answers by."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "tftp").mkdir()
        (folder / "tftp/file").write_bytes(content("file", FILE_BYTES))
        (folder / "goes").write_bytes(content("goes", TCP_BYTES))
        # Sends while it receives.
        (folder / "program").write_text(
            f"cd {shlex.quote(str(folder))}\ncat goes &\nhead -c {TCP_BYTES} >came$1\nwait\n")

    def options(self):
        program = f"/bin/sh {shlex.quote(str(self.folder / 'program'))}"
        yield from ("-netdev", json.dumps({
            "type": "user", "id": "slirp", "restrict": True, "ipv6": False, "net": NETWORK, "host": GATEWAY, "dhcpstart": LEASE,
            "tftp": str(self.folder / "tftp"),
            "guestfwd": [{"str": f"tcp:{PROGRAM}:{number}-cmd:{program} {number}"} for number in (1, 2)]}))

    def came(self, number):
        return (self.folder / f"came{number}").read_bytes()


def row():
    """QEMU's arguments for Linux's interface, the cards and the wires between them, but the last one's."""
    yield from ("-device", f"virtio-net-pci,netdev=linux,mac={LINUX},addr=3")
    ends = ["linux", "first", "second", "third", "slirp"]
    for hub, pair in (1, ("linux", "first")), (2, ("second", "third")):
        for name in pair:
            yield from ("-netdev", f"hubport,id={name},hubid={hub}")
    for (model, address), wire in zip(MODELS.items(), ends[1:]):
        yield from ("-device", f"{model},netdev={wire},addr={int(address[-4:-2], 16)}")


def boot(run, network):
    script = (f"CARD={FIRST}\n{PRELUDE}{SCRIPT}"
              f"through 1 {FIRST} {SECOND} {THIRD} {FOURTH}\nthrough 2 {THIRD} {FOURTH} {FIRST} {SECOND}\n")
    for word, value in {"PING_SIZES": " ".join(map(str, PING_SIZES)), "PATTERN": PATTERN, "GATEWAY": GATEWAY,
                        "PROGRAM": PROGRAM}.items():
        script = script.replace(word, str(value))
    programs = {f"bin/{name}": lab.program(name) for name in ("pcid", "e1000d", "rheinfall", "scheme")}
    # busybox has a ping, too; this one compares what comes back.
    programs |= {"bin/nic_bridge": lab.BUILD / "test/nic_bridge", "bin/pinger": shutil.which("ping")}
    files = {"etc/pcid.toml": (lab.ROOT / "pcid/pcid.toml").read_text(), "etc/lease": LEASE_SCRIPT,
             "etc/goes": content("comes", TCP_BYTES)}
    # Huge pages: test_judge_e1000.py says why.
    return guest.Guest(run, script, iommu=True, modules=["vfio-pci", "vfio_iommu_type1", "virtio_net"], files=files,
                       programs=programs, append="ipv6.disable=1 hugepages=32", qemu=[*network.options(), *row()])


def stats(line):
    """What a scheme counts; its words as they are."""
    pairs = (pair.split(" ", 1) for pair in line.strip(";").split(";"))
    return {key: int(value) if value.isdigit() else value for key, value in pairs}


def broken(lines):
    """What Linux counts of packets that were not in order: all of its counters of that name, those that are not 0."""
    tables = [line.split() for line in lines]
    counts = {names[0] + name: int(value) for names, values in zip(tables[::2], tables[1::2], strict=True)
              for name, value in zip(names[1:], values[1:], strict=True) if name.endswith(("Errors", "Errs"))}
    assert {"Ip:InHdrErrors", "Icmp:InCsumErrors", "Tcp:InCsumErrors", "Udp:InCsumErrors"} <= counts.keys()
    return {name: count for name, count in counts.items() if count != 0}


def judged(said, number, network):
    """One of the two ways to drive the four."""
    # With restrict=on libslirp names no router; the server is the gateway.
    assert said[f"lease {number}"] == [f"{LEASE} 255.255.255.0 {GATEWAY}"]
    assert said[f"pings {number}"] == [line for size in PING_SIZES for line in (
        f"{size + 8} bytes from {GATEWAY}: icmp_seq=1 ttl=255", "1 packets transmitted, 1 received, 0% packet loss,")]
    assert said[f"streams {number}"] == [f"{hashlib.sha256(content(name, size)).hexdigest()}  -"
                                         for name, size in (("file", FILE_BYTES), ("goes", TCP_BYTES))]
    assert network.came(number) == content("comes", TCP_BYTES)

    last, packets, *counted = said[f"counted {number}"]
    assert last.startswith("1 packets transmitted, 1 received, ")
    sent, came = map(int, packets.split())
    assert min(sent, came) > TCP_BYTES // 1460
    for line, tx, rx in zip(counted, (came, sent), (sent, came), strict=True):
        values = stats(line)
        assert (values["tx_frames"], values["rx_frames"]) == (tx, rx), line
        trouble = {key: values[key] for key in TROUBLE if values[key] != 0}
        assert not trouble, trouble
    assert broken(said[f"errors {number}"]) == {}
    bridge, process, *cards = said[f"ended {number}"]
    bridge = json.loads(bridge)
    assert bridge["error"] is None
    assert [(lane["frames"], lane["dropped"]) for lane in bridge["lanes"]] == [(sent, 0), (came, 0)]
    # Bytes have a CRC in the card. QEMU's 82540EM and 82545EM, on the left, have no octet counters: they read 0.
    right = stats(counted[1])
    assert (right["tx_bytes"], right["rx_bytes"]) == tuple(lane["bytes"] + 4 * lane["frames"] for lane in bridge["lanes"])
    process = json.loads(process)
    assert process.pop("interrupts") > 0
    assert process == {"forwarded": 0, "dropped": 0, "rx_frames": sent + came, "tx_frames": sent + came, "missed": 0, "errors": 0,
                       "bad": 0, "lost_buffers": 0}
    assert cards == ["master 0", "driver none"] * 4
    shown = set(said[f"interrupts {number}"])
    assert f"vfio-intx({FIRST}), vfio-intx({THIRD})" in shown or f"vfio-intx({THIRD}), vfio-intx({FIRST})" in shown
    assert {f"vfio-msix[0]({card})" for card in (SECOND, FOURTH)} <= shown


def test_dhcp_ping_and_streams_through_all_four(run):
    network = Network(run.dir)
    said = sections(boot(run, network).finish(limit=2 * guest.PATIENCE))
    for number in 1, 2:
        judged(said, number, network)
