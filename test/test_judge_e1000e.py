# SPDX-License-Identifier: BSD-3-Clause
"""nicsim's 82574L judged by a driver that was not written here: Linux 6.12's e1000e, in a guest, with a network
namespace at the other end of the card's wire. First with MSI-X, then with INTx and with MSI; with each offload turned off; what ethtool shows of it."""
import hashlib
import os
import re

import pytest

import guest
import linux
import strict
from linux import far_mac, here, mac, there
from test_judge_linux import FETCH, JUMBO, SIZES
from test_judge_queues import PAUSE, RAW, pairs, sections

pytestmark = pytest.mark.guest

# What the driver lets be turned off, one after the other, and on again from the last (ethtool -K), and registers as ethtool -d names them.
FEATURES = ("tso", "sg", "tx", "rx", "rxvlan", "rxhash")  # txvlan goes with rxvlan
REGISTERS = ("CTRL (Device control register)", "STATUS (Device status register)", "RCTL (Receive control register)",
             "RDLEN (Receive desc length)", "TDLEN (Transmit desc length)")

SCRIPT = f"""
begin() {{
	eth=$(slot 1)
	echo "driver $(basename $(readlink /sys/class/net/$eth/device/driver))"
	up $eth
	ip addr add {there(1)}/24 dev $eth
	echo "speed $(cat /sys/class/net/$eth/speed) $(cat /sys/class/net/$eth/duplex) mac $(cat /sys/class/net/$eth/address)"
}}
pings() {{ for size; do ping -q -c 1 -W 10 -s $size {here(1)} >/dev/null && echo "answered $size"; done; }}
fetch() {{ wget -q -O /tmp/fetched http://{here(1)}:8000/file; echo "fetched $(sha256sum </tmp/fetched)"; }}
# What the system counts itself; the rest of ethtool's are the card's registers.
own() {{ for way in rx tx; do echo "own_$way:$(cat /sys/class/net/$eth/statistics/${{way}}_packets)"; done | tr '\\n' ' '; }}

begin
ip link set $eth mtu 9000
carrier $eth 1
pings {" ".join(map(str, JUMBO))}
ip link set $eth mtu 1500
carrier $eth 1
arp -s {here(1)} {far_mac(1)}

echo "before $(counters $eth) $(own)"
gate before
pings {" ".join(map(str, SIZES))}
fetch
mkdir /tmp/www
dd if=/dev/urandom of=/tmp/www/file bs=1000 count=701 2>/dev/null
echo "made $(sha256sum </tmp/www/file)"
httpd -h /tmp/www -p 80
gate served
echo "after $(counters $eth) $(own)"
grep $eth /proc/interrupts

gate flap
carrier $eth 0
echo "carrier lost"
carrier $eth 1
for feature in {" ".join(FEATURES)}; do
	ethtool -K $eth $feature off
	carrier $eth 1
	pings 100
	fetch
done
echo "== off"
ethtool -k $eth
echo "== on"
# Each begins with the link up. The driver, which is reset by some of them, must not be asked for the next while its watchdog
# finds the link again: it may then take the carrier for what it set up itself, and leave the transmitter off.
for feature in {" ".join(reversed(FEATURES))}; do
	ethtool -K $eth $feature on
	carrier $eth 1
done
fetch
ethtool -k $eth
for when in "autoneg on" "autoneg off rx on tx off"; do
	[ "$when" = "autoneg on" ] || ethtool -A $eth $when
	carrier $eth 1
	echo "== pause $when"
	ethtool -a $eth
	ethtool -d $eth
done
echo "== eeprom"
ethtool -e $eth raw on | od -An -v -t x2
echo "== end"
pauses() {{ echo "$1 $(ethtool -S $eth | sed -n 's/^ *rx_flow_control_xo.*: //p' | tr '\n' ' ')"; }}
went_on() {{ ! ethtool -S $eth | grep -q 'rx_flow_control_xon: 0$'; }}
pauses "before pauses"
echo "receiving pauses"
until_ 600 went_on
pauses "after pauses"
gate plain

# The driver's own test: registers, EEPROM, interrupts, a loop in the PHY, link. It waits 10 ms for an interrupt and
# 200 ms for 64 frames, which is nothing where a busy machine runs this one: it may try again.
for try in 1 2 3 4 5 6 7 8 9 10; do
	ethtool -t $eth offline >/tmp/result || true
	carrier $eth 1
	grep -q 'result is PASS' /tmp/result && break
done
echo "tested" $(sed -n 's/ test .*\\t */:/p' /tmp/result)
for mode in 0 1; do
	rmmod e1000e
	insmod /modules/e1000e.ko IntMode=$mode
	begin
	pings 0 1472
	fetch
	grep $eth /proc/interrupts
	ip link set $eth down
done
"""


