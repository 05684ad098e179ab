# SPDX-License-Identifier: BSD-3-Clause
"""nicsim judged by iPXE's driver, which is of another kind than Linux's: legacy descriptors, no interrupts, a
ring of a few buffers. iPXE lies in an emulated machine, at the other end of each wire a network namespace."""
import os
import re
import shutil

import pytest

import guest
import linux
import strict
from linux import here, mac, there

pytestmark = pytest.mark.guest

# By nicsim's --device, what iPXE calls the card.
CHIPS = {"x540": "x540t", "x550": "x550t2", "82599": "82599-sfp", "82599-kx4": "82599-kx4"}
SIZES = (*range(0, 20), 64, 100, 471, 472, 1000, 1468, 1471, 1472)


def long_script(end):
    """A script that is longer than many segments; its end tells us that all of it arrived."""
    return "#!ipxe\n" + "".join(f"# {os.urandom(30).hex()}\n" for _ in range(4000)) + end


def done(word, n):
    """The line that has iPXE say so, by card N, which it calls net0 and so on."""
    card = f"net{n - 1}"
    return (f"imgfetch --name done{n} http://{here(n)}:8000/done?word={word}&mac=${{{card}/mac:hexhyp}}&chip=${{{card}/chip}}"
            f"&ip=${{{card}/ip}} || goto failed\n")


def serve(run, peer):
    (run.dir / "www").mkdir()
    (run.dir / "www/done").write_text("done")
    server = run.start(linux.PYTHON, "-u", "-m", "http.server", "8000", "--directory", run.dir / "www", wrap=peer.wrap)
    server.expect("Serving")
    return server


def judge(peer, machine, server, word, chips):
    """Waits for what iPXE says of each card, by that card; then pings, which compare what comes back with what was
    sent."""
    for n, chip in enumerate(chips, 1):
        said = f"GET /done?word={word}&mac={mac(n).replace(':', '-')}&chip={chip}&ip={there(n)} HTTP/1.1"
        match = server.expect(f'^(\\S+) .*"{re.escape(said)}" 200', 2 * guest.PATIENCE)
        assert match[1] == there(n)
    for n in range(1, len(chips) + 1):
        for size in SIZES:
            text = peer.call("ping", "-c", "1", "-W", "60", "-s", str(size), there(n), limit=guest.PATIENCE)
            assert " 1 received" in text and "wrong data" not in text
    assert machine.running()


def test_ipxe_by_bios(run):
    """With an address that it is given, a script by HTTP."""
    peer, (card,) = linux.on_taps(run, ["x540"], strict=True)
    server = serve(run, peer)
    word = os.urandom(8).hex()
    (run.dir / "www/long").write_text(long_script(f"{done(word, 1)}sleep 3600\n:failed\nexit 1\n"))
    (run.dir / "first").write_text(f"#!ipxe\nset net0/ip {there(1)}\nset net0/netmask 255.255.255.0\nifopen net0\n"
                                   f"chain http://{here(1)}:8000/long\n")
    machine = run.start(*guest.emulated(256), "-kernel", guest.CACHE / "root/usr/lib/ipxe/ipxe.lkrn",
                        "-initrd", run.dir / "first", *guest.card(run.dir / "card1"))
    judge(peer, machine, server, word, ["x540t"])
    assert '"GET /long HTTP/1.1" 200' in server.text
    assert card.running() and not strict.unlisted(card, "iPXE")


def test_ipxe_by_uefi(run):
    """As machines boot today: UEFI starts iPXE from a disk; an address by DHCP and a script by TFTP with the first card,
    then the same with each of the others."""
    peer, cards = linux.on_taps(run, list(CHIPS), strict=True)
    server = serve(run, peer)
    word = os.urandom(8).hex()
    script = done(word, 1)
    for n in range(2, len(cards) + 1):
        script += (f"dhcp net{n - 1} || goto failed\nimgfetch --name file{n} tftp://{here(n)}/file || goto failed\n"
                   f"{done(word, n)}")
    (run.dir / "tftp").mkdir()
    (run.dir / "tftp/script").write_text(long_script(f"{script}sleep 3600\n:failed\nexit 1\n"))
    (run.dir / "tftp/file").write_bytes(os.urandom(100_000))
    ranges = [f"--dhcp-range={there(n)},{there(n)},255.255.255.0" for n in range(1, len(cards) + 1)]
    dnsmasq = run.start("/usr/sbin/dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--port=0",
                        "--bind-dynamic", "--log-facility=-", "--pid-file=", f"--dhcp-leasefile={run.dir / 'leases'}",
                        "--no-ping", "--dhcp-authoritative", *ranges, "--dhcp-option=option:router", "--dhcp-boot=script", "--enable-tftp",
                        f"--tftp-root={run.dir / 'tftp'}", "--tftp-no-fail", wrap=peer.wrap)
    dnsmasq.expect("TFTP root is")

    # iPXE is what UEFI looks for on a disk that nothing is known of.
    (run.dir / "disk/EFI/BOOT").mkdir(parents=True)
    shutil.copy(guest.CACHE / "root/usr/lib/ipxe/ipxe.efi", run.dir / "disk/EFI/BOOT/BOOTX64.EFI")
    shutil.copy(guest.CACHE / "firmware/OVMF_VARS_4M.fd", run.dir / "variables")
    machine = run.start(
        *guest.emulated(512),
        "-drive", f"if=pflash,format=raw,readonly=on,file={guest.CACHE / 'firmware/OVMF_CODE_4M.fd'}",
        "-drive", f"if=pflash,format=raw,file={run.dir / 'variables'}",
        "-drive", f"if=none,id=disk,format=raw,file=fat:rw:{run.dir / 'disk'}",
        "-device", "virtio-blk-pci,drive=disk,bus=pcie.0,addr=8", "-serial", "stdio",
        *linux.in_slots(run.dir / f"card{n}" for n in range(1, len(cards) + 1)))
    judge(peer, machine, server, word, CHIPS.values())
    for n in range(1, len(cards) + 1):
        assert f"DHCPACK(wire{n}) {there(n)} {mac(n)}" in dnsmasq.text
        assert f"sent {run.dir / 'tftp' / ('file' if n > 1 else 'script')} to {there(n)}" in dnsmasq.text
    for card in cards:
        assert card.running() and not strict.unlisted(card, "iPXE")
