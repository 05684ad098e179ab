# SPDX-License-Identifier: BSD-3-Clause
"""pcid from outside: its configuration, what it takes and what it leaves alone, and what it says when
somebody dies."""
import errno
import grp
import os
import pathlib
import shutil
import signal
import socket
import tempfile

import pytest

import lab
import scheme_client
from fake_sysfs import Kernel, Sysfs
from scheme_client import READ, WRITE
from stack import CONFIG, Stack, entry, frame

PAPER = lab.ROOT / "test" / "data" / "paper-config.toml"
DRIVERS = ("--driver-path", lab.BUILD / "daemon")
ADDRESS = "0000:01:00.0"


def one_line(text):
    assert text and "\n" not in text, text
    return text


# --- configuration and command line ---

@pytest.mark.parametrize("text, line, words", [
    ("[[drivers]]\nclas = 2\n", 2, "unknown key 'clas'; expected name, class"),
    ("[[drivers]]\nclass = 2\nclass = 2\n", 3, "duplicate key 'class'"),
    ("[[drivers]]\nclass = 2\ncommand = [\"ixgbed\",\n  \"$BAR9\"]\n", 4, "unknown variable '$BAR9'"),
    ("[[drivers]]\nclass = 2\n", 1, "lacks a command"),
    ("[drivers]\n", 1, "expected an array of tables"),
    ("", 1, "no driver"),
    ("[[drivers]]\nname = \"x\n", 2, "a string without end"),
    ("[[drivers]]\nids = { 0x8086 = [0x10000] }\n", 2, "an id is 65536; expected 0 to 0xffff")])
def test_wrong_configuration(run, text, line, words):
    path = run.dir / "bad.toml"
    path.write_text(text)
    code, said = run.call("pcid", "--config", path, "--list")
    assert code == 2
    assert one_line(said).startswith(f"pcid: {path}:{line}: ") and words in said


def test_no_configuration(run):
    code, said = run.call("pcid", "--config", run.dir / "none.toml")
    assert code == 2 and "No such file" in one_line(said)
    code, said = run.call("pcid", "--config", run.dir)
    assert code == 2 and "Is a directory" in one_line(said)


@pytest.mark.parametrize("arguments, words", [
    (("--unknown",), "--unknown: no such option"), (("--config",), "a value is missing"), (("x",), "an argument too many"),
    (("--bind", "01:00.0"), "no PCI address"), (("--bind", "0000:01:00.8"), "no PCI address"),
    (("--bind", "0000:01:00.0x"), "no PCI address"), (("--bind", ADDRESS, "--bind", ADDRESS), "given twice"),
    (("--vfio-user", "a", "--vfio-user", "a"), "given twice"), (("--vfio-user", ""), "is empty"),
    (("--frames-mib", "0"), "1 to 1024"), (("--frames-mib", "2000"), "1 to 1024"),
    (("--frames-mib", "8x"), "1 to 1024"), (("--group", "no such group"), "no such group")])
def test_wrong_usage(run, arguments, words):
    code, said = run.call("pcid", *arguments)
    assert code == 2
    assert one_line(said).startswith("pcid: ") and words in said


def test_help_and_version(run):
    code, said = run.call("pcid", "--help")
    assert code == 0 and "--vfio-user SOCKET" in said
    code, said = run.call("pcid", "--version")
    assert code == 0 and said.startswith("pcid 0.")


# --- functions of the bus ---

@pytest.fixture
def sysfs(tmp_path):
    return Sysfs(tmp_path / "sys")


def listed(run, sysfs, *arguments):
    """What --list says: {address: (first line, second, third)}."""
    code, said = run.call("pcid", "--config", CONFIG, "--sysfs", sysfs.root, "--list", *arguments)
    assert code == 0
    functions = {}
    for line in said.splitlines():
        if not line.startswith(" "):
            address = line.split()[0]
            functions[address] = []
        functions[address].append(line.strip())
    return functions


