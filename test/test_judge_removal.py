# SPDX-License-Identifier: BSD-3-Clause
"""What happens to cards in a running machine, judged by Linux's driver: cables and modules pulled and plugged, drivers
taken away and given back, resets while frames move, a card that is pulled out of its slot."""
import re

import pytest

import guest
import linux

pytestmark = pytest.mark.guest

BINDS = 20

SCRIPT = f"""
begin() {{ # CARD
	eth=$(slot $1)
	ip addr add 10.9.$1.2/24 dev $eth
	up $eth
	arp -s 10.9.$1.1 02:00:00:00:02:0$1 # what asks in vain gives up before a reset is over
}}
talk() {{ # WHAT CARD BYTES
	echo "$1 $2 $(bounce $(slot $2) 10.9.$2.1 7777 $3 1472)"
}}
said() {{ dmesg | grep -q "0000:00:0$1.0.*$2"; }}
begin 1
begin 2

for what in link module; do
	for card in 1 2; do
		[ $what = module ] && [ $card = 1 ] && continue
		echo "pull $what $card"
		carrier $(slot $card) 0
		echo "plug $what $card"
		carrier $(slot $card) 1
		talk $what $card 100000
	done
done

# With its interface up and down, in turn.
driver=/sys/bus/pci/drivers/ixgbe
bind() {{ # CARD
	echo 0000:00:0$1.0 >$driver/unbind
	[ -z "$(slot $1)" ]
	echo 0000:00:0$1.0 >$driver/bind
	[ -n "$(slot $1)" ]
}}
n=0
while [ $n -lt {BINDS} ]; do
	n=$((n + 1))
	bind 1
	[ $((n % 2)) = 0 ] || ip link set $(slot 1) up
done
for up in up down; do
	bind 2
	ip link set $(slot 2) $up
done
begin 1
begin 2
echo "probed $(dmesg | grep -c 'Gigabit Network Connection')"
talk bound 1 100000
talk bound 2 100000

# While frames move, until there is this file. By TCP alone: a datagram on its way gets lost in a reset.
keep_talking() {{
	while [ ! -e /tmp/enough ]; do echo "reset $1 $(bounce $(slot $1) 10.9.$1.1 7777 100000)"; done
}}
for card in 1 2; do
	eth=$(slot $card)
	rm -f /tmp/enough
	keep_talking $card & talking=$!
	for reset in "ethtool -r $eth" "ip link set $eth mtu 4000" "ip link set $eth mtu 1500" "ethtool -r $eth"; do
		before=$(cat /sys/class/net/$eth/statistics/rx_packets)
		moves() {{ [ $(cat /sys/class/net/$eth/statistics/rx_packets) -gt $((before + 20)) ]; }}
		until_ 1200 moves
		$reset
	done
	touch /tmp/enough
	wait $talking
	talk after $card 100000
done
rm /tmp/enough

# Pulled out: of one the driver hears when it asks, of the other while it moves frames.
for card in 2 1; do
	eth=$(slot $card)
	[ $card = 1 ] || keep_talking 2 >/dev/null & talking=$!
	echo "remove $card"
	until_ 1200 said $card "Adapter removed"
	echo 1 >/sys/bus/pci/devices/0000:00:0$card.0/remove
	[ ! -e /sys/bus/pci/devices/0000:00:0$card.0 ]
	echo "removed $card"
	[ $card = 1 ] || {{ kill $talking; talk survived 1 100000; }}
done
rmmod ixgbe
"""


def test_linux_and_what_happens(run):
    peer, processes = linux.on_taps(run, ["x540", "82599"])
    run.start(linux.bounce(), "serve", "7777", wrap=peer.wrap).expect("bouncing")
    machine = linux.boot(run, SCRIPT, [run.dir / "card1", run.dir / "card2"], append="ipv6.disable=1")
    for n in 1, 2:
        machine.expect(f"^pull link {n}")
        linux.ctl(run, n, "link", "down")
        machine.expect(f"^plug link {n}")
        linux.ctl(run, n, "link", "up")
    machine.expect("^pull module 2")
    linux.ctl(run, 2, "plug", "none")
    machine.expect("^plug module 2")
    linux.ctl(run, 2, "plug", "lr")
    for n in 2, 1:
        machine.expect(f"^remove {n}", 3 * guest.PATIENCE)
        linux.ctl(run, n, "remove")
    lines = machine.finish(f"{linux.CABLE_PULLED}|Adapter removed|firmware error detected FWSM: 0xFFFFFFFF",
                           limit=3 * guest.PATIENCE)
    talks = [line for line in lines if re.match("(link|module|bound|reset|after|survived) ", line)]
    assert not [line for line in talks if not re.fullmatch(r"\w+ \d bounced sent:.*", line)]
    assert {line[:line.index(" bounced")] for line in talks} == {
        "link 1", "link 2", "module 2", "bound 1", "bound 2", "reset 1", "reset 2", "after 1", "after 2",
        "survived 1"}
    assert [line for line in lines if line.startswith("removed ")] == ["removed 2", "removed 1"]
    assert f"probed {2 + BINDS + 2}" in lines
    for process in processes:
        assert process.stop() == 0
