# SPDX-License-Identifier: BSD-3-Clause
"""What an 82599 has and an X540 has not: an EEPROM behind pins, a cage for a module, AUTOC. Offsets and fields are
those of the 82599 datasheet."""
import struct

import pytest

import lab
from x540 import EICR, LINKS, RXPBSIZE0, Card, one  # noqa: F401

EEC, EERD, ESDP, I2CCTL, SW_FW_SYNC, MSCA, MSRWD = 0x10010, 0x10014, 0x20, 0x28, 0x10160, 0x425c, 0x4260
AUTOC, AUTOC2, ANLP1 = 0x42a0, 0x42a8, 0x42b0
UP, LSC, SDP3 = 1 << 30, 1 << 20, 1 << 3
SPEED = {2 << 28: 1000, 3 << 28: 10000}


@pytest.fixture
def card(one):  # noqa: F811
    return one(device="82599", args=("--strict",))


def word(card, address):
    card.set(EERD, address << 2 | 1)
    value = card.reg(EERD)
    assert value & 2
    return value >> 16


# --- EEPROM ---

class Pins:
    """SPI mode 0 by EEC: clock 1, select (low) 2, data in 4, data out 8, request 0x40, grant 0x80."""

    def __init__(self, card):
        self.card = card
        card.set(EEC, card.reg(EEC) | 0x40)
        assert card.reg(EEC) & 0x80

    def end(self):
        self.card.set(EEC, 0x2)
        assert not self.card.reg(EEC) & 0x80

    def bits(self, out, count):
        """Sends bits, highest first; returns what came meanwhile."""
        got = 0
        for n in reversed(range(count)):
            base = 0x40 | (4 if out >> n & 1 else 0)
            self.card.set(EEC, base)
            self.card.set(EEC, base | 1)
            got = got << 1 | (self.card.reg(EEC) >> 3 & 1)
            self.card.set(EEC, base)
        return got

    def command(self, *out, read=0):
        self.card.set(EEC, 0x42)
        self.card.set(EEC, 0x40)
        for byte in out:
            self.bits(byte, 8)
        data = bytes(self.bits(0, 8) for _ in range(read))
        self.card.set(EEC, 0x42)
        return data


def test_eeprom_by_pins_is_the_one_by_register(card):
    # 1024 words, 16-bit addresses, present, read into the registers.
    assert card.reg(EEC) & 0x7f00 == 0x2700
    words = [word(card, n) for n in range(0x100)]
    pins = Pins(card)
    assert pins.command(3, 0, 0, read=0x200) == struct.pack("<256H", *words)
    assert pins.command(3, 0, 0x7e, read=2) == struct.pack("<H", words[0x3f])
    assert pins.command(5, read=1) == b"\0"
    pins.end()
    at = words[9]
    assert sum(words[:0x40] + words[at + 1:at + 1 + words[at]]) & 0xffff == 0xbaba
    assert words[3:9] == [0xffff] * 6 and words[0xa:0xf] == [0xffff] * 5
    # What Linux and DPDK follow: a firmware whose version is above 5, and modules' lists that end.
    assert words[words[words[0xf] + 4] + 7] > 5
    at = words[0x2b] + 1
    kinds = {}
    while words[at] != 0xffff:
        kinds[words[at]] = words[at + 1]
        at += 2
    assert {5, 6} <= set(kinds) and all(words[data + 1] == 0xffff for data in kinds.values())


def test_eeprom_written_by_pins(card):
    pins = Pins(card)
    pins.command(2, 0, 0x40, 0x34, 0x12)  # not allowed yet
    assert pins.command(3, 0, 0x40, read=2) == b"\xff\xff"
    pins.command(6)
    assert pins.command(5, read=1) == b"\x02"
    pins.command(2, 0, 0x40, 0x34, 0x12)
    assert pins.command(5, read=1) == b"\0"  # for one write
    assert pins.command(3, 0, 0x40, read=2) == b"\x34\x12"
    pins.command(6)
    pins.command(4)
    pins.command(2, 0, 0x40, 0, 0)
    assert pins.command(3, 0, 0x40, read=2) == b"\x34\x12"
    pins.end()
    assert word(card, 0x20) == 0xffff  # until power comes on again
    card.client.reset()
    card.client.set_config(4, 2, 0x0006)
    assert word(card, 0x20) == 0x1234


def test_pins_without_a_request_are_nobodys(card):
    for value in (0x2, 0x0, 0x4, 0x5, 0x4, 0x5, 0x4):
        card.set(EEC, value)
        assert not card.reg(EEC) & 0x80 and card.reg(EEC) & 8


# --- the module ---

