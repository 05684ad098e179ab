# SPDX-License-Identifier: BSD-3-Clause
"""Metadata, both ways, over a software card that shares no code with the driver: what comes back of each frame is compared
with what scapy and the software here make of it, byte for byte."""
import pytest

import lab
import meta_cases

NIC_META = str(lab.BUILD / "test" / "nic_meta")


@pytest.mark.parametrize("device, offloads", [
    ("x540", meta_cases.EVERYTHING), ("82599", meta_cases.EVERYTHING), ("x540", meta_cases.TX_META)])
def test_each_offload_both_ways(run, device, offloads):
    some = meta_cases.cases()
    if device == "82599":  # cannot tell a wrong UDP checksum from none (erratum)
        some = [case for case in some if not (case.found & meta_cases.L4_BAD and case.found_type & meta_cases.T_UDP)]
    sim = run.start("nicsim", "--device", device, "--socket", run.dir / "card", "--wire", "loop", "--strict")
    sim.expect(f"{device} .* on ")
    meta_cases.write(run.dir / "frames", some)
    code, text = run.call(NIC_META, "--offloads", offloads, "--mtu", 9000, f"vfio-user:{run.dir}/card", run.dir / "frames",
                          limit=lab.PATIENCE * 2)
    assert code == 0, text[-2000:]
    meta_cases.judge(text.splitlines(), some, offloads)
    assert sim.stop() == 0
    assert "strict" not in sim.text, sim.text
