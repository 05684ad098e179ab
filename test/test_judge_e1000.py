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
                self.socket.sendto(frame, str(self.card))
            except OSError:
                self.broken += 1


def boot(run, model, script, wire):
    config = (lab.ROOT / "pcid/pcid.toml").read_text()
    files = {"etc/pcid.toml": config, "usr/share/misc/pci.ids": pathlib.Path("/usr/share/misc/pci.ids").read_bytes()}
    for kind in SHOWN:
        files[f"etc/{kind}.toml"] = config.replace('"e1000d",', f'"e1000d", "--irq", "--{kind}",')
    files["etc/poll.toml"] = config.replace('"e1000d",', '"e1000d", "--poll",')
    programs = {f"bin/{name}": lab.program(name) for name in ("pcid", "e1000d", "rheinfall", "scheme")}
    # QEMU's 82574L and 82576 do not send frames that lie in two pages apart (net_tx_pkt.c maps them by a single call):
    # the frame memory is of huge pages.
    return guest.Guest(run, f"CARD={CARD} FRAMES={FRAMES}\n{PRELUDE}{script}", iommu=True, files=files, programs=programs,
                       modules=["vfio-pci", "vfio_iommu_type1"],
                       append="hugepages=12",
                       qemu=[*wire.options(), "-device", f"{model},netdev=wire,mac={MAC},addr=4"])


SCRIPT = """
echo "== list"
pcid --config /etc/pcid.toml --list
each_kind $KINDS poll

begun() {
	pcid --config /etc/pcid.toml --bind $CARD --watchdog 60 --post-mortem-dir /tmp >/tmp/pcid 2>&1 & pcid=$!
	ready $pcid /tmp/pcid >/dev/null
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
    """Frames of seven sizes over each kind of interrupt and none; then a driver that is replaced in flight, and one that
    is killed."""
    wire = Wire(run)
    machine = boot(run, model, f'KINDS="{" ".join(KINDS[model])}" NAME={NAME.removeprefix("network:")}\n{SCRIPT}', wire)
    said = sections(machine.finish())
    assert MODELS[model][:5] in said["list"][0]
    for kind in [*KINDS[model], "poll"]:
        judged(said[kind], kind, rf"pcid: {NAME} ready \(e1000d pid \d+, {CARD}\)",
               rf"{NAME} +{MAC} +up 1000 +mtu 1500")
    for what, counted in ("upgraded", "0 1"), ("killed", "1 0"):
        result, stats, off = said[what]
        result = json.loads(result)
        assert not any(result[fault] for fault in ("duplicated", "reordered", "corrupted", "foreign")), result
        assert result["error"] is None and result["rx_frames"] > 400 and (stats, off) == (counted, "master 0")
        assert result["rx_frames"] + result["lost"] + result["late"] == result["tx_frames"]
        assert result["lost"] <= (0 if what == "upgraded" else 32)
    assert set(wire.sizes) <= {60, 61, 124, 125, 1499, 1513, 1514} and wire.broken == 0
    assert len(wire.sizes) > FRAMES * (len(KINDS[model]) + 1)