class Bus:
    """I2C by I2CCTL: clock in 1 and out 2, data in 4 and out 8; both let go of: 0xa."""

    def __init__(self, card):
        self.card = card

    def lines(self, clock, data):
        self.card.set(I2CCTL, (2 if clock else 0) | (8 if data else 0))
        value = self.card.reg(I2CCTL)
        assert bool(value & 1) == bool(clock)
        return value >> 2 & 1

    def start(self):
        for clock, data in (0, 1), (1, 1), (1, 0), (0, 0):
            self.lines(clock, data)

    def stop(self):
        for clock, data in (0, 0), (1, 0), (1, 1):
            self.lines(clock, data)

    def bit(self, out):
        self.lines(0, out)
        got = self.lines(1, out)
        self.lines(0, out)
        return got

    def send(self, byte):
        """Whether it was acknowledged."""
        for n in reversed(range(8)):
            self.bit(byte >> n & 1)
        return self.bit(1) == 0

    def receive(self, more):
        byte = 0
        for _ in range(8):
            byte = byte << 1 | self.bit(1)
        self.bit(0 if more else 1)
        return byte

    def read(self, device, address, count):
        """Bytes of a module, or None where nobody answers."""
        self.start()
        if not (self.send(device) and self.send(address)):
            self.stop()
            return None
        self.start()
        assert self.send(device | 1)
        data = bytes(self.receive(n + 1 < count) for n in range(count))
        self.stop()
        return data


MODULES = {"sr": (0x10, 0, b"\0\x1b\x21", 850), "lr": (0x20, 0, b"\0\x1b\x21", 1310), "copper": (0, 4, b"\0\x1b\x21", 0),
           "1g-sx": (0, 0, b"\0\x1b\x21", 850), "1g-lx": (0, 0, b"\0\x1b\x21", 1310), "1g-t": (0, 0, b"\0\x1b\x21", 0),
           "fc": (0, 0, b"\0\0\x5e", 850), "foreign": (0x10, 0, b"\0\0\x5e", 850)}


@pytest.mark.parametrize("kind", MODULES)
def test_a_module_says_what_it_is(one, kind):  # noqa: F811
    card = one(device="82599", args=("--strict", "--module", kind))
    bus = Bus(card)
    data = bus.read(0xa0, 0, 256)
    ten_gig, cable, oui, wavelength = MODULES[kind]
    assert (data[0], data[3], data[8], data[37:40]) == (3, ten_gig, cable, oui)
    assert int.from_bytes(data[60:62], "big") == wavelength
    assert sum(data[:63]) & 0xff == data[63] and sum(data[64:95]) & 0xff == data[95]
    assert data[68:84].isascii() and data[96:] == bytes(160)
    # Anywhere, one byte at a time, and past the end.
    assert bus.read(0xa0, 37, 1) == oui[:1] and bus.read(0xa0, 255, 2) == bytes([0, 3])
    measured = bus.read(0xa2, 96, 2)
    plain = kind in ("copper", "1g-t")
    assert measured == (None if plain else bytes([35, 0]))
    assert (data[92] & 0x40 == 0) == plain
    assert data[6] == {"sr": 1, "lr": 2, "1g-t": 8, "1g-sx": 1, "1g-lx": 2}.get(kind, 0)
    assert data[10] == (0x40 if kind == "fc" else 0)
    assert bus.read(0xa4, 0, 1) is None
    assert card.reg(ESDP) & 4


def test_an_empty_cage(one):  # noqa: F811
    card = one(device="82599", wire="loop", args=("--strict", "--module", "none"))
    assert Bus(card).read(0xa0, 0, 1) is None
    assert not card.reg(ESDP) & 4
    card.reg(LINKS)
    assert not card.reg(LINKS) & UP


def test_nobody_writes_over_a_module(card):
    bus = Bus(card)
    bus.start()
    assert bus.send(0xa0) and bus.send(0) and bus.send(0xff)
    bus.stop()
    assert bus.read(0xa0, 0, 1) == b"\3"


# --- the link ---

def up(card):
    """The link's speed as it is now, or None."""
    card.reg(LINKS)  # that it fell is told once
    value = card.reg(LINKS)
    return SPEED[value & 3 << 28] if value & UP else None


def test_laser(one):  # noqa: F811
    card = one(device="82599", wire="loop", args=("--strict",))
    assert up(card) == 10000
    card.reg(EICR)
    card.set(ESDP, card.reg(ESDP) | SDP3)
    assert up(card) is None and card.reg(EICR) & LSC
    card.set(ESDP, card.reg(ESDP))
    assert not card.reg(EICR) & LSC  # nothing changed
    card.set(ESDP, card.reg(ESDP) & ~SDP3)
    assert not card.reg(LINKS) & UP and card.reg(LINKS) & UP  # latched once
    assert card.reg(EICR) & LSC
    card.set(AUTOC2, card.reg(AUTOC2) | 7 << 28)
    assert up(card) is None
    card.set(AUTOC2, card.reg(AUTOC2) & ~(7 << 28))
    assert up(card) == 10000


