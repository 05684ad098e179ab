# SPDX-License-Identifier: BSD-3-Clause
"""Cards with two ports: what is each one's, and what they share."""
import pytest

import lab
import test_nicsim_82599
import test_nicsim_x550
from test_nicsim import mdio
from x540 import BAM, CTRL, EICR, LINKS, MTA0, RAH0, RAL0, RXCTRL, STATUS, Card, frame, send

SWSM, SW_FW_SYNC, FACTPS, EEC, EEWR = 0x10140, 0x10160, 0x10150, 0x10010, 0x10018
RST, UP = 1 << 26, 1 << 30
DEVICES = ("x540", "x550", "82599")


@pytest.fixture
def ports(run):
    """Both ports of a card: in a process of the test's, a client at each."""
    made = []

    def start(device, **wires):
        run.process = run.start("nicsim", "--verbose", "--strict", "--device", device, "--socket", run.dir / "a",
                                "--wire", wires.get("a", "loop"), "--second-port", "--socket", run.dir / "b",
                                "--wire", wires.get("b", "loop"))
        run.process.expect(f"^nicsim: {device} 02:00:00:00:00:02 on {run.dir}/b, wire .*, second port$")
        made.extend(Card(run.dir / name) for name in "ab")
        return made
    yield start
    for card in made:
        card.close()


def eeprom(card, device, count=0x80):
    if device == "x550":
        data = test_nicsim_x550.read(card, 0, 2 * count)
        return [int.from_bytes(data[n:n + 2], "little") for n in range(0, len(data), 2)]
    return [test_nicsim_82599.word(card, n) for n in range(count)]


def write_word(card, device, address, value):
    if device == "x550":
        assert test_nicsim_x550.write(card, 2 * address, value.to_bytes(2, "little"))
    else:
        card.set(EEWR, value << 16 | address << 2 | 1)
        assert card.reg(EEWR) & 2


def mac(card):
    return card.reg(RAL0), card.reg(RAH0)


@pytest.mark.parametrize("device", DEVICES)
def test_who_is_who(ports, run, device):
    a, b = ports(device)
    for n, card in enumerate((a, b)):
        assert card.client.config(0x0e, 1) == 0x80           # of several functions
        assert card.client.config(0x3d, 1) == 1 + n          # INTA, INTB
        assert card.reg(STATUS) >> 2 & 3 == n
        assert card.reg(FACTPS) & 0x104 == 0x104
        assert mac(card) == (0x00000002, 0x80000100 + (n << 8))
    assert a.client.config(0x144, 4) == b.client.config(0x144, 4)
    assert a.client.config(0x148, 4) == b.client.config(0x148, 4)
    b.client.reset()
    assert b.client.config(0x0e, 1) == 0x80 and b.reg(STATUS) >> 2 & 3 == 1
    single = run.start("nicsim", "--device", device, "--socket", run.dir / "c", "--wire", "sink")
    single.expect("/c, wire sink$")
    with Card(run.dir / "c") as c:
        assert c.client.config(0x0e, 1) == 0 and c.reg(STATUS) >> 2 & 3 == 0 and c.reg(FACTPS) & 0x104 == 4


@pytest.mark.parametrize("device", DEVICES)
def test_one_eeprom_with_a_section_for_each_port(ports, run, device):
    a, b = ports(device)
    words = eeprom(a, device)
    assert words == eeprom(b, device)
    base = words[:0x42] if device == "x550" else words[:0x40]
    sections = [words[at + 1:at + 1 + words[at]] for at in words[9:11]]
    assert sum(base + sections[0] + sections[1]) & 0xffff == 0xbaba
    assert [section[:3] for section in sections] == [[0x0002, 0, 0x0100], [0x0002, 0, 0x0200]]
    # What one port writes the other reads, and loads as its address with its next reset, not before.
    write_word(a, device, words[10] + 3, 0x7700)
    assert eeprom(b, device)[words[10] + 3] == 0x7700 and mac(b) == (2, 0x80000200)
    a.set(CTRL, RST)
    assert mac(a) == (2, 0x80000100) and mac(b) == (2, 0x80000200)
    b.set(CTRL, RST)
    assert mac(b) == (2, 0x80007700)
    # Neither an address nor one that may be loaded.
    for pointer in (0xffff, 0, 1022):
        write_word(a, device, 10, pointer)
        b.set(CTRL, RST)
        assert mac(b) == (0, 0)
    # While there is a client at one port power stays on.
    b.client.reset()
    assert eeprom(b, device)[10] == 1022
    b.client.close()
    run.process.expect("/b: the client left")
    assert eeprom(a, device)[10] == 1022
    a.client.reset()
    assert eeprom(a, device) == words