def test_list_tells_what_each_function_is(run, sysfs):
    sysfs.function(ADDRESS, driver="vfio-pci", group=12)
    sysfs.function("0000:00:1f.0", device=0x1, klass=0x060100)  # no network card, no entry
    sysfs.function("0000:02:00.0", vendor=0x1AF4, device=0x1041, driver="virtio-pci")
    functions = listed(run, sysfs)
    assert list(functions) == [ADDRESS, "0000:02:00.0"]
    names, state, verdict = functions[ADDRESS]
    # pci.ids knows it; without pci.ids there are the numbers alone.
    assert names.startswith(f"{ADDRESS} 8086:1528 ")
    if pathlib.Path("/usr/share/misc/pci.ids").exists():
        assert names.endswith("Intel Corporation Ethernet Controller 10-Gigabit X540-AT2")
    assert state == 'driver vfio-pci, IOMMU group 12, entry "Intel 10 Gbit/s Ethernet (82599, X540, X550)"'
    assert verdict == "can be taken"
    assert functions["0000:02:00.0"][1] == "driver virtio-pci, no IOMMU group, no entry serves it"


def test_every_id_of_our_configuration_is_one_of_the_papers(run, sysfs):
    """The paper's 40 but its five virtual functions."""
    ids = [0x10F7, 0x1514, 0x1517, 0x151C, 0x10F9, 0x10FB, 0x152a, 0x1529, 0x1507, 0x154D, 0x1557, 0x10FC, 0x10F8,
           0x154F, 0x1528, 0x154A, 0x1558, 0x1560, 0x1563, 0x15D1, 0x15AA, 0x15AB, 0x15AC, 0x15AD, 0x15AE, 0x15B0,
           0x15C2, 0x15C3, 0x15C4, 0x15C6, 0x15C7, 0x15C8, 0x15CE, 0x15E4, 0x15E5]
    virtual = [0x10ED, 0x1515, 0x1565, 0x15A8, 0x15C5]
    for number, device in enumerate(ids + virtual):
        sysfs.function(f"0000:{number:02x}:00.0", device=device, driver="vfio-pci", group=number)
    functions = listed(run, sysfs)
    for number, device in enumerate(ids + virtual):
        state = functions[f"0000:{number:02x}:00.0"][1]
        assert ("no entry serves it" in state) == (device in virtual), hex(device)
    code, said = run.call("pcid", "--config", PAPER, "--sysfs", sysfs.root, "--list")
    assert code == 0
    assert said.count('entry "Intel 10G NIC"') == 40


def other_function(sysfs, address="0000:01:00.1", **how):
    sysfs.function(address, group=12, **how)


USES = {
    "no IOMMU": (dict(driver="vfio-pci"), None, "no IOMMU watches over it"),
    "unbound": (dict(group=12), None, f"no driver is bound to it: name it by --bind {ADDRESS}"),
    "bound": (dict(group=12, driver="e1000"), lambda s: s.interface(ADDRESS, "eth9"),
              f"bound to driver e1000: name it by --bind {ADDRESS}"),
    "up": (dict(group=12, driver="ixgbe"), lambda s: s.interface(ADDRESS, "eth9", 1), "its interface eth9 is up"),
    # An interface of that name has addresses in every network namespace.
    "addressed": (dict(group=12, driver="ixgbe"), lambda s: s.interface(ADDRESS, "lo"),
                  "its interface lo has an address"),
    "below": (dict(group=12, driver="virtio-pci"), lambda s: s.interface(ADDRESS, "eth9", 0x1003, "virtio1"),
              "its interface eth9 is up"),
    "elsewhere": (dict(group=12, driver="ixgbe"), None, "another network namespace may use it"),
    "neighbour up": (dict(group=12, driver="vfio-pci"),
                     lambda s: (other_function(s, driver="ixgbe"), s.interface("0000:01:00.1", "eth9", 1)),
                     "IOMMU group 12 is shared with 0000:01:00.1, and its interface eth9 is up"),
    "neighbour bound": (dict(group=12, driver="vfio-pci"),
                        lambda s: (other_function(s, driver="nvme", klass=0x010802),),
                        "IOMMU group 12 is shared with 0000:01:00.1, which driver nvme holds"),
}


@pytest.mark.parametrize("use", USES)
def test_a_card_in_use_is_not_taken(run, sysfs, use):
    how, more, words = USES[use]
    sysfs.function(ADDRESS, **how)
    if more:
        more(sysfs)
    assert words in listed(run, sysfs)[ADDRESS][2]
    files = {path: path.read_text() for path in sysfs.root.rglob("*") if path.is_file() and path.name != "config"}
    if use not in ("unbound", "bound"):
        code, said = run.call("pcid", "--config", CONFIG, *DRIVERS, "--sysfs", sysfs.root, "--bind", ADDRESS)
        assert code == 1
        assert one_line(said).startswith(f"pcid: {ADDRESS}: not taken: ") and words in said
    code, said = run.call("pcid", "--config", CONFIG, *DRIVERS, "--sysfs", sysfs.root)
    assert code == 1
    assert one_line(said).startswith("pcid: no card: ")
    assert all(path.read_text() == text for path, text in files.items()), "nothing was touched"


