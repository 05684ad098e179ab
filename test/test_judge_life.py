# SPDX-License-Identifier: BSD-3-Clause
"""A driver's death and its replacement in flight, judged by Linux 6.12's VFIO: pcid keeps container and device,
quiesces the card through its own descriptors, and hands them to one driver after another, while a client that
has its frames open goes on. As in test_judge_vfio.py the card is nicsim's, which answers over a loop."""
import json
import re

import pytest

from test_judge_vfio import CARD, KINDS, NAME, boot, measured, sections

pytestmark = pytest.mark.guest

WINDOW = 32
FAULTS = ("duplicated", "reordered", "corrupted", "foreign")

SCRIPT = """
# Generates; frames that do not come back within $1 ms are not waited for.
start() {
	rheinfall --generate --json --quiet --window $WINDOW --drain $1 --size 60,61,124,125,1499,1513,1514 \\
		>/tmp/frames 2>&1 &
	rheinfall=$!
	flows 200
}
interrupts() { sed -n "s/^ *[0-9]*: *\\([0-9]*\\) *IR-PCI-MSIX-$CARD  *0-edge .*/\\1/p" /proc/interrupts; }
shown() {
	echo $(stat restarts) $(stat upgrades) $(stat lost_in_restart)
	# Few enough that the driver sleeps between them.
	before=$(interrupts)
	rheinfall --generate --quiet --rate 50 --count 20 --expect-lossless >/dev/null
	echo $(($(interrupts) - before))
	master
	driver
}

echo "== begun"
another --config /etc/msix.toml --bind $CARD --max-deaths 12/3600 --watchdog 60 --post-mortem-dir /tmp

echo "== upgraded"
start 20000
pcid --upgrade $NAME
flows 200
pcid --upgrade $NAME
stop
shown

echo "== killed"
start 3000
# The next one can't be run for a while: the card is pcid's alone.
mv /bin/ixgbed /bin/away
kill -9 $(pidof ixgbed)
until grep -q "cannot be run" /tmp/pcid; do kill -0 $pcid; sleep 0.01; done
master
driver
mv /bin/away /bin/ixgbed
driver_number 4
stop
shown

echo "== upgraded again"
start 20000
pcid --upgrade $NAME
stop
shown

echo "== cage"
grep -E "^(CapEff|NoNewPrivs|Seccomp):" /proc/$(pidof ixgbed)/status | tr -d '\\t'
scheme cat network:/cage

echo "== given up"
start 3000
mv /bin/ixgbed /bin/away
kill -9 $(pidof ixgbed)
wait $rheinfall || echo "rheinfall ended with $?"
head -n 1 /tmp/frames
wait $pcid || echo "pcid ended with $?"
master
driver

echo "== pcid"
cat /tmp/pcid
echo "== post-mortem"
sed -n '1,2p;$p' $(sed -n "s/.*post-mortem in //p" /tmp/pcid | head -n 1)
"""


def summary(line):
    """What rheinfall measured: whatever died, each frame came at most once, in order and whole."""
    result = json.loads(line)
    assert result["error"] is None
    assert {fault: result[fault] for fault in FAULTS} == dict.fromkeys(FAULTS, 0), result
    return result


def lossless(line):
    result = summary(line)
    assert (result["lost"], result["late"]) == (0, 0), result
    assert result["rx_frames"] == result["tx_frames"] > 400


def life(lines, restarts, upgrades):
    """The end of a section: what /stats counts, and a card that interrupts and belongs to vfio-pci. Returns
    lost_in_restart."""
    stats, interrupts, master, driver = lines
    *counted, lost = map(int, stats.split())
    assert counted == [restarts, upgrades]
    assert int(interrupts) > 0
    assert (master, driver) == ("master 1", "driver vfio-pci")
    return lost