def judge_settings(said):
    """What ethtool shows of the card as the driver set it."""
    for word in "off", "on":
        features = pairs(said[word])
        assert {features[name].split()[0] for name in (
            "rx-checksumming", "tx-checksumming", "tcp-segmentation-offload", "rx-vlan-offload", "tx-vlan-offload",
            "receive-hashing", "scatter-gather")} == {word}
    for when, auto, rx, tx in ("autoneg on", "on", "on", "on"), ("autoneg off rx on tx off", "off", "on", "off"):
        shown = pairs(said[f"pause {when}"])
        assert [shown[name] for name in ("Autonegotiate", "RX", "TX")] == [auto, rx, tx]
        values = {name: int(re.search(rf"{re.escape(name)} +0x([0-9A-F]+)", "\n".join(said[f"pause {when}"]))[1], 16)
                  for name in REGISTERS}
        ctrl, status, rctl, rdlen, tdlen = values.values()
        # RFCE and TFCE by what was agreed; full duplex at 1000, link up; receiver on, broadcasts accepted.
        assert ctrl >> 27 & 3 == (rx == "on") + 2 * (tx == "on") and ctrl & 0x40
        assert status & 0xc3 == 0x83 and rctl & 0x8002 == 0x8002
        assert (rdlen, tdlen) == (4096, 4096)
    words = [int(word, 16) for line in said["eeprom"] for word in line.split()]
    assert b"".join(word.to_bytes(2, "little") for word in words[:3]).hex(":") == mac(1)
    assert len(words) == 512 and sum(words[:0x40]) & 0xffff == 0xbaba


def test_linux_e1000e(run):
    peer, (card,) = linux.on_taps(run, ["82574l --strict"])
    content = os.urandom(700_001)
    (run.dir / "www").mkdir()
    (run.dir / "www/file").write_bytes(content)
    run.start(linux.PYTHON, "-u", "-m", "http.server", "8000", "--directory", run.dir / "www",
              wrap=peer.wrap).expect("Serving")
    machine = linux.boot(run, SCRIPT, [run.dir / "card1"], modules=["e1000e"], append="ipv6.disable=1")
    machine.expect("^gate before", limit=2 * guest.PATIENCE)
    before, wire_before = linux.numbers(machine.expect("^before(.*)").group(1)), linux.wire_counters(peer, 1)
    linux.pass_gate(peer, 1)
    machine.expect("^gate served", limit=2 * guest.PATIENCE)
    made = machine.expect("^made (\\w+)").group(1)
    assert peer.call(linux.PYTHON, "-c", FETCH % there(1), limit=guest.PATIENCE).strip() == made
    linux.pass_gate(peer, 1)

    # What one end sent is what the other received: by the card's registers, Linux's own count, and the wire's.
    machine.expect("^gate flap")
    after, wire_after = linux.numbers(machine.expect("^after(.*)").group(1)), linux.wire_counters(peer, 1)
    moved = {name: after[name] - before[name] for name in before}
    on_wire = {name: {key: wire_after[name][key] - wire_before[name][key] for key in ("packets", "bytes")} for name in ("rx", "tx")}
    for way, wire in ("tx", "rx"), ("rx", "tx"):
        # Pauses are not the driver's frames; the card makes them when its buffer fills.
        pauses = sum(moved[f"{way}_flow_control_{kind}"] for kind in ("xon", "xoff"))
        packets = on_wire[wire]["packets"] - pauses
        assert packets > 2 * len(SIZES)
        assert moved[f"{way}_packets"] == moved[f"own_{way}"] == packets
        # The card counts the CRC of each, and the padding of short ones, which a TAP does not show when it sends them.
        assert 0 <= moved[f"{way}_bytes"] - on_wire[wire]["bytes"] + 60 * pauses - 4 * packets <= 18 * packets
    assert moved["tx_tcp_seg_good"] > 0
    assert not {name: value for name, value in after.items() if value and re.search("err|drop|miss|fail|over", name)}

    linux.pass_gate(peer, 1)
    peer.ip("link set wire1 down")
    machine.expect("^carrier lost")
    peer.ip("link set wire1 up")
    machine.expect("^receiving pauses", limit=4 * guest.PATIENCE)
    peer.call(linux.PYTHON, "-c", RAW, *(PAUSE % quanta for quanta in (65535, 65535, 100, 0)))
    machine.expect("^gate plain", limit=2 * guest.PATIENCE)
    judge_settings(sections(machine.machine.lines))
    linux.pass_gate(peer, 1)
    lines = machine.finish(limit=4 * guest.PATIENCE)
    assert lines.count("driver e1000e") == lines.count(f"speed 1000 full mac {mac(1)}") == 3
    assert lines.count(f"fetched {hashlib.sha256(content).hexdigest()}  -") == 4 + len(FEATURES)
    pauses = {words[0]: words[2:] for text in lines if (words := text.split())[1:2] == ["pauses"]}
    assert (pauses["before"], pauses["after"]) == (["0", "0"], ["1", "3"])
    answered = [int(line.split()[1]) for line in lines if line.startswith("answered ")]
    assert answered == [*JUMBO, *SIZES, *[100] * len(FEATURES), 0, 1472, 0, 1472]
    (results,) = [text for text in lines if text.startswith("tested ")]
    assert linux.numbers(results) == {"Register": 0, "Eeprom": 0, "Interrupt": 0, "Loopback": 0, "Link": 0}
    used = [re.sub(r"\s+", " ", text) for text in lines if re.match(r" *\d+: .*\beth\d", text)]
    assert [re.search(r"(PCI-MSIX?|IO-APIC).* (eth\d\S*)", text).groups() for text in used] == [
        ("PCI-MSIX", "eth0-rx-0"), ("PCI-MSIX", "eth0-tx-0"), ("PCI-MSIX", "eth0"), ("IO-APIC", "eth0"), ("PCI-MSI", "eth0")]
    assert all(re.match(r" ?\d+:( \d+)* [1-9]", text) for text in used)
    assert card.stop() == 0
    assert not strict.unlisted(card, "e1000e")