def test_a_shared_group_is_not_called_isolated(run, sysfs):
    sysfs.function(ADDRESS, driver="vfio-pci", group=12)
    sysfs.function("0000:01:00.1", driver="vfio-pci", group=12)
    sysfs.function("0000:00:01.0", klass=0x060400, device=1, driver="pcieport", group=12)  # a bridge is nobody
    functions = listed(run, sysfs)
    for one, other in ((ADDRESS, "0000:01:00.1"), ("0000:01:00.1", ADDRESS)):
        assert functions[one][2] == f"can be taken; not isolated: it shares IOMMU group 12 with {other}, " \
                                    "and each can reach what the other can"
    code, said = run.call("pcid", "--config", CONFIG, *DRIVERS, "--sysfs", sysfs.root, "--dry-run")
    assert code == 0
    lines = said.splitlines()
    assert f"pcid: {ADDRESS}: not isolated: it shares IOMMU group 12 with 0000:01:00.1, " \
           "and each can reach what the other can" in lines
    assert f"pcid: 0000:01:00.1: not taken: IOMMU group 12 is {ADDRESS}'s: nothing would isolate the two" in lines
    assert len(lines) == 3


def test_dry_run_expands_the_papers_command(run, sysfs):
    sysfs.function(ADDRESS, driver="vfio-pci", group=12, irq=16)
    sysfs.function("0000:3b:00.1", device=0x10FB, group=13, bars=((0xF0000000, 0x80000),))
    code, said = run.call("pcid", "--config", PAPER, *DRIVERS, "--sysfs", sysfs.root, "--dry-run",
                          "--bind", ADDRESS, "--bind", "0000:3b:00.1")
    ixgbed = lab.BUILD / "daemon" / "ixgbed"
    assert code == 0
    assert said.splitlines() == [
        f"pcid: would serve {ADDRESS} as network:0000-01-00.0_ixgbe by: {ixgbed} 0000-01-00.0 380000000000 16",
        "pcid: would bind 0000:3b:00.1 to vfio-pci (bound to no driver now)",
        f"pcid: would serve 0000:3b:00.1 as network:0000-3b-00.1_ixgbe by: {ixgbed} 0000-3b-00.1 F0000000 11"]
    assert sysfs.bound("0000:3b:00.1") is None
    assert sysfs.override("0000:3b:00.1") == "(null)"


def test_dry_run_with_every_variable(run, sysfs):
    sysfs.function("0000:3b:1f.1", driver="vfio-pci", group=12, bars=((0xF0000000, 0x80000), (0xF0100000, 0x4000)))
    config = run.dir / "all.toml"
    config.write_text('[[drivers]]\nvendor = 0x8086\ncommand = ["ixgbed", "$BUS", "$DEV", "$FUNC", "$BAR0", "$BAR1", '
                      '"$BAR2", "$BARSIZE0", "$BARSIZE1", "$VENID", "$DEVID", "$SUBSYSID", "x$BUS"]\n')
    code, said = run.call("pcid", "--config", config, *DRIVERS, "--sysfs", sysfs.root, "--dry-run")
    assert code == 0
    assert said.endswith("/ixgbed 3B 1F 01 F0000000 F0100000 '' 00080000 00004000 8086 1528 000C x$BUS")


def test_bind_gives_back_what_it_took(run, sysfs):
    """Bound to vfio-pci, found not to be there in truth, given back: as with any failure after binding."""
    sysfs.function(ADDRESS, driver="ixgbe", group=12)
    sysfs.interface(ADDRESS, "eth9")
    sysfs.driver("vfio-pci")
    with Kernel(sysfs, default={ADDRESS: "ixgbe"}) as kernel:
        code, said = run.call("pcid", "--config", CONFIG, *DRIVERS, "--sysfs", sysfs.root, "--bind", ADDRESS)
        assert code == 1 and ADDRESS in one_line(said)
        lab.wait_for(lambda: sysfs.bound(ADDRESS) == "ixgbe", "the old driver being back")
        assert kernel.probes == [(ADDRESS, "vfio-pci"), (ADDRESS, "")]
    assert sysfs.override(ADDRESS) == ""


