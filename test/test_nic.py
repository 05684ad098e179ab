# SPDX-License-Identifier: BSD-3-Clause
"""The ixgbe driver over a software card that shares no code with it: nic_loop opens the card by its
socket, and nicsim, strict, reports every access that the datasheet forbids."""
import json
import os
import re
import signal

import pytest

import lab

NIC_LOOP = str(lab.BUILD / "test" / "nic_loop")


def card(run, wire, name="card"):
    """Starts a software card; returns its process and its address."""
    socket = run.dir / name
    process = run.start("nicsim", "--device", "x540", "--socket", socket, "--wire", wire,
                        "--mac", "02:11:22:33:44:55", "--strict", "--verbose",
                        env={"NICSIM_ROOT": str(run.dir)})
    process.expect(rf"x540 .* on {re.escape(str(socket))}")
    return process, f"vfio-user:{socket}"


def loop(run, address, *options):
    code, text = run.call(NIC_LOOP, *options, address, limit=lab.PATIENCE * 2)
    assert code == 0, text
    return json.loads(text.splitlines()[-1])


def at_ease(sim):
    """The card saw nothing that is forbidden: no access, no DMA outside its driver's memory."""
    assert sim.stop() == 0
    assert "strict" not in sim.text, sim.text
    assert "refused DMA 0" in sim.text, sim.text


def whole(result, frames):
    assert result["sent"] == result["received"] == frames
    assert result["rx_frames"] == result["tx_frames"] == frames
    assert result["errors"] == result["bad"] == result["rx_errors"] == 0
    assert result["rx_missed"] == result["rx_dropped"] == 0
    # all buffers are in the pool or in the receive ring
    assert result["lost_buffers"] == 0


@pytest.mark.parametrize("irq, name", [
    ("msix", "MSI-X"), ("msi", "MSI"), ("intx", "INTx"), ("poll", "none"), ("best", "MSI-X")])
def test_every_size_comes_back(run, irq, name):
    sim, address = card(run, "loop")
    result = loop(run, address, "--irq", irq, "--more", 2000)
    assert result["irq"] == name
    whole(result, 1455 + 2000)
    if irq == "poll":
        assert result["interrupts"] == 0
    else:  # one frame at a time: the program sleeps until it is back
        result = loop(run, address, "--irq", irq, "--armed", "--to", 560)
        whole(result, 501)
        assert result["interrupts"] >= 501
    at_ease(sim)


def test_octets_are_exact(run):
    sim, address = card(run, "loop")
    result = loop(run, address)
    assert result["rx_bytes"] == sum(range(60, 1515)) + 1455 * 4
    at_ease(sim)


@pytest.mark.parametrize("options", [
    ("--ring", 64, "--window", 1000),   # more in flight than the rings hold
    ("--ring", 4096, "--window", 1000, "--burst", 64),
    ("--burst", 1, "--window", 1),      # an interrupt for each frame
    ("--burst", 7, "--window", 100, "--ring", 128)])
def test_rings_wrap(run, options):
    sim, address = card(run, "loop")
    whole(loop(run, address, "--more", 5000, *options), 1455 + 5000)
    at_ease(sim)


def test_short_frames_are_padded_by_the_card(run):
    sim, address = card(run, "loop")
    result = loop(run, address, "--from", 18, "--to", 64)
    whole(result, 47)
    assert result["rx_bytes"] == sum(max(size, 60) + 4 for size in range(18, 65))
    at_ease(sim)


@pytest.mark.parametrize("mtu, largest", [(68, 86), (1000, 1018), (1500, 1518)])
def test_the_mtu_bounds_frames(run, mtu, largest):
    """MTU, header and a VLAN tag: the largest frame goes out and comes in, none larger goes out."""
    sim, address = card(run, "loop")
    whole(loop(run, address, "--mtu", mtu, "--from", largest - 20, "--to", largest), 21)
    if largest < 1518:
        code, text = run.call(NIC_LOOP, "--mtu", mtu, "--from", largest + 1, "--to", largest + 1,
                              "--patience", 300, address)
        assert code == 1 and "nothing moves" in text
    at_ease(sim)


