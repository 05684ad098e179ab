# SPDX-License-Identifier: BSD-3-Clause
"""nicsim's queues and what ethtool shows and sets of a card, judged by Linux's driver on four processors."""
import re
import socket
import struct

import pytest
from scapy.all import IP, TCP, UDP, Ether, Raw

import guest
import lab
import linux
import rss
from linux import far_mac, here, mac, there
from x540 import Card

pytestmark = pytest.mark.guest

EERD = 0x10014
# To all, since nobody answers that: what a queue sent is what it was given to send.
FLOWS, EACH, ALL = 64, 5, "10.9.1.255"
# For nobody, so that nobody answers: a packet, how often, whether its checksum is one that the driver finds wrong.
FRAME = Ether(dst=mac(1), src=far_mac(1))
NOBODY = {"src": here(1), "dst": "10.9.1.77"}
SUMS = [
    (FRAME / IP(**NOBODY) / TCP() / Raw(b"right"), 3, False), (FRAME / IP(**NOBODY) / UDP() / Raw(b"right"), 3, False),
    (FRAME / IP(**NOBODY) / TCP(chksum=1) / Raw(b"wrong"), 1, True),
    (FRAME / IP(**NOBODY) / UDP(chksum=1) / Raw(b"wrong"), 2, True),
    (FRAME / IP(**NOBODY) / UDP(chksum=0) / Raw(b"none"), 3, False),
    (FRAME / IP(**NOBODY, chksum=1) / UDP() / Raw(b"wrong"), 4, True),
    (FRAME / IP(**NOBODY, flags="MF", id=9) / UDP(chksum=1) / Raw(b"not8"), 3, False),
]
SPREAD = f"""
# What a queue's own counters say, frames: "rx 0 3 0 2".
count() {{ echo $1 $(ethtool -S $eth | sed -n "s/^ *$1_queue_[0-9]*_packets: //p"); }}
sum() {{ count $1 | tr ' ' '\\n' | awk '{{ n += $1 }} END {{ print n }}'; }}
more() {{ [ $(($(sum $1) - base)) -ge $2 ]; }}
receive() {{
	ethtool -x $eth
	echo "before $1 $(count rx)"
	base=$(sum rx)
	echo "receiving $1"
	until_ 600 more rx {FLOWS * EACH}
	echo "after $1 $(count rx)"
}}
eth=$(slot 1)
ip addr add {there(1)}/24 dev $eth
up $eth
arp -s {here(1)} {far_mac(1)}
echo "queues $(ls -d /sys/class/net/$eth/queues/rx-* | wc -l) $(ls -d /sys/class/net/$eth/queues/tx-* | wc -l)"
# UDP ports are not hashed until one says so.
receive addresses
ethtool -N $eth rx-flow-hash udp4 sdfn
ethtool -X $eth hkey {rss.KEY.hex(":")}
receive ports
ethtool -X $eth equal 2
receive two
ethtool -X $eth hkey {bytes(range(40)).hex(":")}
ethtool -X $eth weight 1 0 2 1
receive weighed
grep $eth-TxRx /proc/interrupts

base=$(sum tx)
echo "before sending $(count tx)"
for cpu in 0 1 2 3; do taskset $((1 << cpu)) ping -q -c 20 -i 0.1 -W 10 {here(1)} >/dev/null & done
wait
until_ 600 more tx 80
echo "after sending $(count tx)"

# Who opens a connection by a queue is answered to it: the driver asks the flow director for that.
for cpu in 0 1 2 3; do
	echo "before flow $cpu $(count rx)"
	taskset $((1 << cpu)) wget -q -O /tmp/fetched http://{here(1)}:8000/file
	echo "after flow $cpu $(count rx)"
done
wrong() {{ ethtool -S $eth | sed -n "s/^ *rx_csum_offload_errors: //p"; }}
before=$(wrong)
echo "before sums $before"
all_wrong() {{ [ $(($(wrong) - before)) -ge {sum(count for _, count, wrong in SUMS if wrong)} ]; }}
base=$(sum rx)
echo "receiving sums"
until_ 600 more rx {sum(count for _, count, _ in SUMS)}
until_ 600 all_wrong # the last words of a connection may have been among those
echo "after sums $(wrong)"
ethtool -A $eth autoneg off rx on tx on
carrier $eth 1
pauses() {{ echo "$1 $(ethtool -S $eth | sed -n 's/^ *rx_flow_control_xo.*: //p' | tr '\\n' ' ')"; }}
went_on() {{ ! ethtool -S $eth | grep -q 'rx_flow_control_xon: 0$'; }}
pauses "before pauses"
echo "receiving pauses"
until_ 600 went_on
pauses "after pauses"
ethtool -X $eth default
ip link set $eth down
"""

