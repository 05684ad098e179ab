# SPDX-License-Identifier: BSD-3-Clause
"""e1000d judged by cards that were not written here: QEMU's 82540EM, 82545EM, 82574L and 82576, in a guest, on
the kernel's VFIO behind a virtual VT-d. At the other end of the wire, outside the guest, a datagram socket: each
datagram is a frame, which is looked at and sent back."""
import json
import pathlib
import socket
import threading

import pytest

import guest
import lab
import test_nic
from test_e1000_nic import filtered, lines
from test_judge_vfio import KINDS as SHOWN
from test_judge_vfio import PRELUDE, judged, sections

pytestmark = pytest.mark.guest

CARD = "0000:00:04.0"
NAME = "network:0000-00-04.0_e1000"
FRAMES = 600
MAC = "52:54:00:12:34:56"
MODELS = {"e1000": "82540EM", "e1000-82545em": "82545EM", "e1000e": "82574L", "igb": "82576"}
# Which interrupts a model has.
KINDS = {"e1000": ["intx"], "e1000-82545em": ["intx"], "e1000e": ["msix", "msi", "intx"], "igb": ["msix", "msi", "intx"]}
QUEUES = {"e1000": 1, "e1000-82545em": 1, "e1000e": 2, "igb": 4}
MTU = {"e1000": 9710, "e1000-82545em": 9710, "e1000e": 9194, "igb": 9706}
SIZES = {60, 61, 124, 125, 1499, 1513, 1514}
THREADS = {"e1000": 1, "e1000-82545em": 1, "e1000e": 2, "igb": 9}  # each with a queue and its vector
THREAD_FRAMES = 200


class Wire:
    """The far end of a card's wire: sends every frame back; keeps their sizes."""

    def __init__(self, run):
        self.here, self.card = run.dir / "far", run.dir / "near"
        self.sizes = []
        self.broken = 0
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.here))
        threading.Thread(target=self._answer, daemon=True).start()

    def options(self):
        return ["-netdev", json.dumps({"type": "dgram", "id": "wire", "local": {"type": "unix", "path": str(self.card)},
                                       "remote": {"type": "unix", "path": str(self.here)}})]

    def _answer(self):
        while True:
            frame = self.socket.recv(65536)
            self.sizes.append(len(frame))
            try:
                # QEMU's cards leave out the padding that one on a link sends.
                self.socket.sendto(frame.ljust(60, b"\0"), str(self.card))
            except OSError:
                self.broken += 1


def boot(run, model, script, wire):
    config = (lab.ROOT / "pcid/pcid.toml").read_text()
    files = {"etc/pcid.toml": config, "usr/share/misc/pci.ids": pathlib.Path("/usr/share/misc/pci.ids").read_bytes()}
    for kind in SHOWN:
        # With MSI-X several queues, for each of which there is a vector.
        queues = QUEUES[model] if kind == "msix" else 1
        files[f"etc/{kind}.toml"] = config.replace('"e1000d",', f'"e1000d", "--irq", "--queues", "{queues}", "--{kind}",')
    files["etc/poll.toml"] = config.replace('"e1000d",', '"e1000d", "--poll",')
    for number, (_, some, _) in enumerate(filtered(MAC)):
        files[f"etc/frames{number}"], files[f"etc/expected{number}"] = lines(some)
    programs = {f"bin/{name}": lab.program(name) for name in ("pcid", "e1000d", "rheinfall", "scheme")}
    programs |= {f"bin/{name}": str(lab.BUILD / "test" / name) for name in ("nic_loop", "nic_meta", "nic_threads")}
    # QEMU's 82574L and 82576 do not send frames that lie in two pages apart (net_tx_pkt.c maps them by a single call):
    # the frame memory is of huge pages.
    return guest.Guest(run, f"CARD={CARD} FRAMES={FRAMES}\n{PRELUDE}{script}", iommu=True, files=files, programs=programs,
                       modules=["vfio-pci", "vfio_iommu_type1"],
                       append="hugepages=14",
                       qemu=[*wire.options(), "-device", f"{model},netdev=wire,mac={MAC},addr=4"])