def test_bind_leaves_an_unbound_card_unbound(run, sysfs):
    sysfs.function(ADDRESS, group=12)
    sysfs.driver("vfio-pci")
    with Kernel(sysfs, default={ADDRESS: "ixgbe"}) as kernel:
        code, _ = run.call("pcid", "--config", CONFIG, *DRIVERS, "--sysfs", sysfs.root, "--bind", ADDRESS)
        assert code == 1
        lab.wait_for(lambda: sysfs.bound(ADDRESS) is None, "no driver")
        assert kernel.probes == [(ADDRESS, "vfio-pci")]


def test_bind_without_vfio_pci(run, sysfs):
    sysfs.function(ADDRESS, driver="ixgbe", group=12)
    sysfs.interface(ADDRESS, "eth9")
    with Kernel(sysfs, drivers=(), default={ADDRESS: "ixgbe"}):
        code, said = run.call("pcid", "--config", CONFIG, *DRIVERS, "--sysfs", sysfs.root, "--bind", ADDRESS)
        assert code == 1
        assert one_line(said) == f"pcid: {ADDRESS}: vfio-pci does not take it: load it with modprobe vfio-pci"
        lab.wait_for(lambda: sysfs.bound(ADDRESS) == "ixgbe", "the old driver being back")


def test_bind_of_no_function_and_of_an_unknown_one(run, sysfs):
    sysfs.function(ADDRESS, device=0x1234, driver="vfio-pci", group=12)
    code, said = run.call("pcid", "--config", CONFIG, *DRIVERS, "--sysfs", sysfs.root, "--bind", "0000:09:00.0")
    assert code == 1
    assert one_line(said) == "pcid: 0000:09:00.0: there is no such PCI function: see pcid --list"
    code, said = run.call("pcid", "--config", CONFIG, *DRIVERS, "--sysfs", sysfs.root, "--bind", ADDRESS)
    assert code == 1
    assert "no entry of the configuration serves 8086:1234" in one_line(said)


def test_a_machine_without_pci(run):
    empty = run.dir / "empty"
    empty.mkdir()
    code, said = run.call("pcid", "--config", CONFIG, "--sysfs", empty, "--list")
    assert (code, said) == (0, "")
    code, said = run.call("pcid", "--config", CONFIG, "--sysfs", empty)
    assert code == 1 and one_line(said).startswith("pcid: no card: ")


# --- drivers ---

def test_the_papers_configuration_starts_a_driver(run):
    stack = Stack(run, a="loop")
    pcid = stack.pcid(config=PAPER)
    stack.wait_link("a")
    command = pathlib.Path(f"/proc/{stack.drivers['a']}/cmdline").read_bytes().split(b"\0")
    assert command[0] == b"ixgbed" and command[1] == b"a"
    int(command[2] or b"0", 16)
    int(command[3], 10)
    with stack.open("a") as handle:
        handle.write(frame(60, "a", "a"))
        assert handle.read() == frame(60, "a", "a")
    assert pcid.stop() == 0
    assert len(pcid.lines) == 1
    assert list((run.schemes / "network").iterdir()) == []


def test_list_and_dry_run_of_a_software_card(run):
    stack = Stack(run, a="loop")
    code, said = run.call("pcid", "--config", PAPER, "--list", "--vfio-user", "a.sock")
    assert code == 0
    lines = said.splitlines()
    at = lines.index(next(line for line in lines if line.startswith("vfio-user:a.sock 8086:1528 ")))
    assert lines[at + 1:] == ['    in software, entry "Intel 10G NIC"', "    can be taken"]
    code, said = run.call("pcid", "--config", PAPER, "--dry-run", *DRIVERS, "--vfio-user", "a.sock")
    assert code == 0
    assert one_line(said).startswith("pcid: would serve vfio-user:a.sock as network:a_ixgbe by: ")
    assert not (run.schemes / "network").exists()
    stack.pcid().stop()


