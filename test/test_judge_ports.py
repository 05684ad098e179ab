# SPDX-License-Identifier: BSD-3-Clause
"""Cards with two ports judged by Linux's ixgbe: an X540, an X550 and an 82599 in one guest, both ports of each at
work, and what becomes of one does not disturb the other. On the X550 also where RSS leads to. Then one port of an
X550 is Linux's and the other ours, on VFIO."""
import hashlib
import os
import re
import socket
import struct

import pytest

import guest
import rss
from linux import far_mac, here, there
from test_judge_vfio import CARD, NAME, boot, measured

pytestmark = pytest.mark.guest

CARDS = ("x540", "x550", "82599")
PORTS = range(2 * len(CARDS))
FLOWS, EACH = 64, 5


def card_mac(n):
    """As nicsim numbers its ports."""
    return f"02:00:00:00:00:{n + 1:02x}"


SCRIPT = f"""
address() {{ echo "0000:00:0$((3 + $1 / 2)).$(($1 % 2))"; }}
name() {{ ls /sys/bus/pci/devices/$(address $1)/net; }}
wait_for() {{ i=0; until "$@"; do i=$((i + 1)); [ $i -lt 1200 ]; sleep 0.05; done; }}
has_carrier() {{ [ "$(cat /sys/class/net/$(name $1)/carrier)" = 1 ]; }}
up() {{
	ip link set $(name $1) up
	ip addr replace 10.9.$1.2/24 dev $(name $1)
	arp -s 10.9.$1.1 02:00:00:00:02:0$1 # as at the other end: no question comes among the frames that are counted
	wait_for has_carrier $1
}}
sum() {{ wget -q -O - http://10.9.$1.1:8000/file | sha256sum; }}
changes() {{ cat /sys/class/net/$(name $1)/carrier_changes; }}
complaints() {{ ethtool -S $(name $1) | grep -E 'err|drop|miss|fail' | grep -vc ': 0$' || true; }}

for n in {" ".join(map(str, PORTS))}; do
	up $n
	echo "port $n mac $(cat /sys/class/net/$(name $n)/address) speed $(cat /sys/class/net/$(name $n)/speed)"
done
for n in {" ".join(map(str, PORTS))}; do sum $n >/tmp/$n & done
wait
for n in {" ".join(map(str, PORTS))}; do echo "fetched $n $(cat /tmp/$n)"; done

# One port of the X550 and one of the 82599 is reset, given back and taken again; meanwhile the other fetches.
for n in 2 4; do
	other=$((n + 1))
	rm -f /tmp/stop /tmp/fetched
	changed=$(changes $other)
	while [ ! -e /tmp/stop ]; do sum $other >>/tmp/fetched; sleep 0.3; done & busy=$!
	ip link set $(name $n) down
	up $n
	echo $(address $n) >/sys/bus/pci/drivers/ixgbe/unbind
	echo $(address $n) >/sys/bus/pci/drivers/ixgbe/bind
	wait_for [ -s /tmp/fetched ]
	: >/tmp/stop
	wait $busy
	up $n
	echo "after $n $(sum $n)"
	echo "meanwhile $other changes $(($(changes $other) - changed)) complaints $(complaints $other)" \\
		"sums $(sort -u /tmp/fetched)"
done

count() {{ echo $(ethtool -S $(name 2) | sed -n "s/^ *rx_queue_[0-9]*_packets: //p"); }}
total() {{ count | tr ' ' '\\n' | awk '{{ n += $1 }} END {{ print n }}'; }}
all_came() {{ [ $(($(total) - base)) -ge {FLOWS * EACH} ]; }}
ethtool -N $(name 2) rx-flow-hash udp4 sdfn
ethtool -X $(name 2) hkey {rss.KEY.hex(":")} weight 1 2 0 1
ethtool -x $(name 2)
base=$(total)
echo "before $(count)"
echo "receiving"
wait_for all_came
echo "received $(count)"
"""

SEND = f"""
import socket
for port in range(20000, 20000 + {FLOWS}):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        s.bind(("10.9.2.1", port))
        for _ in range({EACH}):
            s.sendto(bytes(40), ("10.9.2.255", 9))
"""


