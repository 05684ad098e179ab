# SPDX-License-Identifier: BSD-3-Clause
"""The driver's features judged by Linux 6.12: the programs of test_nic.py and test_nic_meta.py, in a guest, on the kernel's
VFIO behind a virtual VT-d. What came is compared in the guest with what was worked out here."""
import json
import re

import pytest

import guest
import lab
import meta_cases
import test_nic

pytestmark = pytest.mark.guest

CARD = "0000:00:01.0"
STATIONS = [f"02:10:00:00:00:{n:02x}" for n in range(4)]
GROUP = "01:00:5e:00:00:01"

# Frames of nic_loop: name, options, how many there are.
LOOPS = [
    *((f"sizes, {irq}", f"--irq {irq} --from 60 --to 160 --more 100", 201) for irq in ("msix", "msi", "intx", "poll")),
    ("one at a time, rings wrap", "--ring 64 --window 1 --to 160", 101),
    ("padded", "--from 18 --to 64", 47),
    ("MTU", "--mtu 68 --from 66 --to 86", 21),
    ("around two buffers", "--mtu 9710 --from 2040 --to 2056", 17),
    ("largest, rings wrap", "--mtu 9710 --from 9700 --to 9728 --irq msi --ring 64 --more 100", 129),
]


def to(address, passes):
    frame = bytes.fromhex(address.replace(":", "")) + bytes.fromhex("0200000000bb88b5") + bytes(range(60))
    return meta_cases.Case(frame, [frame] if passes else [])


def filters():
    some = [to("02:00:00:00:00:01", True), to("02:00:00:00:00:99", False), to(GROUP, True), to("01:00:5e:00:00:02", False),
            *(to(station, True) for station in STATIONS), to("ff:ff:ff:ff:ff:ff", True)]
    return some, "--filtered " + " ".join(f"--address {address}" for address in (*STATIONS, GROUP))


def vlans():
    some = [meta_cases.Case(bytes.fromhex("020000000001") + bytes.fromhex("0200000000bb88b5") + bytes(60),
                            [bytes.fromhex("020000000001") + bytes.fromhex("0200000000bb88b5") + bytes(60)] if passes else [],
                            flags=meta_cases.VLAN, vlan=vlan, l2=14)
            for vlan, passes in ((5, True), (6, False), (4095, True), (0, False), (5, True))]
    return some, "--vlan 5 --vlan 4095"


def metas():
    """Of nic_meta: name, frames, offloads, options."""
    everything = meta_cases.EVERYTHING
    yield "metadata", meta_cases.cases()[::4], everything, "--mtu 9000"
    yield "addresses", *[(some, 0, options) for some, options in [filters()]][0]
    yield "VLANs", *[(some, everything & ~meta_cases.RX_HASH, options) for some, options in [vlans()]][0]


def test_every_feature(run):
    sim = run.start("nicsim", "--device", "x540", "--strict", "--socket", run.dir / "card", "--wire", "loop",
                    "--mac", "02:00:00:00:00:01")
    sim.expect("^nicsim: x540")
    files, script = {}, ""
    for number, (name, some, offloads, options) in enumerate(metas()):
        files[f"etc/frames{number}"] = "".join(f"{case.line}\n" for case in some)
        files[f"etc/expected{number}"] = "".join(f"{line}\n" for case in some for line in case.expected(offloads)) + "end\n"
        script += f"""
nic_meta --offloads {offloads} {options} {CARD} /etc/frames{number} >/tmp/got || tail -n 3 /tmp/got | cut -c 1-300
cmp /tmp/got /etc/expected{number} && echo "same: {name}"
"""
    for name, options, _ in LOOPS:
        script += f'echo "== {name}"\nnic_loop {options} {CARD} | tail -n 1\n'
    machine = guest.Guest(run, f"""
card=/sys/bus/pci/devices/{CARD}
echo vfio-pci >$card/driver_override
echo {CARD} >/sys/bus/pci/drivers_probe
ulimit -l unlimited
{script}
""", iommu=True, files=files, qemu=guest.card(run.dir / "card", bus="pcie.0", addr=CARD[-4:]),
                          programs={f"bin/{name}": str(lab.BUILD / "test" / name) for name in ("nic_loop", "nic_meta")},
                          modules=["vfio-pci", "vfio_iommu_type1"])
    lines = machine.finish()
    assert [line for line in lines if line.startswith("same: ")] == [f"same: {name}" for name, *_ in metas()], lines
    loops = lines[lines.index(f"== {LOOPS[0][0]}"):]
    assert loops[::2] == [f"== {name}" for name, *_ in LOOPS]
    for (name, options, frames), line in zip(LOOPS, loops[1::2]):
        result = json.loads(line)
        test_nic.whole(result, frames)
        kind = re.search(r"--irq (\w+)", options)
        assert result["irq"] == {"msix": "MSI-X", "msi": "MSI", "intx": "INTx", "poll": "none"}[kind[1] if kind else "msix"], name
    assert sim.stop() == 0
    assert len(sim.lines) == 1, sim.text