def test_several_cards_go_and_end_together(run):
    stack = Stack(run, a="cable:x", b="cable:x")
    pcid = stack.pcid()
    stack.wait_link("a")
    with stack.open("a") as one, stack.open("b") as other:
        one.write(frame(60))
        assert other.read() == frame(60)
        assert pcid.stop() == 0
        assert one.read() == b"" and other.read() == b""
        for handle in (one, other):
            with pytest.raises(BrokenPipeError):
                handle.write(frame(60))
            assert handle.status("present") == 0
    for pid in stack.drivers.values():
        assert not os.path.exists(f"/proc/{pid}")


NO_CARD = {
    "no socket": (None, "no such socket"),
    "no server": ("dead", "a.sock"),
    "a file": ("file", "a.sock"),
    "another server": ("mute", "a.sock"),
}


@pytest.mark.parametrize("how", NO_CARD)
def test_no_card_behind_the_socket(run, how):
    what, words = NO_CARD[how]
    path = run.dir / "a.sock"
    listener = None
    if what == "file":
        path.write_text("")
    elif what:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        if what == "mute":
            listener.listen()
        else:
            listener.close()
    process = run.start("pcid", "--config", CONFIG, *DRIVERS, "--vfio-user", path)
    if what == "mute":
        peer, _ = listener.accept()
        peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 8)
        peer.close()
        listener.close()
    assert process.wait() == 1
    assert one_line(process.text).startswith("pcid: vfio-user:") and words in process.text
    assert not (run.schemes / "network").exists(), "nothing is left behind"


def test_a_card_that_is_taken(run):
    stack = Stack(run, a="loop", b="loop")
    stack.pcid()
    code, said = run.call("pcid", "--config", CONFIG, *DRIVERS, "--vfio-user", run.dir / "a.sock")
    assert code == 1
    assert one_line(said).startswith("pcid: vfio-user:")
    stack.stats("a")  # who has it keeps it


def test_one_bad_card_keeps_the_others_from_starting(run):
    stack = Stack(run, a="loop")
    code, said = run.call("pcid", "--config", CONFIG, *DRIVERS, "--vfio-user", "a.sock", "--vfio-user", "b.sock")
    assert code == 1 and "b.sock" in one_line(said)
    stack.pcid().stop()


def test_two_cards_of_one_name(run):
    Stack(run, a="loop")
    (run.dir / "x").mkdir()
    other = run.start("nicsim", "--device", "x540", "--socket", "x/a.sock", "--wire", "loop")
    other.expect(r"on x/a\.sock")
    code, said = run.call("pcid", "--config", CONFIG, *DRIVERS, "--vfio-user", "a.sock", "--vfio-user", "x/a.sock")
    assert code == 1
    assert one_line(said) == "pcid: vfio-user:x/a.sock: network:a_ixgbe is vfio-user:a.sock already: " \
                             "give its socket another name"


def test_a_name_that_makes_no_scheme(run):
    name = "x" * 70 + ".sock"
    sim = run.start("nicsim", "--device", "x540", "--socket", name, "--wire", "loop")
    sim.expect(r"on x+\.sock")
    code, said = run.call("pcid", "--config", CONFIG, *DRIVERS, "--vfio-user", name)
    assert code == 1
    assert "cannot be the name of a scheme" in one_line(said)


def test_a_dead_socket_is_replaced_and_a_live_one_not(run):
    stack = Stack(run, a="loop")
    pcid = stack.pcid()
    pcid.kill()
    assert (run.schemes / "network" / "a_ixgbe").is_socket()
    stack.nicsim.expect("the client left")
    stack.pcid()
    stack.stats("a")
    other = run.start("nicsim", "--device", "x540", "--socket", "other/a.sock", "--wire", "loop") \
        if (run.dir / "other").mkdir() is None else None
    other.expect("a.sock")
    code, said = run.call("pcid", "--config", CONFIG, *DRIVERS, "--vfio-user", "other/a.sock")
    assert code == 1
    assert one_line(said) == "pcid: network:a_ixgbe: somebody serves it already: is another pcid running?"
    stack.stats("a")


def test_no_folder_for_schemes(run):
    Stack(run, a="loop")
    file = run.dir / "file"
    file.write_text("")
    code, said = run.call("pcid", "--config", CONFIG, *DRIVERS, "--vfio-user", "a.sock",
                          env={"SCHEME_ROOT": str(file)})
    assert code == 1
    assert one_line(said).startswith("pcid: network:a_ixgbe: cannot be made in ") and "SCHEME_ROOT" in said