def test_a_driver_is_replaced_and_dies(run):
    """Two upgrades, a death, an upgrade of the driver that came after it; then a death too many."""
    card, machine = boot(run, f"WINDOW={WINDOW} NAME={NAME.removeprefix('network:')}\n{SCRIPT}")
    said = sections(machine.finish())
    upgraded = rf"pcid: {NAME} upgraded: pid \d+, [\d.]+ ms between the two"

    first, second, result, *rest = said["upgraded"]
    assert re.fullmatch(upgraded, first) and re.fullmatch(upgraded, second)
    lossless(result)
    assert life(rest, restarts=0, upgrades=2) == 0

    quiet, held, result, *rest = said["killed"]
    assert (quiet, held) == ("master 0", "driver vfio-pci")
    result = summary(result)
    # 200 frames came back before the death, 200 after it; lost is at most the window.
    assert result["rx_frames"] > 400 and result["lost"] <= WINDOW
    assert result["rx_frames"] + result["lost"] == result["tx_frames"]
    # Of what /stats counts, a driver that begins afresh goes on with its restarts and what they lost.
    lost = life(rest, restarts=1, upgrades=0)

    again, result, *rest = said["upgraded again"]
    assert re.fullmatch(upgraded, again)
    lossless(result)
    assert life(rest, restarts=1, upgrades=1) == lost

    caged = said["cage"]
    assert caged[:3] == ["CapEff:0000000000000000", "NoNewPrivs:1", "Seccomp:2"]
    assert {"seccomp 1", "user 65534", "capabilities none", "no_new_privs 1", "root empty"} <= {*caged[3:]}
    assert any(re.fullmatch(r"landlock [1-9]\d*", line) for line in caged)

    assert said["given up"] == [
        "rheinfall ended with 1",
        f"rheinfall: {NAME}: its driver has left",
        "pcid ended with 1",
        "master 0",
        "driver none",
    ]
    assert sum(" ready " in line for line in said["pcid"]) == 5
    assert sum("was killed by signal 9" in line for line in said["pcid"]) == 2
    assert f"pcid: {NAME}: GIVEN UP: 13 drivers died within 3600 s" in said["pcid"][-2]
    assert said["pcid"][-1] == "pcid: no driver is left"
    who, what, last = said["post-mortem"]
    assert re.fullmatch(rf"{NAME}: ixgbed pid \d+ was killed by signal 9 \(Killed\)", who)
    assert what.startswith(f"card 8086:1528 at {CARD}, ")
    assert re.fullmatch(r" +0\.000000000 +\S.*", last)
    # --strict: nothing that the datasheet forbids was done to it, no memory reached for that was not mapped.
    assert card.stop() == 0
    assert len(card.lines) == 1, card.text


OTHERS = """
for kind in msi intx poll; do
	echo "== $kind"
	another --config /etc/$kind.toml --bind $CARD --max-deaths 9/3600 --watchdog 3 --post-mortem-dir /tmp >/dev/null
	rheinfall --generate --json --quiet --window $WINDOW --drain 3000 --size 60,1514 >/tmp/frames 2>&1 &
	rheinfall=$!
	flows 100
	kill -9 $(pidof ixgbed)
	driver_number 2
	flows 100
	kill -STOP $(pidof ixgbed)
	driver_number 3
	stop 100
	stat restarts
	grep vfio /proc/interrupts || echo "no interrupts"
	sed -n "s/^pcid: [^ ]* ixgbed pid [0-9]* //p" /tmp/pcid
	end $pcid
	master
	driver
done
"""


