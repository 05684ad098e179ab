# SPDX-License-Identifier: BSD-3-Clause
"""nicsim's offloads judged by Linux: two cards with a cable between them, each in a network namespace of a guest, with a
VLAN on top. Every feature that Linux's ixgbe lets one change is turned over, at each end; the same data must arrive."""
import re

import pytest

import guest
import linux

pytestmark = pytest.mark.guest

ADDRESSES = {"10.9.1.1", "10.9.5.1", "fd00:1::1", "fd00:5::1"}
# As ethtool -k names them: features that both kernels' ixgbe lets one change. There may be more, which are turned over too.
FEATURES = {
    "rx-checksumming", "tx-checksum-ip-generic", "tx-checksum-sctp", "tx-scatter-gather", "tx-tcp-segmentation",
    "tx-tcp-mangleid-segmentation", "tx-tcp6-segmentation", "generic-segmentation-offload", "generic-receive-offload",
    "large-receive-offload", "rx-vlan-offload", "tx-vlan-offload", "rx-vlan-filter", "receive-hashing",
    "ntuple-filters", "tx-udp-segmentation", "rx-all", "hw-tc-offload", "l2-fwd-offload"}

SCRIPT = """
# Card 1 is near; card 2 is far, in a namespace of its own.
unshare -n sleep 100000 & holder=$!
other_namespace() { [ "$(readlink /proc/$holder/ns/net)" != "$(readlink /proc/self/ns/net)" ]; }
until_ 100 other_namespace
inside() { nsenter -t $holder -n "$@"; }
near=$(slot 1) far=$(slot 2)
ip link set $far netns $holder

# Addresses are usable at once.
echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
echo 0 >/proc/sys/net/ipv6/conf/$near/accept_dad
inside sh -c "echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad; echo 0 >/proc/sys/net/ipv6/conf/$far/accept_dad"
equip() { # INSIDE INTERFACE N
	$1 ip link set $2 up
	$1 ip addr add 10.9.1.$3/24 dev $2
	$1 ip -6 addr add fd00:1::$3/64 dev $2
}
equip_vlan() { # the same
	$1 ip link add link $2 name vlan5 type vlan id 5
	$1 ip link set vlan5 up
	$1 ip addr add 10.9.5.$3/24 dev vlan5
	$1 ip -6 addr add fd00:5::$3/64 dev vlan5
}
linked() { ethtool $near | grep -q 'detected: yes' && inside ethtool $far | grep -q 'detected: yes'; }
equip "" $near 2
equip inside $far 1
until_ 600 linked
inside bounce serve 7777 &

talk_to() { # ADDRESSES NAME SIZE...
	addresses=$1 name=$2
	shift 2
	for to in $addresses; do echo "$name $to $(bounce $near $to 7777 100000 0 1 1000 "$@")"; done
}
talk() { talk_to "$TALK" "$@"; }
talk_all() { talk_to "10.9.1.1 10.9.5.1 fd00:1::1 fd00:5::1" "$@"; }
both() { # OPTION...: ethtool at both ends
	option=$1
	shift
	ethtool $option $near "$@"
	inside ethtool $option $far "$@"
}
is() { # FEATURE on|off
	ethtool -k $near | grep -q "^[[:space:]]*$1: $2" && inside ethtool -k $far | grep -q "^[[:space:]]*$1: $2"
}
turn() { # FEATURE on|off
	both -K $1 $2 >/dev/null
	is $1 $2 || { echo "stays as it is: $1"; exit 1; }
	until_ 600 linked
}
# Not once a VLAN lies above.
turn large-receive-offload on
talk_to "10.9.1.1 fd00:1::1" large-receive-offload/on 1472
turn large-receive-offload off
equip_vlan "" $near 2
equip_vlan inside $far 1
# Without the heads of groups, whose members are turned over.
features=$(ethtool -k $near | grep -v fixed | sed -n 's/^[[:space:]]*\\([a-z0-9-]*\\): o[nf]*.*/\\1/p' |
	grep -vx 'tx-checksumming\\|scatter-gather\\|tcp-segmentation-offload\\|large-receive-offload')
talk_all default 1471 1472 1473
for feature in $features; do
	now=on to=off
	is $feature off && now=off to=on
	turn $feature $to
	talk "$feature/$to" 1472
	turn $feature $now
done
talk default-again

for eth in $near vlan5; do ip link set $eth mtu 9000; done
for eth in $far vlan5; do inside ip link set $eth mtu 9000; done
until_ 600 linked
talk_all jumbo 8971 8972 8973 20000
for feature in $features; do both -K $feature off >/dev/null 2>&1 || true; done
until_ 600 linked
talk_all jumbo-off 8971 8972 20000
"""


def said(lines):
    """By state and address, what bounce said."""
    found = {}
    for line in lines:
        match = re.match(r"(\S+) (\S+) bounced (.*)", line)
        assert match or line == "bouncing", line
        if match:
            found[match[1], match[2]] = linux.numbers(match[3])
    return found


def judge(state, address, seen):
    """Whether it was the card that did what was turned on, and Linux what was not."""
    feature, _, to = state.partition("/")
    ipv6, vlan = ":" in address, "5" in address
    off = [] if to == "on" else [feature]
    everything = state == "jumbo-off"
    longest = 9018 if state.startswith("jumbo") else 1518
    computed = not everything and "tx-checksum-ip-generic" not in off
    cuts_streams = computed and not {"tx-scatter-gather", f"tx-tcp{'6' * ipv6}-segmentation"}.intersection(off)
    cuts_datagrams = computed and "tx-udp-segmentation" not in off
    assert (seen["sent"] > longest) == cuts_streams
    assert (seen["open"] > 0) == computed
    if vlan:                                                 # elsewhere the VLAN's neighbours may say something meanwhile
        assert (seen["tagged"] > 10) == (not everything and "tx-vlan-offload" not in off)
    assert (seen["burst"] > 1518) == cuts_datagrams
    if everything or "generic-receive-offload" in off:
        assert seen["got"] <= longest
        assert (seen["checked"] > 0) == (not everything)     # by the card: Linux itself checks when it puts together


@pytest.mark.parametrize("kernel, near, far, talk", [
    ("6.12", "x540", "82599", "10.9.1.1 fd00:5::1"), ("6.1", "82599-kx4", "x550", "10.9.5.1")], ids=["6.12", "6.1"])
def test_linux_offloads(run, kernel, near, far, talk):
    cards = [run.dir / "near", run.dir / "far"]
    nicsim = run.start("nicsim", "--doorbells", "trapped", *(text for device, path in zip((near, far), cards) for text in (
        "--device", device, "--socket", path, "--wire", "cable:wire")))
    nicsim.expect("/far, wire cable")
    machine = linux.boot(run, f'TALK="{talk}"\n{SCRIPT}', cards, kernel=kernel, modules=["8021q"])
    talks = said(machine.finish("$^", limit=5 * guest.PATIENCE))
    turned = {state.partition("/")[0] for state, _ in talks if "/" in state}
    assert turned >= FEATURES, FEATURES - turned
    assert {address for state, address in talks if state == "jumbo-off"} == ADDRESSES
    for (state, address), seen in talks.items():
        try:
            judge(state, address, seen)
        except AssertionError as error:
            raise AssertionError(f"{state} {address} {seen}: {error}") from None
    assert max(seen["got"] for seen in talks.values()) > 9018
    assert nicsim.stop() == 0
    assert len(nicsim.lines) == 2, nicsim.text