def test_large_frames_come_back(run):
    """Each boundary of a buffer, what Linux and DPDK allow at most, and the same with a VLAN tag."""
    sim, address = card(run, "loop")
    for first, last in ((2040, 2056), (4090, 4102), (6140, 6150), (8186, 8198), (9700, 9724), (9725, 9728)):
        result = loop(run, address, "--mtu", 9710, "--from", first, "--to", last)
        whole(result, last - first + 1)
        assert result["rx_bytes"] == result["tx_bytes"] == sum(range(first, last + 1)) + 4 * result["sent"]
    for irq, ring, burst in ("msix", 512, 32), ("poll", 64, 5), ("msi", 128, 64):
        whole(loop(run, address, "--mtu", 9710, "--irq", irq, "--ring", ring, "--burst", burst,
                   "--from", 60, "--to", 560, "--more", 100), 501 + 100)
        whole(loop(run, address, "--mtu", 9710, "--irq", irq, "--ring", ring, "--burst", burst,
                   "--from", 9000, "--to", 9728, "--more", 300), 729 + 300)
    at_ease(sim)


def test_filtered_mode_takes_what_is_ours(run):
    sim, address = card(run, "loop")
    whole(loop(run, address, "--filtered"), 1455)
    whole(loop(run, address, "--to-others"), 1455)
    others = loop(run, address, "--filtered", "--to-others")
    assert others["sent"] == others["tx_frames"] == 1455
    assert others["rx_frames"] == 0
    at_ease(sim)


def test_the_link_goes_and_comes(run):
    sim, address = card(run, "cable:here")
    other, _ = card(run, "cable:here", "other")
    watch = run.start(NIC_LOOP, "--link", 2, address)
    watch.expect("link up 10000")
    other.kill()
    watch.expect("link down 0")
    card(run, "cable:here", "other-again")
    assert watch.wait() == 0
    # perhaps it was still down when the program came to look
    assert watch.lines[-2:] == ["link down 0", "link up 10000"], watch.text
    at_ease(sim)


def test_a_module_that_is_plugged_in_gets_its_link(run):
    """An 82599 whose cage is empty as its driver starts."""
    control = run.dir / "control"
    sim = run.start("nicsim", "--device", "82599", "--module", "none", "--control", control, "--socket", run.dir / "card",
                    "--wire", "loop", "--strict")
    sim.expect("82599 .* on ")
    watch = run.start(NIC_LOOP, "--link", 2, f"vfio-user:{run.dir}/card")
    watch.expect("link down 0")
    assert run.call("nicsim", "ctl", control, "plug", "sr")[0] == 0
    watch.expect("link up 10000")
    assert run.call("nicsim", "ctl", control, "plug", "none")[0] == 0
    assert watch.wait() == 0
    assert sim.stop() == 0
    assert "strict" not in sim.text, sim.text


def test_start_and_stop_again_and_again(run):
    sim, address = card(run, "loop")
    files = f"/proc/{sim.pid}/fd"
    loop(run, address, "--from", 60, "--to", 61)
    lab.wait_for(lambda: sim.text.count("the client left") == 1, "the client's end")
    before = len(os.listdir(files))
    for i in range(10):
        whole(loop(run, address, "--from", 60, "--to", 160), 101)
    lab.wait_for(lambda: sim.text.count("the client left") == 11, "the client's end")
    assert len(os.listdir(files)) == before
    at_ease(sim)


def test_a_start_and_stop_leaks_nothing(run):
    """Under valgrind, or by the sanitizer that is built in."""
    sim, address = card(run, "loop")
    options = json.loads((lab.BUILD / "meson-info" / "intro-buildoptions.json").read_text())
    sanitized = next(o["value"] for o in options if o["name"] == "b_sanitize") != "none"
    wrap = () if sanitized else ("valgrind", "-q", "--error-exitcode=9", "--leak-check=full",
                                 "--show-leak-kinds=all", "--errors-for-leak-kinds=all")
    code, text = run.call(NIC_LOOP, "--from", 60, "--to", 200, address, wrap=wrap,
                          limit=lab.PATIENCE * 4)
    assert code == 0, text
    at_ease(sim)


def test_a_driver_that_is_killed_leaves_a_card_that_starts_again(run):
    sim, address = card(run, "loop")
    for _ in range(3):
        driver = run.start(NIC_LOOP, "--more", 100_000_000, address)
        driver.expect("X540")
        driver.kill()
    whole(loop(run, address), 1455)
    at_ease(sim)


@pytest.mark.parametrize("options", [(), ("--irq", "poll"), ("--link", 9)])
def test_a_card_that_is_gone_ends_the_driver(run, options):
    sim, address = card(run, "loop")
    driver = run.start(NIC_LOOP, "--more", 100_000_000, *options, address)
    driver.expect("X540")
    sim.signal(signal.SIGKILL)
    assert driver.wait() == 1
    assert "gone" in driver.text
