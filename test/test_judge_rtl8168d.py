# SPDX-License-Identifier: BSD-3-Clause
"""rtl8168d judged by Linux 6.12: on the kernel's VFIO behind a virtual VT-d, in a guest, over nicsim's RTL8168, which is a
PCI device like any other there. Registers of 8 and 16 bits, in a BAR that is not the first, go by the kernel then."""
import pytest

import guest
import lab
from test_judge_vfio import CARD, FRAMES, KINDS, PRELUDE, judged, sections

pytestmark = pytest.mark.guest

NAME = "network:0000-00-01.0_rtl8168"


def test_each_kind_of_interrupt_and_none(run):
    """From binding to giving back: frames both ways, over the kind that was asked for; then a quiet card. With the last one the
    driver is replaced and killed meanwhile."""
    card = run.start("nicsim", "--device", "rtl8168", "--strict", "--socket", run.dir / "card", "--wire", "loop")
    card.expect("^nicsim: rtl8168")
    config = (lab.ROOT / "pcid/pcid.toml").read_text()
    files = {f"etc/{kind}.toml": config.replace('"rtl8168d",', f'"rtl8168d", "--irq", "--{kind}",') for kind in KINDS}
    files["etc/poll.toml"] = config.replace('"rtl8168d",', '"rtl8168d", "--poll",')
    programs = {f"bin/{name}": lab.program(name) for name in ("pcid", "rtl8168d", "rheinfall", "scheme")}
    said = sections(guest.Guest(run, f"""CARD={CARD} FRAMES={FRAMES}
{PRELUDE}
each_kind {" ".join(KINDS)} poll
echo "== life"
begin msix
rheinfall --generate --json --quiet --window 32 --size imix >/tmp/frames 2>&1 & rheinfall=$!
flows 200
pcid --upgrade 0000-00-01.0_rtl8168 >/dev/null
flows 200
echoed() {{ scheme cat network:/stats | grep -E "^($1) "; }}
echoed upgrades
kill -9 $(pidof rtl8168d)
driver_number 3
stop
echoed 'restarts|bad_writebacks'
end $pcid
""", iommu=True, files=files, qemu=guest.card(run.dir / "card", addr=CARD[-4:]), programs=programs,
                                modules=["vfio-pci", "vfio_iommu_type1"]).finish())
    for kind in [*KINDS, "poll"]:
        interrupts = judged(said[kind], kind, rf"pcid: {NAME} ready \(rtl8168d pid \d+, {CARD}\)",
                            rf"{NAME} +02:00:00:00:00:01 +up 1000 +mtu 1500")
        assert len(interrupts) == 1
    assert said["life"][1] == "upgrades 1" and said["life"][-2:] == ["bad_writebacks 0", "restarts 1"], said["life"]
    # --strict: nothing that the datasheet forbids was done to it, no memory reached for that was not mapped.
    assert card.stop() == 0
    assert len(card.lines) == 1, card.text