def library(model):
    """The programs of test_nic.py, test_nic_meta.py and test_nic_queues.py on the card: what the driver has that e1000d
    does not show."""
    mtu, threads = MTU[model], THREADS[model]
    yield f"""
echo "== library"
echo vfio-pci >$card/driver_override
echo $CARD >/sys/bus/pci/drivers_probe
ulimit -l unlimited
nic_loop --mtu {mtu} --from 2040 --to 2056 $CARD | tail -n 1
nic_loop --mtu {mtu} --irq poll --ring 64 --from {mtu + 8} --to {mtu + 18} --more 20 $CARD | tail -n 1
"""
    if threads > 1:
        yield f"nic_threads $CARD {threads} {THREAD_FRAMES} irq | tail -n 1\n"
    for number, (name, _, options) in enumerate(filtered(MAC)):
        yield f"""
nic_meta {" ".join(options)} $CARD /etc/frames{number} >/tmp/got || tail -n 3 /tmp/got | cut -c 1-300
cmp /tmp/got /etc/expected{number} && echo "same: {name}"
"""


def judged_library(model, said):
    around, largest, *threads = said[:-3]
    test_nic.whole(json.loads(around), 17)
    test_nic.whole(json.loads(largest), 11 + 20)
    assert said[-3:] == [f"same: {name}" for name, *_ in filtered(MAC)]
    if THREADS[model] == 1:
        assert not threads
        return
    (result,) = map(json.loads, threads)
    assert result["rx_frames"] == result["tx_frames"] == THREADS[model] * THREAD_FRAMES
    assert (result["rx_dropped"], result["bad"]) == (0, 0)
    for queue in result["queues"]:
        assert queue["sent"] == queue["tx_frames"] == THREAD_FRAMES and queue["lost"] == 0
        assert queue["received"] == queue["rx_frames"] > 0


SCRIPT = """
echo "== list"
pcid --config /etc/pcid.toml --list
each_kind $KINDS poll

begun() {
	another --config /etc/pcid.toml --bind $CARD --watchdog 60 --post-mortem-dir /tmp >/dev/null
	rheinfall --generate --json --quiet --window 32 --drain $1 --size 60,1514 --link-wait 60 >/tmp/frames 2>&1 & rheinfall=$!
	flows 200
}
ended() {
	stop
	echo $(stat restarts) $(stat upgrades)
	end $pcid
	master
}
echo "== upgraded"
begun 20000
pcid --upgrade $NAME >/dev/null
ended
echo "== killed"
begun 3000
kill -9 $(pidof e1000d)
driver_number 2
ended
"""


@pytest.mark.parametrize("model", MODELS)
def test_each_model(run, model):
    """Frames of seven sizes over each kind of interrupt and none; a driver that is replaced in flight, and one that is
    killed; large frames, several queues, filters."""
    wire = Wire(run)
    machine = boot(run, model, f'KINDS="{" ".join(KINDS[model])}" NAME={NAME.removeprefix("network:")}\n{SCRIPT}{"".join(library(model))}', wire)
    said = sections(machine.finish())
    assert MODELS[model][:5] in said["list"][0]
    for kind in [*KINDS[model], "poll"]:
        interrupts = judged(said[kind], kind, rf"pcid: {NAME} ready \(e1000d pid \d+, {CARD}\)",
                            rf"{NAME} +{MAC} +up 1000 +mtu 1500")
        assert len(interrupts) == (QUEUES[model] + 1 if kind == "msix" else 1)  # and the link's
    for what, counted in ("upgraded", "0 1"), ("killed", "1 0"):
        result, stats, off = said[what]
        result = json.loads(result)
        assert not any(result[fault] for fault in ("duplicated", "reordered", "corrupted", "foreign")), result
        assert result["error"] is None and result["rx_frames"] > 400 and (stats, off) == (counted, "master 0")
        assert result["rx_frames"] + result["lost"] + result["late"] == result["tx_frames"]
        assert result["lost"] <= (0 if what == "upgraded" else 32)
    judged_library(model, said["library"])
    assert len([size for size in wire.sizes if size in SIZES]) > FRAMES * (len(KINDS[model]) + 1)
    assert max(wire.sizes) == MTU[model] + 18 and wire.broken == 0
