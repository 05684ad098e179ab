# SPDX-License-Identifier: BSD-3-Clause
"""pcid, ixgbed and rheinfall judged by Linux 6.12: the very programs that run over the socket of nicsim, in a
guest, on the kernel's VFIO behind a virtual VT-d, which lets the card reach what was mapped for it and no more.
In the guest the card is a PCI device like any other; outside it is nicsim's, with a loop for a wire."""
import json
import pathlib
import re

import pytest

import guest
import lab

pytestmark = pytest.mark.guest

CARD = "0000:00:01.0"
KINDS = {"msix": r"IR-PCI-MSIX-\S+ +0-edge +vfio-msix\[0\]", "msi": r"IR-PCI-MSI-\S+ +0-edge +vfio-msi\[0\]",
         "intx": r"IR-IO-APIC +\S+-fasteoi +vfio-intx"}
NAME = "network:0000-00-01.0_ixgbe"
FRAMES = 600
QUEUES = 4

PRELUDE = """
card=/sys/bus/pci/devices/$CARD
export SCHEME_ROOT=/run/scheme
mkdir -p $SCHEME_ROOT
# Waits until a running process says that it is ready; what it said.
ready() { until grep -qs " ready " $2; do kill -0 $1 || break; sleep 0.1; done; cat $2; kill -0 $1; }
# Another pcid, with the options; what the one before said is not taken for its own.
another() { : >/tmp/pcid; pcid "$@" >/tmp/pcid 2>&1 & pcid=$!; ready $pcid /tmp/pcid; }
begin() { another --config /etc/$1.toml --bind $CARD; }
end() { kill $1; wait $1; }
generate() {
	"$@" rheinfall --generate --json --quiet --expect-lossless --window 32 --size 60,61,124,125,1499,1513,1514 \\
		--count $FRAMES | tr -d ' \\n'
	echo
}
# Bus mastering is bit 2 of the command.
master() { echo "master $(($(hexdump -s 4 -n 1 -e '1/1 "%u"' $card/config) >> 2 & 1))"; }
driver() { echo "driver $(basename "$(readlink $card/driver || echo none)")"; }
stat() { scheme cat network:/stats | sed -n "s/^$1 //p"; }
# Waits until so many frames more have come back.
flows() {
	until from=$(stat rx_frames) && [ -n "$from" ]; do sleep 0.1; done
	until now=$(stat rx_frames) && [ "${now:-0}" -gt $((from + $1)) ]; do sleep 0.1; done
}
# Waits for driver number $1.
driver_number() {
	until [ "$(grep -c " ready " /tmp/pcid)" -ge $1 ]; do kill -0 $pcid; sleep 0.1; done
}
# Ends the rheinfall that runs, once frames come back; what it measured.
stop() {
	flows ${1:-200}
	kill -INT $rheinfall
	wait $rheinfall || echo "rheinfall ended with $?"
	tr -d ' \\n' </tmp/frames
	echo
}
# From binding to giving back, over each kind of interrupt that is named.
each_kind() {
	for kind; do
		echo "== $kind"
		begin $kind
		until scheme cat network:/link | grep -q up; do sleep 0.1; done
		scheme ls
		generate env
		grep vfio /proc/interrupts || echo "no interrupts"
		driver
		master
		end $pcid
		master
		driver
	done
}
"""