# Registers as ethtool -d names them.
REGISTERS = ("STATUS", "LINKS", "FCTRL", "MFLCN", "FCCFG", "MHADD", "RXCTRL", "EITR0", "RAL00", "RAH00",
             *(f"{kind}{n:02}" for kind in ("RDLEN", "TDLEN", "RXDCTL", "TXDCTL") for n in range(4)))
VALUES = f"""
values() {{ # WHEN
	echo "== $card $1 registers"
	ethtool -d $eth | grep -E '^0x.....: ({"|".join(REGISTERS)}) '
	for option in -a -g -l -c; do
		echo "== $card $1 $option"
		ethtool $option $eth | sed '/Pre-set/,/Current/d'
	done
}}
for card in 1 2; do
	eth=$(slot $card)
	ip addr replace 10.9.$card.2/24 dev $eth
	up $eth
	values before
	echo "== $card before eeprom"
	ethtool -e $eth raw on | od -An -v -t x2
	ethtool -A $eth autoneg off rx off tx off
	ethtool -G $eth rx 1024 tx 256
	ethtool -L $eth combined 2
	ethtool -C $eth rx-usecs 50
	carrier $eth 1
	values after
	echo "== $card bounced"
	bounce $eth 10.9.$card.1 7777 100000 1472
	ip link set $eth down
done
"""

SEND = f"""
import socket
for port in range(20000, 20000 + {FLOWS}):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        s.bind(("{here(1)}", port))
        for _ in range({EACH}):
            s.sendto(bytes(40), ("{ALL}", 9))
"""

PAUSE = "0180c2000001" + far_mac(1).replace(":", "") + "88080001%04x" + 42 * "00"
RAW = """
import socket, sys
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
    s.bind(("wire1", 0))
    for data in sys.argv[1:]:
        s.send(bytes.fromhex(data))
"""


def table_of(lines):
    """Key and table, as ethtool -x prints them."""
    rows = [line.partition(":")[2].split() for line in lines if re.match(r" *\d+: +\d", line)]
    keys = [line for line in lines if re.fullmatch(r"(?:[0-9a-f]{2}:){39}[0-9a-f]{2}", line)]
    return bytes.fromhex(keys[-1].replace(":", "")), [int(entry) for row in rows[-16:] for entry in row]


def judge_spreading(peer, machine):
    """Each queue gets what the table says, to the frame; each processor has a queue to send with."""
    assert machine.expect("^queues (.*)").group(1) == "4 4"
    shares = []
    for what, ports in ("addresses", False), ("ports", True), ("two", True), ("weighed", True):
        before = machine.expect(f"^before {what} rx (.*)").group(1).split()
        machine.expect(f"^receiving {what}")
        key, table = table_of(machine.machine.lines)
        peer.call(linux.PYTHON, "-c", SEND)
        after = machine.expect(f"^after {what} rx (.*)").group(1).split()
        got = [int(b) - int(a) for a, b in zip(before, after, strict=True)]
        expected = [0] * 4
        for port in range(20000, 20000 + FLOWS):
            data = socket.inet_aton(here(1)) + socket.inet_aton(ALL)
            hash_ = rss.toeplitz(key, data + struct.pack(">HH", port, 9) if ports else data)
            expected[table[hash_ % 128]] += EACH
        assert got[:4] == expected and sum(got) == FLOWS * EACH, what
        shares.append(sum(share > 0 for share in expected))
    assert shares == [1, 4, 2, 3]
    machine.expect("eth0-TxRx-3")
    vectors = re.findall(r"^ *\d+:((?: +\d+)+) .*eth0-TxRx-\d$", machine.machine.text, re.M)
    assert len(vectors) == 4 and all(sum(map(int, counts.split())) > 0 for counts in vectors)
    before = machine.expect("^before sending tx (.*)").group(1).split()
    after = machine.expect("^after sending tx (.*)").group(1).split()
    sent = [int(b) - int(a) for a, b in zip(before, after, strict=True)]
    assert sent[:4] == [20] * 4 and sum(sent) == 80


def judge_flow_director(machine):
    for cpu in range(4):
        before = machine.expect(f"^before flow {cpu} rx (.*)").group(1).split()
        after = machine.expect(f"^after flow {cpu} rx (.*)").group(1).split()
        got = [int(b) - int(a) for a, b in zip(before, after, strict=True)]
        # The first answer at least, though RSS never leads to queue 1; later ones may go where an acknowledgement came from.
        assert got[cpu] >= 1 and sum(got) >= 3, (cpu, got)


def judge_checksums(peer, machine):
    """The driver counts the frames that the card calls wrong."""
    before = int(machine.expect(r"^before sums (\d+)").group(1))
    machine.expect("^receiving sums")
    peer.call(linux.PYTHON, "-c", RAW, *(bytes(packet).hex() for packet, count, _ in SUMS for _ in range(count)))
    after = int(machine.expect(r"^after sums (\d+)").group(1))
    assert after - before == sum(count for _, count, wrong in SUMS if wrong)


