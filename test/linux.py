# SPDX-License-Identifier: BSD-3-Clause
"""What the tests that have Linux's ixgbe judge nicsim share: cards with the kernel's TAP interfaces at the other
end of their wires, in a namespace; guests that drive them; what a guest's script does again and again."""
import collections
import json
import re

import guest
import lab

PYTHON = "/usr/bin/python3"
Model = collections.namedtuple("Model", "id module", defaults=("",))
# By nicsim's --device: the PCI id, and what ethtool -m says of what is in its cage.
MODELS = {"x540": Model("1528"), "x550": Model("1563"),
          "82599": Model("10fb", "Intel Corp FTLX8571D3BCV-IT 35.00 degrees C / 95.00 degrees F"),
          "82599-kx4": Model("10f7")}

# What the driver says where a cable was pulled before all was sent: it throws that away.
CABLE_PULLED = r"ixgbe .*: (?:initiating reset to clear Tx work after link loss|Reset adapter)"

# Card N is the function at 0000:00:0N.0: `slot`. A gate is passed when somebody connects to it from outside.
PRELUDE = """
slot() { ls /sys/bus/pci/devices/0000:00:0$1.0/net 2>/dev/null || true; }
gate() { echo "gate $1"; nc -l -p 9 </dev/null; }
until_() { # TIMES CONDITION...: tries every 50 ms
	left=$1
	shift
	until "$@"; do
		left=$((left - 1))
		[ $left -gt 0 ] || { echo "never: $*"; return 1; }
		sleep 0.05
	done
}
carrier_is() { [ "$(cat /sys/class/net/$1/carrier 2>/dev/null)" = "$2" ]; }
carrier() { until_ 600 carrier_is $1 $2; }
up() { # INTERFACE
	ip link set $1 up
	carrier $1 1
}
# The card's registers (..._nic) and the system's counters, as soon as they stand still.
counters() { # INTERFACE
	same=0 read=
	while [ $same -lt 3 ]; do
		now=$(ethtool -S $1)
		[ "$now" = "$read" ] && same=$((same + 1)) || same=0
		read=$now
		sleep 0.2
	done
	echo "$read" | tr -d ' ' | tr '\\n' ' '
}
"""

PASS_GATE = """
import socket, sys, time
for _ in range(200):
    try:
        sys.exit(socket.create_connection(("%s", 9), 10).close())
    except ConnectionRefusedError:
        time.sleep(0.05)
sys.exit("the gate stays closed")
"""


def here(n):
    return f"10.9.{n}.1"


def there(n):
    return f"10.9.{n}.2"


def mac(n):
    return f"02:00:00:00:01:{n:02x}"


def far_mac(n):
    return f"02:00:00:00:02:{n:02x}"


def bounce():
    return str(lab.BUILD / "test/guest/bounce")


def numbers(text):
    """NAME:NUMBER ... as a dictionary."""
    return {name: int(value) for name, value in re.findall(r"(\w+):(\d+)", text)}


def on_taps(run, cards, strict=False):
    """For each of `cards`, which are nicsim's arguments from --device on, a nicsim, card 1 first, and in a namespace a
    TAP at the other end of its wire, wire1 and so on; `ctl` reaches it. That end knows the card's address, so that no
    question comes among frames that are counted. `strict`: those with MSI-X and trapped doorbells are. Returns the
    namespace and these processes."""
    peer = run.namespace()
    processes = []
    for n, card in enumerate(cards, 1):
        peer.ip(f"tuntap add dev wire{n} mode tap")
        peer.ip(f"link set wire{n} address {far_mac(n)} mtu 9000 addrgenmode none up")
        peer.ip(f"addr add {here(n)}/24 dev wire{n}")
        peer.ip(f"neigh replace {there(n)} lladdr {mac(n)} nud permanent dev wire{n}")
        options = [] if "--doorbells" in card else ["--doorbells", "trapped"]
        if strict and card in MODELS:
            options.append("--strict")
        processes.append(run.start("nicsim", *options, "--device", *card.split(), "--socket", run.dir / f"card{n}",
                                   "--wire", f"tap:wire{n}", "--mac", mac(n), "--control", run.dir / f"control{n}",
                                   wrap=peer.wrap))
    for n, process in enumerate(processes, 1):
        process.expect(f"/card{n}, wire")
    return peer, processes


def in_slots(sockets):
    """QEMU's arguments for these cards, card 1 first."""
    return [text for n, path in enumerate(sockets, 1) for text in guest.card(path, bus="pcie.0", addr=str(n))]


def boot(run, script, cards, *, modules=(), programs=None, qemu=(), **what):
    """A guest on four processors with ixgbe, ethtool and bounce; `cards`: sockets, card 1 first."""
    return guest.Guest(run, PRELUDE + script, modules=["ixgbe", *modules], qemu=["-smp", "4", *in_slots(cards), *qemu],
                       programs={"bin/ethtool": "/usr/sbin/ethtool", "bin/bounce": bounce(), **(programs or {})}, **what)


def ctl(run, n, *command):
    """Something happens to card N."""
    code, text = run.call("nicsim", "ctl", run.dir / f"control{n}", *command)
    assert code == 0, text


def pass_gate(peer, n):
    peer.call(PYTHON, "-c", PASS_GATE % there(n), limit=guest.PATIENCE)


def wire_counters(peer, n):
    (wire,) = json.loads(peer.call("ip", "-json", "-statistics", "link", "show", f"wire{n}"))
    return wire["stats64"]