def boot(run, script, address=CARD, bus="pcie.0", qemu=(), later=(), device="x540", ports=1, **what):
    second = ["--second-port", "--socket", run.dir / "second", "--wire", "loop"] if ports == 2 else []
    card = run.start("nicsim", "--device", device, "--strict", "--socket", run.dir / "card", "--wire", "loop", *second)
    card.expect(f"^nicsim: {device}")
    config = (lab.ROOT / "pcid/pcid.toml").read_text()
    files = {"etc/pcid.toml": config, "usr/share/misc/pci.ids": pathlib.Path("/usr/share/misc/pci.ids").read_bytes()}
    for kind in KINDS:
        # With MSI-X several queues, for each of which there is a vector.
        queues = QUEUES if kind == "msix" else 1
        files[f"etc/{kind}.toml"] = config.replace('"ixgbed",', f'"ixgbed", "--irq", "--queues", "{queues}", "--{kind}",')
        assert files[f"etc/{kind}.toml"] != config
    files["etc/poll.toml"] = config.replace('"ixgbed",', '"ixgbed", "--poll",')
    programs = {f"bin/{name}": lab.program(name) for name in ("pcid", "ixgbed", "rheinfall", "scheme")}
    bridge = ["-device", "pcie-pci-bridge,id=bridge,addr=5"] if bus == "bridge" else []
    cards = guest.card(run.dir / "card", bus=bus, addr=address[-4:], multifunction=ports == 2)
    if ports == 2:
        cards += guest.card(run.dir / "second", bus=bus, addr=address[-4:-1] + "1")
    machine = guest.Guest(run, f"CARD={address} FRAMES={FRAMES}\n{PRELUDE}{script}", iommu=True, files=files,
                          qemu=[*bridge, *cards, *qemu],
                          programs={**programs, "bin/as": "/usr/bin/setpriv"},
                          modules=["vfio-pci", "vfio_iommu_type1"], later=["ixgbe", *later], **what)
    return card, machine


def measured(line):
    """What rheinfall measured, all of which must have come back, once, in order and whole."""
    result = json.loads(line)
    assert result["tx_frames"] == result["rx_frames"] == FRAMES
    assert not any(result[fault] for fault in ("lost", "duplicated", "reordered", "late", "corrupted", "foreign"))
    assert result["error"] is None
    return True


def sections(lines):
    """The lines behind each '== NAME'."""
    found = {}
    for line in lines:
        if line.startswith("== "):
            found[line[3:]] = current = []
        else:
            current.append(line)
    return found


def judged(section, kind, ready, shown):
    """What each_kind printed of a kind of interrupt, or of "poll"; returns the lines of its vectors."""
    said, listed, result, *interrupts, driver, on, off, after = section
    assert re.fullmatch(ready, said) and re.fullmatch(shown, listed)
    assert measured(result)
    assert (driver, on, off, after) == ("driver vfio-pci", "master 1", "master 0", "driver none")
    if kind == "poll":
        assert interrupts == ["no interrupts"]
    else:
        assert re.search(rf"\d+: +[1-9]\d* +{KINDS[kind]}", interrupts[0])
    return interrupts


def test_each_kind_of_interrupt_and_none(run):
    """From binding to giving back: frames both ways, over the kind that was asked for; then a quiet card."""
    card, machine = boot(run, f"""
echo "== list"
pcid --config /etc/pcid.toml --list
each_kind {" ".join(KINDS)} poll
""")
    said = sections(machine.finish())
    assert said["list"][0] == f"{CARD} 8086:1528 Intel Corporation Ethernet Controller 10-Gigabit X540-AT2"
    for kind in [*KINDS, "poll"]:
        interrupts = judged(said[kind], kind, rf"pcid: {NAME} ready \(ixgbed pid \d+, {CARD}\)",
                            rf"{NAME} +02:00:00:00:00:01 +up 10000 +mtu 1500")
        assert len(interrupts) == (QUEUES + 1 if kind == "msix" else 1)  # and the link's
    # --strict: nothing that the datasheet forbids was done to it, no memory reached for that was not mapped.
    assert card.stop() == 0
    assert len(card.lines) == 1, card.text