@pytest.mark.parametrize("program, words", [
    ("nosuchdriver", "driver nosuchdriver is not found"), ("./ixgbed", "driver ./ixgbed is a relative path"),
    ("plain", "driver plain cannot be run")])
def test_no_driver_to_run(run, program, words):
    Stack(run, a="loop")
    folder = run.dir / "drivers"
    folder.mkdir()
    (folder / "plain").write_text("#!/bin/sh\n")
    config = run.dir / "c.toml"
    config.write_text(f'[[drivers]]\nvendor = 0x8086\ncommand = ["{program}"]\n')
    # In the current folder there is one of each name: it must not be taken.
    for name in ("nosuchdriver", "ixgbed"):
        (run.dir / name).write_text("#!/bin/sh\n")
        (run.dir / name).chmod(0o755)
    code, said = run.call("pcid", "--config", config, "--driver-path", folder, "--vfio-user", "a.sock",
                          env={"PATH": f"{os.environ['PATH']}:.:"})
    assert code == 1
    assert words in one_line(said)


def script_driver(run, text):
    folder = run.dir / "drivers"
    folder.mkdir()
    path = folder / "ixgbed"
    path.write_text(text)
    path.chmod(0o755)
    return ("--driver-path", folder)


@pytest.mark.parametrize("text, words", [
    ("#!/bin/sh\nexit 7\n", "ended with status 7"), ("#!/bin/sh\nkill -9 $$\n", "was killed by signal 9 (Killed)"),
    ("#!/nowhere/sh\n", "cannot be run: No such file"), ("#!/bin/sh\nexit 0\n", "ended with status 0")])
def test_a_driver_that_never_gets_ready(run, text, words):
    stack = Stack(run, a="loop")
    code, said = run.call("pcid", "--config", CONFIG, *script_driver(run, text), "--vfio-user", "a.sock")
    assert code == 1
    first, last = said.splitlines()
    assert first.startswith("pcid: network:a_ixgbe: ixgbed pid ") and words in first
    assert last == "pcid: no driver is left"
    assert list((run.schemes / "network").iterdir()) == []
    stack.pcid().stop()  # the card is free again


def test_a_driver_that_sends_descriptors(run):
    """It ends with what the system says to that."""
    Stack(run, a="loop")
    options = script_driver(run, """#!/usr/bin/python3
import os, socket, struct, sys
try:
    with socket.socket(fileno=int(os.environ["PCID_CLIENT_CHANNEL"])) as channel:
        socket.send_fds(channel, [struct.pack("<II", 3, 1)], [0])
except OSError as error:
    sys.exit(error.errno)
""")
    code, said = run.call("pcid", "--config", CONFIG, *options, "--vfio-user", "a.sock")
    assert code == 1
    assert f"ended with status {errno.EPERM if lab.LINUX >= (6, 16) else 0}" in said


def test_a_driver_that_does_not_end(run):
    """pcid ends all the same, and takes it along."""
    Stack(run, a="loop")
    options = script_driver(run, "#!/bin/sh\ntrap '' TERM\nexec sleep 1000\n")
    pcid = run.start("pcid", "--config", CONFIG, *options, "--vfio-user", "a.sock")
    child, = lab.wait_for(lambda: lab.children(pcid.pid, "sleep"), "its sleep")
    assert pcid.stop() == 0
    assert not os.path.exists(f"/proc/{child}")
    assert list((run.schemes / "network").iterdir()) == []


def test_a_refused_card_is_said_in_the_drivers_words(run):
    Stack(run, a="loop")
    config = run.dir / "c.toml"
    config.write_text(entry("--rx-ring", "4096"))
    code, said = run.call("pcid", "--config", config, *DRIVERS, "--vfio-user", "a.sock")
    assert code == 1
    first, last = said.splitlines()
    assert first.startswith("pcid: network:a_ixgbe: ixgbed pid ")
    assert "too small for rings of 4096 and 512: give --frames-mib" in first
    assert last == "pcid: no driver is left"


def test_larger_rings_with_more_memory(run):
    stack = Stack(run, a="loop")
    stack.pcid("--frames-mib", "32", driver=("--rx-ring", "4096", "--tx-ring", "4096"))
    assert stack.stats("a")["pool_size"] > 15000


# --- who may open ---