def test_deaths_with_other_interrupts_and_none(run):
    """One that is killed and one that hangs, over MSI, over INTx, and polling."""
    card, machine = boot(run, f"WINDOW={WINDOW}\n{OTHERS}")
    said = sections(machine.finish())
    for kind in ("msi", "intx", "poll"):
        result, restarts, interrupts, *ends, off, after = said[kind]
        result = summary(result)
        # A window is lost with each; and a window given up after 3 s without an answer makes room for another, which
        # may go the same way.
        assert result["rx_frames"] > 300 and result["lost"] <= (2 + result["duration_s"] // 3) * WINDOW
        assert result["rx_frames"] + result["lost"] == result["tx_frames"]
        assert restarts == "2"
        if kind == "poll":
            assert interrupts == "no interrupts"
        else:
            assert re.search(rf"\d+: +[1-9]\d* +{KINDS[kind]}", interrupts)
        assert ends[0] == "was killed by signal 9 (Killed)" and "does not answer for 3 s: killed" in ends
        assert (off, after) == ("master 0", "driver none")
    assert card.stop() == 0
    assert len(card.lines) == 1, card.text


OWNED = """
queue() { scheme cat network:/queue/0 | sed -n "s/^$1 //p"; }
# KiB that VFIO has locked of pcid's memory, since the card was opened: what the card reaches.
reached() { echo $(($(sed -n "s/^VmLck:[^0-9]*\\([0-9]*\\) kB/\\1/p" /proc/$pcid/status) - at_first)); }
owner() {
	rheinfall --ring --url $NAME/queue/0 --generate --json --quiet --window $WINDOW --size 60,61,124,125,1499,1513,1514 \\
		--drain "$@" >/tmp/frames 2>&1 & rheinfall=$!
	flows 200
}
given_back() {
	until [ "$(queue owned)" = 0 ]; do sleep 0.1; done
	until [ $(reached) = 0 ]; do sleep 0.1; done
}

another --config /etc/msix.toml --bind $CARD --max-deaths 12/3600 --watchdog 60 --post-mortem-dir /tmp >/dev/null
at_first=0
at_first=$(reached)

echo "== upgraded"
owner 20000
echo $(queue owned) $(($(reached) - $(queue memory_kib)))
pcid --upgrade ${NAME#network:}
flows 200
pcid --upgrade ${NAME#network:}
echo $(queue owned) $(($(reached) - $(queue memory_kib)))
stop
given_back

echo "== driver killed"
owner 3000
mv /bin/ixgbed /bin/away
kill -9 $(pidof ixgbed)
until grep -q "cannot be run" /tmp/pcid; do kill -0 $pcid; sleep 0.01; done
master
echo $(reached)
mv /bin/away /bin/ixgbed
driver_number 4
flows 200
echo $(queue owned) $(($(reached) - $(queue memory_kib)))
stop
given_back

echo "== client killed"
for kill in 1 2 3; do
	owner 3000
	kill -9 $rheinfall
	wait $rheinfall || echo "ended with $?"
	given_back
done
generate env

echo "== pcid killed"
owner 20000 --count 5000
driver=$(pidof ixgbed)
kill -9 $pcid
wait $rheinfall || echo "rheinfall ended with $?"
tr -d ' \\n' </tmp/frames
echo
while kill -0 $driver 2>/dev/null; do sleep 0.1; done
master

echo "== by itself"
ixgbed --device $CARD --name alone >/tmp/alone 2>&1 & alone=$!
ready $alone /tmp/alone >/dev/null
rheinfall --ring --url network:alone/queue/0 --generate --count 1 2>&1 || true
end $alone
"""


def test_a_client_owns_the_queue(run):
    """The card works on the client's memory, which pcid has mapped; what is not the card's any more is unlocked."""
    card, machine = boot(run, f"WINDOW={WINDOW} NAME={NAME}\n{OWNED}")
    said = sections(machine.finish())

    before, *upgrades, after, result = said["upgraded"]
    assert (before, after) == ("1 0", "1 0")
    assert len(upgrades) == 2 and all(" upgraded: pid " in line for line in upgrades)
    lossless(result)

    quiet, reached, again, result = said["driver killed"]
    assert (quiet, reached, again) == ("master 0", "0", "1 0")
    result = summary(result)
    assert result["rx_frames"] > 400 and result["lost"] <= WINDOW
    assert result["rx_frames"] + result["lost"] == result["tx_frames"]

    *ends, result = said["client killed"]
    assert [line for line in ends if line != "Killed"] == ["ended with 137"] * 3  # so says the shell
    assert measured(result)

    result, quiet = said["pcid killed"]
    lossless(result)
    assert json.loads(result)["rx_frames"] == 5000 and quiet == "master 0"
    assert said["by itself"] == [
        "rheinfall: network:alone/queue/0: not without pcid: start the driver by it"]
    # --strict, and no memory reached for that was not mapped.
    assert card.stop() == 0
    assert len(card.lines) == 1, card.text
