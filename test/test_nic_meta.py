# SPDX-License-Identifier: BSD-3-Clause
"""Metadata, both ways, over a software card that shares no code with the driver: what comes back of each frame is compared
with what scapy and the software here make of it, byte for byte."""
import pytest

import lab
import meta_cases

NIC_META = str(lab.BUILD / "test" / "nic_meta")


@pytest.mark.parametrize("device, offloads", [
    ("x540", meta_cases.EVERYTHING), ("82599", meta_cases.EVERYTHING), ("x550", meta_cases.EVERYTHING),
    ("x540", meta_cases.TX_META)])
def test_each_offload_both_ways(run, device, offloads):
    some = meta_cases.cases()
    if device != "x540" or offloads != meta_cases.EVERYTHING:
        some = some[::4]
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


def call(run, some, offloads, *options):
    """What the program prints of these frames, over a card of its own."""
    sim = run.start("nicsim", "--device", "x540", "--socket", run.dir / "card", "--wire", "loop", "--strict",
                    "--mac", "02:00:00:00:00:aa")
    sim.expect("x540 .* on ")
    meta_cases.write(run.dir / "frames", some)
    code, text = run.call(NIC_META, "--offloads", offloads, *options, f"vfio-user:{run.dir}/card", run.dir / "frames")
    assert code == 0, text[-2000:]
    assert sim.stop() == 0
    assert "strict" not in sim.text, sim.text
    return text.splitlines()


def to(address, passes, **what):
    """A frame to that address, which comes back if it passes."""
    frame = bytes.fromhex(address.replace(":", "")) + bytes.fromhex("0200000000bb88b5") + bytes(range(60))
    return meta_cases.Case(frame, [frame] if passes else [], **what)


def test_only_listed_addresses_come(run):
    stations = [f"02:10:00:00:{n:02x}:{n * 3 & 255:02x}" for n in range(130)]
    groups = ["01:00:5e:00:00:01", "33:33:00:00:12:34"]
    some = [to("02:00:00:00:00:aa", True), to("ff:ff:ff:ff:ff:ff", True), to("02:00:00:00:00:ab", False),
            *(to(station, True) for station in stations),
            *(to(group, True) for group in groups), to("01:00:5e:00:00:02", False), to("02:10:00:00:00:01", False),
            to(stations[0], True)]
    options = [word for address in (*stations, *groups) for word in ("--address", address)]
    meta_cases.judge(call(run, some, 0, "--filtered", *options), some, 0)


def test_all_groups_come_where_none_is_listed(run):
    some = [to("01:00:5e:00:00:02", True), to("02:00:00:00:00:ab", False), to("02:00:00:00:00:aa", True)]
    meta_cases.judge(call(run, some, 0, "--filtered"), some, 0)


def test_only_listed_vlans_come(run):
    offloads = meta_cases.TX_META | meta_cases.RX_VLAN
    some = [to("02:00:00:00:00:01", passes, flags=meta_cases.VLAN, vlan=vlan, l2=14)
            for vlan, passes in ((0, False), (5, True), (6, False), (0xe005, True), (4095, True), (4094, False))]
    some.append(to("02:00:00:00:00:01", True))  # without a tag
    meta_cases.judge(call(run, some, offloads, "--vlan", 5, "--vlan", 4095), some, offloads)


@pytest.mark.skipif(lab.DOORBELLS != "trapped", reason="mapped, the queues' counters are not cleared by reading")
@pytest.mark.parametrize("drop, dropped", [(2, 40), (1, 0), (0, 0)], ids=["always", "never", "one queue"])
def test_frames_without_a_buffer_are_dropped_or_wait(run, drop, dropped):
    """A hundred frames for a ring of 60 buffers, which is not looked at until all are there or dropped."""
    frames = [bytes(12) + b"\x88\xb5" + bytes([n]) * 900 for n in range(100)]
    some = [meta_cases.Case(frame, []) for frame in frames]
    lines = call(run, some, 0, "--ring", 64, "--drop", drop, "--dropped", dropped, "--then", 100 - dropped)
    assert lines[:-2] == [f"0 0 0 0 {frame.hex()}" for frame in frames[:100 - dropped]]
    assert lines[-2:] == [f"dropped {dropped} missed 0", "end"]
