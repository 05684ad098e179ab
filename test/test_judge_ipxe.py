# SPDX-License-Identifier: BSD-3-Clause
"""nicsim judged by iPXE's driver, which is of another kind than Linux's: legacy descriptors, no interrupts, a
ring of a few buffers. iPXE lies in an emulated machine, at the other end of the wire a network namespace."""
import os

import pytest

import guest
import lab
import strict

pytestmark = pytest.mark.guest

HERE, THERE, MAC = "10.9.0.1", "10.9.0.2", "02-00-00-00-00-29"
SIZES = (*range(0, 20), 64, 100, 471, 472, 1000, 1468, 1471, 1472)


@pytest.mark.parametrize("device, chip", [("x540", "x540t"), ("x550", "x550t2"), ("82599", "82599-sfp"), ("82599-kx4", "82599-kx4")])
def test_ipxe(run, device, chip):
    peer = run.namespace()
    peer.ip("tuntap add dev wire mode tap")
    peer.ip("link set wire addrgenmode none up")
    peer.ip(f"addr add {HERE}/24 dev wire")

    # The script is longer than many segments; its last line tells us that all of it arrived.
    word = os.urandom(8).hex()
    (run.dir / "www").mkdir()
    (run.dir / "www/long").write_text(
        "#!ipxe\n" + "".join(f"# {os.urandom(30).hex()}\n" for _ in range(4000)) +
        f"imgfetch http://{HERE}:8000/done?word={word}&mac=${{net0/mac:hexhyp}}&chip=${{net0/chip}}\n"
        "sleep 3600\n")
    (run.dir / "www/done").write_text("done")
    (run.dir / "first").write_text(
        f"#!ipxe\nset net0/ip {THERE}\nset net0/netmask 255.255.255.0\nifopen net0\n"
        f"chain http://{HERE}:8000/long\n")
    server = run.start("/usr/bin/python3", "-u", "-m", "http.server", "8000", "--bind", HERE,
                       "--directory", run.dir / "www", wrap=peer.wrap)
    server.expect("Serving")
    card = run.start("nicsim", "--strict", "--device", device, "--socket", run.dir / "card", "--wire", "tap:wire",
                     "--mac", MAC.replace("-", ":"), wrap=peer.wrap)
    card.expect(f"^nicsim: {device} ")

    machine = run.start(*guest.emulated(256), "-kernel", guest.CACHE / "root/usr/lib/ipxe/ipxe.lkrn",
                        "-initrd", run.dir / "first", *guest.card(run.dir / "card"))
    lab.wait_for(lambda: "GET /done" in server.text or not machine.running(), "iPXE's last request", guest.PATIENCE)
    assert machine.running(), machine.text
    assert '"GET /long HTTP/1.1" 200' in server.text
    assert f'"GET /done?word={word}&mac={MAC}&chip={chip} HTTP/1.1" 200' in server.text
    # ping compares what comes back with what it sent.
    for size in SIZES:
        text = peer.call("ping", "-c", "1", "-W", "60", "-s", str(size), THERE, limit=guest.PATIENCE)
        assert " 1 received" in text and "wrong data" not in text
    assert machine.running() and card.running()
    assert not strict.unlisted(card, "iPXE")