def judge_pauses(peer, machine):
    """The driver counts the pause frames that the card took."""
    machine.expect("^receiving pauses")
    peer.call(linux.PYTHON, "-c", RAW, *(PAUSE % quanta for quanta in (65535, 65535, 100, 0)))
    assert machine.expect("^before pauses (.*)").group(1).split() == ["0", "0"]
    assert machine.expect("^after pauses (.*)").group(1).split() == ["1", "3"]


def sections(lines):
    """By heading, what stands below."""
    found, part = {}, None
    for line in lines:
        if line.startswith("== "):
            part = found.setdefault(line[3:], [])
        elif part is not None:
            part.append(line)
    return found


def pairs(lines):
    """NAME: VALUE, the first of each name."""
    found = {}
    for line in lines:
        name, _, value = line.partition(":")
        found.setdefault(name, value.strip())
    return found


def judge_values(said, n, eeprom):
    """What ethtool shows of a card as it is, and once more after it was set."""
    for when, rx, tx, queues, pause in ("before", 512, 512, 4, True), ("after", 1024, 256, 2, False):
        register = {}
        for line in said[f"{n} {when} registers"]:
            match = re.match(r"0x[0-9A-F]{5}: (\w+) .* 0x([0-9A-F]{8})$", line)
            register[match[1]] = int(match[2], 16)
        assert set(register) == set(REGISTERS)
        assert register["STATUS"] & 0x80080 == 0x80080 and register["LINKS"] & 0x70000000 == 0x70000000
        assert register["FCTRL"] == 0x400 and register["MHADD"] == 1518 << 16 and register["RXCTRL"] == 1
        address = bytes.fromhex(mac(n).replace(":", ""))
        assert register["RAL00"] == int.from_bytes(address[:4], "little")
        assert register["RAH00"] & 0x8000ffff == 0x80000000 | int.from_bytes(address[4:], "little")
        assert (register["MFLCN"] & 8, register["FCCFG"]) == ((8, 8) if pause else (0, 0))
        assert [register[f"RDLEN{k:02}"] for k in range(4)] == [16 * rx] * queues + [0] * (4 - queues)
        assert [register[f"TDLEN{k:02}"] for k in range(4)] == [16 * tx] * queues + [0] * (4 - queues)
        for name in "RXDCTL", "TXDCTL":
            assert [register[f"{name}{k:02}"] >> 25 & 1 for k in range(4)] == [1] * queues + [0] * (4 - queues)
        assert {name: pairs(said[f"{n} {when} -a"])[name] for name in ("RX", "TX")} == dict.fromkeys(
            ("RX", "TX"), "on" if pause else "off")
        ring = pairs(said[f"{n} {when} -g"])
        assert (ring["RX"], ring["TX"]) == (str(rx), str(tx))
        assert pairs(said[f"{n} {when} -l"])["Combined"] == str(queues)
        assert pairs(said[f"{n} {when} -c"])["rx-usecs"] == ("1" if pause else "50")
    assert register["EITR0"] & 0xff8 == 50 << 2              # in units of 2 us, from bit 3
    words = [int(word, 16) for line in said[f"{n} before eeprom"] for word in line.split()]
    assert words == eeprom
    # The checksum: words 0 to 3F, and sections behind their lengths to which some of them point.
    covered = [words[at + 1:at + 1 + words[at]] for at in words[0x06:0x0f] if at not in (0, 0xffff)]
    assert sum(words[:0x40]) + sum(map(sum, covered)) & 0xffff == 0xbaba
    assert said[f"{n} bounced"][0].startswith("bounced ")


def read_eeprom(path):
    with Card(path) as card:
        words = []
        for address in range(1024):
            card.set(EERD, address << 2 | 1)
            words.append(lab.wait_for(lambda: card.reg(EERD), "EERD") >> 16)
        return words


def test_linux_queues_and_settings(run):
    peer, processes = linux.on_taps(run, ["x540", "82599"])
    sockets = [run.dir / "card1", run.dir / "card2"]
    eeproms = [read_eeprom(path) for path in sockets]
    run.start(linux.bounce(), "serve", "7777", wrap=peer.wrap).expect("bouncing")
    (run.dir / "www").mkdir()
    (run.dir / "www/file").write_bytes(b"short")
    run.start(linux.PYTHON, "-u", "-m", "http.server", "8000", "--directory", run.dir / "www",
              wrap=peer.wrap).expect("Serving")
    machine = linux.boot(run, SPREAD + VALUES, sockets, append="ipv6.disable=1")
    judge_spreading(peer, machine)
    judge_flow_director(machine)
    judge_checksums(peer, machine)
    judge_pauses(peer, machine)
    said = sections(machine.finish("enabling UDP RSS"))      # pieces may come out of order
    for n, eeprom in enumerate(eeproms, 1):
        judge_values(said, n, eeprom)
    for process in processes:
        assert process.stop() == 0
        assert len(process.lines) == 1, process.text