def as_uid(uid, gids, work):
    """Runs work() in a child of another identity; returns the errno that it ended with, 0 if none."""
    pid = os.fork()
    if pid == 0:
        code = 255
        try:
            os.setgroups(gids[1:])
            os.setgid(gids[0])
            os.setuid(uid)
            work()
            code = 0
        except OSError as error:
            code = error.errno
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("option, nobody, member", [
    ((), errno.EACCES, errno.EACCES), (("--anyone",), 0, 0), (("--group", "daemon"), errno.EACCES, 0)])
def test_who_may_open(run, option, nobody, member):
    stack = Stack(run, a="loop")
    root = pathlib.Path(tempfile.mkdtemp(prefix="ixgbed-test-"))
    try:
        root.chmod(0o755)
        run.env["SCHEME_ROOT"] = str(root)
        stack.pcid(*option)

        def work():
            scheme_client.Handle(root, "a_ixgbe", "/mac", READ).close()

        group = grp.getgrnam("daemon").gr_gid
        assert as_uid(65534, [65534], work) == nobody
        assert as_uid(65534, [group], work) == member
        assert as_uid(0, [0], work) == 0
    finally:
        run.__exit__()
        shutil.rmtree(root)


# --- who dies ---

def assert_hung_up(handle):
    """End of file, not an error and not a hang; writing says that nobody is there."""
    while handle.read():
        pass
    with pytest.raises(BrokenPipeError):
        handle.write(frame(60))


def test_killed_pcid(run):
    """Nobody has the card open: its driver ends, too. (Others: test_survive.py.)"""
    stack = Stack(run, a="loop")
    stack.pcid().kill()
    stack.nicsim.expect("the client left")
    lab.wait_for(lambda: not os.path.exists(f"/proc/{stack.drivers['a']}") or
                 pathlib.Path(f"/proc/{stack.drivers['a']}/stat").read_text().split(") ")[1][0] == "Z",
                 "the driver's end")
    with pytest.raises(OSError) as gone:
        stack.open("a")
    assert gone.value.errno == errno.ECONNREFUSED


def test_killed_card_while_frames_flow(run):
    """In the middle of messages to the card, of frames in both directions."""
    stack = Stack(run, a="loop")
    pcid = stack.pcid(driver=("--poll",))
    stack.wait_link("a")
    with stack.open("a") as handle:
        for _ in range(200):
            handle.write(frame(1000, "a", "a"))
        stack.nicsim.kill()
        pcid.expect(f"network:a_ixgbe: ixgbed pid {stack.drivers['a']}: vfio-user:{run.dir}/a.sock: "
                    "the card is gone: unplugged, or its server ended")
        pcid.expect("network:a_ixgbe: the card is away: .*; its clients wait until it is back$")
        assert pcid.stop() == 0
        assert_hung_up(handle)


def test_a_stopped_driver_does_not_stop_pcid(run):
    """It hangs (SIGSTOP): clients are kept waiting, pcid is not, and ends it."""
    stack = Stack(run, a="loop")
    pcid = stack.pcid()
    os.kill(stack.drivers["a"], signal.SIGSTOP)
    waiting = [scheme_client.connect(run.schemes, "a_ixgbe") for _ in range(40)]
    for connection in waiting:
        connection.send(scheme_client.request("/mtu", READ))
    assert pcid.stop() == 0
    for connection in waiting:
        # Told, or hung up: not left alone.
        assert len(connection.recv(64)) in (0, 8)
        connection.close()


def try_to_connect(run):
    try:
        return scheme_client.connect(run.schemes, "a_ixgbe")
    except BlockingIOError:
        return None