def test_users_and_neighbours(run):
    """What a card meets in life: a user who may lock too little memory and one who may lock enough, Linux's own
    driver with the interface up, and down."""
    card, machine = boot(run, f"""
echo "== user"
echo vfio-pci >$card/driver_override
echo {CARD} >/sys/bus/pci/drivers_probe
chown 1000 /dev/vfio/$(basename $(readlink $card/iommu_group))
export SCHEME_ROOT=/run/user
mkdir $SCHEME_ROOT
chown 1000 $SCHEME_ROOT
ulimit -l 1000
as --reuid=1000 ixgbed --device {CARD} 2>/tmp/refused || echo "ixgbed ended with $?"
cat /tmp/refused
ulimit -l $(sed 's/.*ulimit -l \\([0-9]*\\).*/\\1/' /tmp/refused)
as --reuid=1000 ixgbed --device {CARD} >/tmp/ixgbed 2>&1 & ixgbed=$!
ready $ixgbed /tmp/ixgbed
generate as --reuid=1000
end $ixgbed
export SCHEME_ROOT=/run/scheme

echo "== busy"
echo >$card/driver_override
echo {CARD} >/sys/bus/pci/drivers/vfio-pci/unbind
insmod /modules/ixgbe.ko
ip link set eth0 up
pcid --config /etc/pcid.toml --bind {CARD} 2>&1 || echo "pcid ended with $?"
driver
ip link set eth0 down
begin msix
generate env
end $pcid
driver
ip link set eth0 up
until [ "$(cat /sys/class/net/eth0/carrier)" = 1 ]; do sleep 0.1; done
""")
    said = sections(machine.finish(allow=r"RLIMIT_MEMLOCK \(1024000\) exceeded"))
    ready = rf"pcid: {NAME} ready \(ixgbed pid \d+, {CARD}\)"

    *refused, ready_alone, result = said["user"]
    assert refused[0] == "ixgbed ended with 1"
    assert re.fullmatch(rf"ixgbed: {CARD}: the limit of locked memory is 1000 KiB, (\d+) are needed: "
                        r"ulimit -l \1, or LimitMEMLOCK=\1K in the service", refused[1])
    assert len(refused) == 2
    assert ready_alone == f"ixgbed: {NAME} ready ({CARD})"
    assert measured(result)

    refused, code, holder, again, result, after = said["busy"]
    assert refused == f"pcid: {CARD}: not taken: its interface eth0 is up: take it down and its addresses away first"
    assert (code, holder, after) == ("pcid ended with 1", "driver ixgbe", "driver ixgbe")
    assert re.fullmatch(ready, again)
    assert measured(result)
    assert card.running()


def test_a_group_with_somebody_else_in_it(run):
    """Behind a conventional bridge the IOMMU can't tell cards apart: the kernel puts both into one group. The
    neighbour is QEMU's 82540EM: in use, then merely held by its driver, then free, then to be taken, too."""
    address, neighbour = "0000:01:01.0", "0000:01:02.0"
    _, machine = boot(run, f"""
insmod /modules/e1000.ko
ip link set eth0 up
pcid --config /etc/pcid.toml --bind $CARD 2>&1 || echo "pcid ended with $?"
ip link set eth0 down
pcid --config /etc/pcid.toml --bind $CARD 2>&1 || echo "pcid ended with $?"
echo {neighbour} >/sys/bus/pci/drivers/e1000/unbind
begin msix
generate env
end $pcid
driver
pcid --config /etc/pcid.toml --bind $CARD --bind {neighbour} 2>&1 || echo "pcid ended with $? $(driver)"
""", address=address, later=["e1000"],
        bus="bridge", qemu=["-netdev", "user,id=n", "-device", f"e1000,netdev=n,bus=bridge,addr={neighbour[-4:]}"])
    lines = machine.finish()
    group = re.search(r"IOMMU group (\d+)", lines[0]).group(1)
    shared = f"pcid: {address}: not taken: IOMMU group {group} is shared with {neighbour}, "
    assert lines[:4] == [
        shared + "and its interface eth0 is up: take it down and its addresses away first",
        "pcid ended with 1",
        shared + "which driver e1000 holds: unbind that one too",
        "pcid ended with 1",
    ]
    not_isolated = (f"pcid: {address}: not isolated: it shares IOMMU group {group} with {neighbour}, "
                    "and each can reach what the other can")
    assert lines[4] == not_isolated
    assert measured(lines[-5])
    assert lines[-4:] == [
        "driver none",
        not_isolated,
        f"pcid: {neighbour}: not taken: IOMMU group {group} is {address}'s: nothing would isolate the two",
        "pcid ended with 1 driver none",
    ]