def test_restart_of_negotiation(one):  # noqa: F811
    card = one(device="82599", wire="loop", args=("--strict",))
    autoc = card.reg(AUTOC)
    assert autoc >> 13 & 7 == 3 and card.reg(AUTOC2) >> 16 & 3 == 2  # 10 Gbit/s serial, SFI
    assert card.reg(ANLP1) >> 16 & 0xf
    assert up(card) == 10000
    card.reg(EICR)
    card.set(AUTOC, autoc | 1 << 12)
    assert card.reg(AUTOC) == autoc
    assert card.reg(EICR) & LSC
    assert not card.reg(LINKS) & UP and card.reg(LINKS) & UP


@pytest.mark.parametrize("kind, slow, fast", [
    ("sr", 1000, 10000), ("copper", None, 10000), ("1g-t", 1000, None), ("1g-sx", 1000, None), ("1g-lx", 1000, None),
    ("fc", None, None)])
def test_speed_of_mode_and_module(one, kind, slow, fast):  # noqa: F811
    card = one(device="82599", wire="loop", args=("--strict", "--module", kind))
    autoc = card.reg(AUTOC) & ~(7 << 13)
    assert up(card) == fast
    for mode in (0, 2):  # without and with negotiation
        card.set(AUTOC, autoc | mode << 13)
        assert up(card) == slow
    card.set(AUTOC, autoc | 3 << 13)
    assert up(card) == fast


def test_two_ends_at_one_speed(run):
    """Of a cable between modules; light comes at any."""
    run.start("nicsim", *(word for n in "ab" for word in (
        "--device", "82599", "--socket", run.dir / n, "--wire", "cable:it"))).expect("/b, wire")
    with Card(run.dir / "a") as a, Card(run.dir / "b") as b:
        both = lambda: (up(a), up(b))  # noqa: E731
        lab.wait_for(lambda: both() == (10000, 10000), "a link")
        dark = lambda card: Bus(card).read(0xa2, 110, 1)[0] & 2  # noqa: E731
        for first, second in (a, b), (b, a):
            first.set(AUTOC, first.reg(AUTOC) & ~(1 << 13))  # with negotiation at 1 Gbit/s
            lab.wait_for(lambda: both() == (None, None), "no link between two speeds")
            assert not dark(a) and not dark(b)
            second.set(AUTOC, second.reg(AUTOC) & ~(1 << 13))
            lab.wait_for(lambda: both() == (1000, 1000), "a link at 1 Gbit/s")
            a.set(AUTOC, a.reg(AUTOC) | 1 << 13)
            b.set(AUTOC, b.reg(AUTOC) | 1 << 13)
            lab.wait_for(lambda: both() == (10000, 10000), "a link again")
        a.set(ESDP, a.reg(ESDP) | SDP3)
        lab.wait_for(lambda: dark(b) and not dark(a), "no light from a")


def test_backplane(one):  # noqa: F811
    card = one(device="82599-kx4", wire="loop", args=("--strict",))
    assert card.client.config(2, 2) == 0x10f7
    assert card.reg(AUTOC) >> 13 & 7 == 4 and up(card) == 10000
    card.set(ESDP, card.reg(ESDP) | SDP3)  # there is no laser
    assert up(card) == 10000
    assert not card.reg(ESDP) & 4


# --- what else differs ---

def test_the_other_family(card):
    assert card.client.config(0, 4) == 0x10fb8086
    assert card.client.region_info(0)[1] == 0x80000
    assert card.reg(RXPBSIZE0) == 512 << 10
    # No semaphore of an X540's in SW_FW_SYNC, and no PHY.
    assert card.reg(SW_FW_SYNC) == card.reg(SW_FW_SYNC) == 0
    card.set(MSCA, 1 << 16 | 2 | 1 << 30)
    card.set(MSCA, 1 << 16 | 2 | 3 << 26 | 1 << 30)
    assert card.reg(MSRWD) >> 16 == 0xffff


def test_modules_on_the_command_line(run):
    for device in ("x540", "82599-kx4"):
        code, text = run.call("nicsim", "--device", device, "--socket", "s", "--wire", "sink", "--module", "sr")
        assert code == 2 and "no cage" in text and device in text
    code, text = run.call("nicsim", "--device", "82599", "--socket", "s", "--wire", "sink", "--module", "gbic")
    assert code == 2 and "gbic" in text and "1g-sx" in text