def test_many_clients_at_once(run):
    """More than the channel holds, while the driver does not read: they wait, and each gets its answer."""
    stack = Stack(run, a="loop")
    stack.pcid()
    driver = stack.drivers["a"]
    os.kill(driver, signal.SIGSTOP)
    waiting = []
    for _ in range(180):
        # The queue of connections may be full for a moment.
        connection = lab.wait_for(lambda: try_to_connect(run), "pcid taking connections")
        connection.send(scheme_client.request("/mtu", READ))
        waiting.append(connection)
    os.kill(driver, signal.SIGCONT)
    for connection in waiting:
        assert scheme_client.REPLY.unpack(connection.recv(8)) == (scheme_client.MAGIC, 0)
        assert connection.recv(64) == b"1500\n"
        connection.close()
    stack.stats("a")


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_what_clients_leave_is_dropped(run):
    stack = Stack(run, a="loop")
    pcid = stack.pcid()
    stack.stats("a")
    lab.wait_for(lambda: stack.stats("a")["handles"] <= 1, "all closed")
    processes = (pcid.pid, stack.drivers["a"])
    with stack.open("a", "/mtu", READ):
        pass
    settled = []

    def quiet():
        settled.append([descriptors(pid) for pid in processes])
        return len(settled) > 20 and settled[-1] == settled[-20]

    lab.wait_for(quiet, "descriptors of closed handles")
    before = settled[-1]
    for number in range(100):
        with stack.open("a", "/mtu", READ) as handle:
            handle.read()
        if number % 10 == 0:  # some say nothing, some nonsense, some what is refused
            scheme_client.connect(run.schemes, "a_ixgbe").close()
            connection = scheme_client.connect(run.schemes, "a_ixgbe")
            connection.send(b"nonsense")
            connection.close()
            with pytest.raises(OSError):
                stack.open("a", "/none")
    lab.wait_for(lambda: [descriptors(pid) for pid in processes] == before, "no descriptor left behind")


# --- nothing leaks ---

VALGRIND = ("valgrind", "--quiet", "--leak-check=full", "--show-leak-kinds=all", "--errors-for-leak-kinds=all",
            "--error-exitcode=99", "--track-fds=yes")


def work_a_little(stack):
    stack.wait_link("a")
    with stack.open("a") as handle, stack.open("a", "/tap", READ):
        for size in (60, 1514, 300):
            handle.write(frame(size, "a", "a"))
            assert handle.read() == frame(size, "a", "a")
    stack.set("a", "/promisc", "1")
    stack.stats("a")
    with pytest.raises(OSError):
        stack.open("a", "/none")


def test_a_driver_that_is_told_to_end_as_it_begins(run):
    """The signal comes between its start and its first sleep."""
    stack = Stack(run, a="loop")
    for _ in range(6):
        pcid = stack.pcid()
        assert pcid.stop() == 0
        assert "killed" not in pcid.text


@pytest.mark.valgrind
def test_pcid_leaks_nothing(run):
    stack = Stack(run, a="loop")
    pcid = stack.pcid(wrap=VALGRIND)
    work_a_little(stack)
    with stack.open("a"):  # one is open at the end
        assert pcid.stop() == 0, pcid.text
    assert [line for line in pcid.lines if "==" in line and "Open file descriptor" in line] == []


@pytest.mark.valgrind
def test_pcid_leaks_nothing_when_a_driver_dies(run):
    stack = Stack(run, a="loop")
    pcid = stack.pcid("--max-deaths", "1/60", wrap=VALGRIND)
    with stack.open("a") as handle:
        os.kill(stack.drivers["a"], signal.SIGKILL)
        pcid.expect(r"was killed by signal 9")
        second = lab.wait_for(lambda: stack.pids("a")[1:], "the next")[0]
        os.kill(second, signal.SIGKILL)
        assert pcid.wait() == 1, pcid.text
        assert handle.read() == b""


@pytest.mark.valgrind
def test_pcid_leaks_nothing_when_it_fails(run, sysfs):
    sysfs.function(ADDRESS, driver="ixgbe", group=12)
    code, said = run.call("pcid", "--config", CONFIG, "--sysfs", sysfs.root, "--bind", ADDRESS, wrap=VALGRIND)
    assert code == 1, said
    code, said = run.call("pcid", "--config", CONFIG, "--sysfs", sysfs.root, "--list", wrap=VALGRIND)
    assert code == 0, said
    bad = run.dir / "bad.toml"
    bad.write_text(CONFIG.read_text() + "x")
    code, said = run.call("pcid", "--config", bad, wrap=VALGRIND)
    assert code == 2, said


@pytest.mark.valgrind
def test_ixgbed_leaks_nothing(run):
    stack = Stack(run, a="loop")
    ixgbed = stack.ixgbed("a", "--no-cage", wrap=VALGRIND)
    work_a_little(stack)
    receiver, = lab.wait_for(lambda: lab.children(ixgbed.pid, "scheme-receiver"), "it")  # which has copies of others' memory when it ends
    with stack.open("a"):
        assert ixgbed.stop() == 0, ixgbed.text
    assert [line for line in ixgbed.lines if "==" in line and f"=={receiver}==" not in line] == [], ixgbed.text