def test_linux_drives_both_ports(run):
    peer = run.namespace()
    words, cards = [], []
    for n in PORTS:
        peer.ip(f"tuntap add dev wire{n} mode tap")
        peer.ip(f"link set wire{n} address {far_mac(n)} addrgenmode none up")
        peer.ip(f"addr add {here(n)}/24 dev wire{n}")
        peer.ip(f"neigh replace {there(n)} lladdr {card_mac(n)} nud permanent dev wire{n}")
        words += ["--second-port"] if n % 2 else ["--device", CARDS[n // 2]]
        words += ["--socket", str(run.dir / f"port{n}"), "--wire", f"tap:wire{n}"]
        cards += guest.card(run.dir / f"port{n}", bus="pcie.0", addr=f"{3 + n // 2}.{n % 2}", multifunction=True)
    content = os.urandom(150_001)
    (run.dir / "www").mkdir()
    (run.dir / "www/file").write_bytes(content)
    run.start("/usr/bin/python3", "-u", "-m", "http.server", "8000", "--directory", run.dir / "www",
              wrap=peer.wrap).expect("Serving")
    card = run.start("nicsim", *words, wrap=peer.wrap)
    card.expect(f"port{max(PORTS)}, wire")

    linux = guest.Guest(run, SCRIPT, modules=["ixgbe"], qemu=["-smp", "4", *cards],
                        programs={"bin/ethtool": "/usr/sbin/ethtool"}, append="ipv6.disable=1")
    for step in (f"fetched {max(PORTS)}", "meanwhile 3", "meanwhile 5", "receiving"):
        linux.expect(f"^{step}")
    peer.call("/usr/bin/python3", "-c", SEND)
    lines = linux.finish("enabling UDP RSS")                 # pieces may come out of order
    total = hashlib.sha256(content).hexdigest()
    for n in PORTS:
        assert f"port {n} mac {card_mac(n)} speed 10000" in lines
        assert f"fetched {n} {total}  -" in lines
    for n in 2, 4:
        assert f"after {n} {total}  -" in lines
        assert f"meanwhile {n + 1} changes 0 complaints 0 sums {total}  -" in lines

    # The X550's table has 512 entries, each of which names a queue.
    rows = [line.partition(":")[2].split() for line in lines if re.match(r" *\d+: +\d", line)]
    table = [int(entry) for row in rows for entry in row]
    assert len(table) == 512 and [table.count(queue) for queue in range(4)] == [128, 256, 0, 128]
    before, after = ([int(word) for word in line.split()[1:]] for line in lines if re.match("before |received ", line))
    expected = [0] * 4
    for port in range(20000, 20000 + FLOWS):
        data = socket.inet_aton("10.9.2.1") + socket.inet_aton("10.9.2.255") + struct.pack(">HH", port, 9)
        expected[table[rss.toeplitz(rss.KEY, data) % 512]] += EACH
    assert [b - a for a, b in zip(before, after, strict=True)][:4] == expected
    assert card.stop() == 0
    assert len(card.lines) == len(PORTS), card.text


def test_one_port_is_ours(run):
    """The card says that its functions do not reach each other: pcid takes one while Linux's driver has the other,
    which is given back and taken again while frames go through ours. An X550's INTx is none to VFIO."""
    card, machine = boot(run, """
other=0000:00:01.1
name() { ls /sys/bus/pci/devices/$other/net; }
up() { ip link set $(name) up; until [ "$(cat /sys/class/net/$(name)/carrier)" = 1 ]; do sleep 0.1; done; }
insmod /modules/ixgbe.ko
up
changes=$(cat /sys/class/net/$(name)/carrier_changes)
echo $CARD >/sys/bus/pci/drivers/ixgbe/unbind
begin msix
generate env
echo "changes $(($(cat /sys/class/net/$(name)/carrier_changes) - changes))"
while [ ! -e /tmp/stop ]; do generate env; sleep 0.3; done >/tmp/generated & busy=$!
echo $other >/sys/bus/pci/drivers/ixgbe/unbind
echo $other >/sys/bus/pci/drivers/ixgbe/bind
: >/tmp/stop
wait $busy
cat /tmp/generated
end $pcid
up
echo "other $(basename $(readlink /sys/bus/pci/devices/$other/driver))"
pcid --config /etc/intx.toml --bind $CARD 2>&1 || echo "pcid ended with $?"
driver
""", device="x550", ports=2)
    for step in "pcid: network", "changes", "other":
        machine.expect(f"^{step}")
    ready, alone, changes, *meanwhile, other, refused, end, code, driver = machine.finish()
    assert re.fullmatch(rf"pcid: {NAME} ready \(ixgbed pid \d+, {CARD}\)", ready)
    assert measured(alone) and meanwhile and all(measured(line) for line in meanwhile)
    assert (changes, other) == ("changes 0", "other ixgbe")
    assert re.fullmatch(rf"pcid: {NAME}: ixgbed pid \d+: ixgbe {CARD}: interrupts cannot be set up in the way that was "
                        "asked for: use polling", refused)
    assert (end, code, driver) == ("pcid: no driver is left", "pcid ended with 1", "driver none")
    assert "Masking broken INTx support" in machine.kernel_log
    assert card.stop() == 0
    # The 1 Gbit/s PCS, which no copper card has, is Linux's doing.
    said = [line for line in card.lines if not re.search("strict: (?:read|write) of .*unknown register 0x042(?:08|18)", line)]
    assert len(said) == 2, card.text