@pytest.mark.parametrize("device", DEVICES)
def test_semaphores_are_between_the_ports(ports, run, device):
    a, b = ports(device)
    assert a.reg(SWSM) & 1 == 0 and b.reg(SWSM) & 1 == 1 and a.reg(SWSM) & 1 == 1
    if device != "82599":
        assert b.reg(SW_FW_SYNC) >> 31 == 0 and a.reg(SW_FW_SYNC) >> 31 == 1
    a.set(SW_FW_SYNC, 0x5)
    assert b.reg(SW_FW_SYNC) & 0x7fffffff == 0x5
    # Whatever becomes of a port, and of who held it, does not free them: the other is there.
    a.set(CTRL, RST)
    a.client.reset()
    assert b.reg(SWSM) & 1 == 1 and b.reg(SW_FW_SYNC) & 0x7fffffff == 0x5
    a.client.close()
    run.process.expect("/a: the client left")
    assert b.reg(SWSM) & 1 == 1 and b.reg(SW_FW_SYNC) & 0x7fffffff == 0x5
    b.client.reset()
    assert b.reg(SWSM) & 1 == 0 and b.reg(SW_FW_SYNC) == 0


@pytest.mark.parametrize("device", DEVICES)
def test_a_port_is_reset_alone(ports, run, device):
    a, b = ports(device)
    b.rx(fctrl=BAM | 0x200)
    b.tx()
    expected = frame()

    def works(n):
        send(b, expected)
        assert b.received(n) == expected
    works(0)
    for n, reset in enumerate((lambda: a.set(CTRL, RST), a.client.reset,
                               lambda: a.client.set_config(0xa8, 2, 0x8000), a.client.close), 1):
        if n < 4:
            a.set(MTA0, 5)
            b.set(MTA0, 6)
        reset()
        works(n)
        assert b.reg(MTA0) == 6 and b.reg(RXCTRL) == 1
        if n < 4:
            a.client.set_config(4, 2, 6)
            assert a.reg(MTA0) == 0
    run.process.expect("/a: the client left")
    works(5)


def test_each_copper_port_has_its_phy(ports):
    a, b = ports("x540", a="loop", b="loop")
    b.reg(EICR)
    mdio(a.client, 30, 0, write=0x800)
    for card, up in (a, False), (b, True):
        card.reg(LINKS)
        assert bool(card.reg(LINKS) & UP) == up
    assert mdio(b.client, 30, 0) == 0 and not b.reg(EICR) & 1 << 20


def test_pins_of_the_eeprom_are_one_ports_at_a_time(ports, run):
    a, b = ports("82599")
    pins = test_nicsim_82599.Pins(a)
    b.set(EEC, 0x40)
    assert not b.reg(EEC) & 0x80
    # Nor does what it writes reach them.
    for value in (0x42, 0x40, 0x45, 0x40):
        b.set(EEC, value)
        assert not b.reg(EEC) & 0x80
    assert pins.command(3, 0, 0x7e, read=2) == test_nicsim_82599.word(b, 0x3f).to_bytes(2, "little")
    pins.end()
    assert b.reg(EEC) & 0x80                                 # it still asks
    a.set(EEC, 0x42)
    assert not a.reg(EEC) & 0x80
    b.client.close()
    run.process.expect("/b: the client left")
    assert a.reg(EEC) & 0x80


def test_each_cage_has_its_module(run):
    process = run.start("nicsim", "--device", "82599", "--socket", run.dir / "a", "--wire", "loop", "--module", "lr",
                        "--second-port", "--socket", run.dir / "b", "--wire", "loop", "--module", "none")
    process.expect("second port$")
    with Card(run.dir / "a") as a, Card(run.dir / "b") as b:
        assert test_nicsim_82599.Bus(a).read(0xa0, 3, 1) == b"\x20"
        assert test_nicsim_82599.Bus(b).read(0xa0, 3, 1) is None
        assert a.reg(0x20) & 4 and not b.reg(0x20) & 4


def test_one_firmware_for_both(ports):
    a, b = ports("x550")
    for card in a, b:
        card.set(RXCTRL, 1)
    assert test_nicsim_x550.command(a, test_nicsim_x550.DISABLE, b"\1\0\0\0", 4) == (True, 0)
    assert (a.reg(RXCTRL), b.reg(RXCTRL)) == (1, 0)
    assert test_nicsim_x550.command(b, test_nicsim_x550.DISABLE, bytes(4), 4) == (True, 0)
    assert a.reg(RXCTRL) == 0
    assert test_nicsim_x550.command(a, test_nicsim_x550.DISABLE, b"\2\0\0\0", 4) == (False, 0)
    # What one port lays there the other sees.
    a.set(test_nicsim_x550.FLEX_MNG + 0x100, 0x12345678)
    assert b.reg(test_nicsim_x550.FLEX_MNG + 0x100) == 0x12345678
