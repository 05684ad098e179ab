# SPDX-License-Identifier: BSD-3-Clause
"""nicsim from outside: its command line, config space, registers, EEPROM, semaphores, PHY."""
import socket

import pytest

import x540
from vfio_user import CONFIG, DATA_NONE, INTX, MSI, MSIX, TRIGGER, Client, Refused
from x540 import CTRL, Card

MAC = "02:00:00:00:00:01"


@pytest.fixture
def sim(run):
    def start(*args, wire="sink", expect=True):
        process = run.start("nicsim", "--device", "x540", "--socket", run.dir / "s", "--wire", wire, *args)
        if expect:
            process.expect(r"^nicsim: x540 [0-9a-f:]{17} on ")
        process.path = run.dir / "s"
        return process
    return start


@pytest.fixture
def client(sim):
    with Client(sim().path) as it:
        yield it


# --- command line ---

@pytest.mark.parametrize("args, word", [
    ([], "no --device"),
    (["--device", "x560", "--socket", "s", "--wire", "sink"], "x560"),
    (["--socket", "s"], "--socket"),
    (["--device", "x540", "--wire", "sink"], "--socket"),
    (["--device", "x540", "--socket", "s"], "--wire"),
    (["--device", "x540", "--socket", "s", "--wire", "sink", "--mac", "01:00:00:00:00:01"], "01:00"),
    (["--device", "x540", "--socket", "s", "--wire", "sink", "--mac", "02:00:00:00:00"], "MAC"),
    (["--device", "x540", "--socket", "s", "--wire", "sink", "--mac", "02:00:00:00:00:01:02"], "MAC"),
    (["--device", "x540", "--socket", "s", "--wire", "sink", "--doorbells", "silent"], "silent"),
    (["--device", "x540", "--socket", "s", "--wire", "sink"] * 2, "two cards"),
    (["--second-port", "--socket", "s", "--wire", "sink"], "--second-port"),
    (["--device", "x540", "--socket", "s", "--wire", "sink", "--second-port", "--wire", "sink"], "--socket"),
    (["--device", "x540", "--socket", "s", "--wire", "sink", *["--second-port", "--socket", "t", "--wire", "sink"] * 2],
     "two ports"),
    (["--nonsense"], "--nonsense"),
    (["--device"], "--device"),
    (["--device", "x540", "--socket", "s", "--wire", "sink", "more"], "more"),
])
def test_wrong_arguments(run, args, word):
    code, text = run.call("nicsim", *args)
    assert code == 2
    assert text.count("\n") == 0 and text.startswith("nicsim: ") and word in text


def test_help_and_version(run):
    code, text = run.call("nicsim", "--help")
    assert code == 0 and "--device CARD" in text and "x540" in text and "82599-kx4" in text and "--strict" in text
    code, text = run.call("nicsim", "--version")
    assert code == 0 and text.startswith("nicsim ")


def test_wire_that_does_not_exist(run):
    code, text = run.call("nicsim", "--device", "x540", "--socket", "s", "--wire", "string")
    assert code == 1 and text.count("\n") == 0 and "string" in text
    assert not (run.dir / "s").exists()


def test_socket_files(run, sim):
    # A stale one is replaced, a live one and a file of another kind are left alone.
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(run.dir / "s"))
    stale.close()
    first = sim()
    code, text = run.call("nicsim", "--device", "x540", "--socket", first.path, "--wire", "sink")
    assert code == 1 and "another server" in text and text.count("\n") == 0
    assert Client(first.path).config(0, 4) == 0x15288086
    assert first.stop() == 0
    assert not first.path.exists()
    first.path.write_text("mine")
    code, text = run.call("nicsim", "--device", "x540", "--socket", first.path, "--wire", "sink")
    assert code == 1 and "no socket" in text
    assert first.path.read_text() == "mine"
    code, text = run.call("nicsim", "--device", "x540", "--socket", "x" * 200, "--wire", "sink")
    assert code == 1 and "200 bytes" in text


def test_several_cards_and_their_addresses(run):
    process = run.start("nicsim", *(word for n in range(3) for word in (
        "--device", "x540", "--socket", run.dir / f"s{n}", "--wire", "sink",
        *(["--mac", "02:aa:bb:cc:dd:ee"] if n == 1 else []))))
    process.expect(f"^nicsim: x540 02:00:00:00:00:03 on {run.dir}/s2, wire sink$")
    assert f"x540 02:aa:bb:cc:dd:ee on {run.dir}/s1," in process.text
    assert f"x540 {MAC} on {run.dir}/s0," in process.text
    clients = [Client(run.dir / f"s{n}") for n in range(3)]
    assert [c.reg(x540.RAL0) for c in clients] == [0x00000002, 0xccbbaa02, 0x00000002]
    assert [c.reg(x540.RAH0) & 0xffff for c in clients] == [0x0100, 0xeedd, 0x0300]
    assert process.stop() == 0
    assert not list(run.dir.glob("s?"))


# --- what a server says about the device ---

def test_device_regions_interrupts(client):
    assert client.info() == (16, 3, 9, 5)
    sizes = [client.region_info(n) for n in range(9)]
    assert sizes == [(3, 2 << 20), (0, 0), (0, 0), (0, 0), (3, 16384), (0, 0), (0, 0), (3, 4096), (0, 0)]
    assert [client.irq_info(n)[1] for n in range(5)] == [1, 1, 64, 0, 0]
    assert client.irq_info(INTX)[0] == 7
    assert client.irq_info(MSI)[0] & 1 and client.irq_info(MSIX)[0] & 1


# --- config space ---

def test_config_header(client):
    whole = client.region_read(CONFIG, 0, 4096)
    assert whole[:4] == bytes.fromhex("86802815")
    assert whole[8:12] == bytes.fromhex("01000002")
    assert whole[0x3d] == 1
    assert client.config(6, 2) == 0x10
    # As VFIO leaves a device that was opened: memory decodes, no bus mastering.
    assert client.config(4, 2) == 2
    client.set_config(4, 2, 0xffff)
    assert client.config(4, 2) == 0x547
    client.set_config(0, 4, 0)
    assert client.config(0, 4) == 0x15288086


def test_config_capabilities(client):
    at, found = client.config(0x34, 1), {}
    while at:
        found[client.config(at, 1)] = at
        at = client.config(at + 1, 1)
    assert found == {0x01: 0x40, 0x05: 0x50, 0x11: 0x70, 0x10: 0xa0}
    assert client.config(0x72, 2) == 63 and client.config(0x74, 4) == 4 and client.config(0x78, 4) == 0x2004
    assert client.config(0xb2, 2) & 0x3ff == 0x82          # 5 GT/s, 8 lanes
    assert client.config(0xaa, 2) & 0x20 == 0              # no transaction pending
    assert client.config(0xa4, 4) & 1 << 28                # function level reset
    client.set_config(0xc8, 2, 0x5)
    assert client.config(0xc8, 2) == 5
    assert client.config(0x100, 4) == 0x14020001
    assert client.config(0x140, 4) == 0x00010003
    assert client.region_read(CONFIG, 0x144, 8) == bytes.fromhex("010000ffff000002")


def test_card_without_msix(run):
    card = run.start("nicsim", "--device", "x540", "--no-msix", "--socket", run.dir / "s", "--wire", "sink")
    card.expect("^nicsim: x540")
    with Client(run.dir / "s") as client:
        assert client.config(0x50, 2) == 0xa005 and client.config(0xa0, 2) == 0x0010
        assert client.region_read(CONFIG, 0x70, 12) == bytes(12)
        assert [client.irq_info(n)[1] for n in range(5)] == [1, 1, 0, 0, 0]
        with pytest.raises(Refused):
            client.set_irqs(MSIX, DATA_NONE | TRIGGER, 0, 1)
    code, text = run.call("nicsim", "--no-msix", "--device", "x540", "--socket", "s", "--wire", "sink")
    assert (code, text) == (2, "nicsim: --device must stand before --no-msix; see nicsim --help")


def test_bar_sizing(client):
    for bar, size in ((0, 2 << 20), (4, 16384)):
        client.set_config(0x10 + 4 * bar, 4, 0xffffffff)
        client.set_config(0x14 + 4 * bar, 4, 0xffffffff)
        low, high = client.config(0x10 + 4 * bar, 4), client.config(0x14 + 4 * bar, 4)
        assert low & 0xf == 0xc
        assert (1 << 64) - (high << 32 | low & ~0xf) == size
    client.set_config(0x18, 4, 0xffffffff)                   # there is no BAR 2
    assert client.config(0x18, 4) == 0


def test_memory_enable_and_power_states(client):
    assert client.reg(x540.RAL0) == 2
    client.set_config(4, 2, 0)
    assert client.reg(x540.RAL0) == 0xffffffff
    client.set_reg(x540.MTA0, 5)
    client.set_config(4, 2, 2)
    assert client.reg(x540.MTA0) == 0
    client.set_config(0x44, 2, 3)
    assert client.config(0x44, 2) & 3 == 3 and client.reg(x540.RAL0) == 0xffffffff
    client.set_config(0x44, 2, 0)
    assert client.reg(x540.RAL0) == 2


def test_resets_reach_what_they_should(client):
    client.set_reg(x540.MTA0, 5)
    client.set_reg(x540.RAL0, 0x12345678)
    client.reg(0x10140)                                      # takes SWSM.SMBI
    client.set_config(0x3c, 1, 11)
    client.set_reg(CTRL, 1 << 26)
    assert client.reg(CTRL) & 1 << 26 == 0
    assert client.reg(x540.MTA0) == 0 and client.reg(x540.RAL0) == 2
    assert client.reg(0x10140) & 1                           # a software reset leaves semaphores alone
    assert client.config(0x3c, 1) == 11
    client.set_reg(x540.MTA0, 5)
    client.set_config(0xa8, 2, 0x8000)                       # function level reset
    assert client.config(4, 2) == 0 and client.config(0x3c, 1) == 0
    client.set_config(4, 2, 2)
    assert client.reg(x540.MTA0) == 0 and client.reg(0x10140) & 1 == 0
    client.set_reg(x540.MTA0, 5)
    client.reset()
    assert client.config(4, 2) == 2 and client.reg(x540.MTA0) == 0


# --- registers ---

@pytest.mark.parametrize("offset, value", [
    (0x10010, 0x04002710), (0x2f00, 0x00108808), (0x3000, 0), (0x3c00, 384 << 10),
    (0x3c04, 0), (0x4240, 0x08012c0b), (0x4268, 1518 << 16), (0x5088, 0x8100), (0x4a80, 0x81000000),
    (0x880, 0), (0x888, 0), (0x898, 0), (0x42d0, 0), (0x5820, 0), (0x8804, 3), (0x8d04, 3),
    (0x100c, 0xa200), (0x1014, 0x402), (0xcc00, 160 << 10),
])
def test_reset_values(client, offset, value):
    assert client.reg(offset) == value


@pytest.mark.parametrize("offset, writable", [
    # Linux's register test (ethtool -t) for these.
    (0x3220, 0x8007fff0), (0x3260, 0x8007fff0), (0x3008, 0xffffffff), (0x1000, 0xffffff80),
    (0x1004, 0xffffffff), (0x1008, 0x000fff80), (0x1018, 0x0000ffff), (0x3200, 0xffffffff),
    (0x6000, 0xffffff80), (0x6004, 0xffffffff), (0x6008, 0x000fff80), (0x3000, 1), (0xa200, 0xffffffff),
    (0xa204, 0x8000ffff), (0x5200, 0xffffffff), (0x1fc8, 0x000fff80), (0xd008, 0x000fff80),
    (0x900, 0xbfbfbfbf), (0x820, 0x001ffff8), (0x12300, 0x001ffff8),
    # Read-only.
    (0x8, 0), (0x4074, 0), (0x10148, 0), (0x3190, 0),
])
def test_writable_bits(client, offset, writable):
    before = client.reg(offset)
    for pattern in (0x5a5a5a5a, 0xa5a5a5a5, 0xffffffff, 0):
        client.set_reg(offset, pattern)
        assert client.reg(offset) & writable == pattern & writable
        if writable == 0:
            assert client.reg(offset) == before


@pytest.mark.parametrize("alias, target, value", [
    (0x5400, 0xa200, 0x12345678), (0x5404, 0xa204, 0x80009abc), (0x5478, 0xa278, 0x1), (0x2100, 0x1014, 2),
    (0x213c, 0x1014 + 15 * 0x40, 4), (0x2200, 0x100c, 0x2000), (0x5c00, 0xeb00, 0x01020304), (0x5c80, 0xeb80, 7),
    (0x5480, 0xea00, 9),
])
def test_aliases(client, alias, target, value):
    client.set_reg(alias, value)
    assert client.reg(target) == client.reg(alias) == value
    client.set_reg(target, 0)
    assert client.reg(alias) == 0


def test_access_sizes(client):
    client.set_reg(0x5200, 0x44332211)
    client.set_reg(0x5204, 0x88776655)
    assert client.region_read(0, 0x5200, 8) == bytes.fromhex("1122334455667788")
    assert client.region_read(0, 0x5201, 1) == b"\x22" and client.region_read(0, 0x5202, 2) == b"\x33\x44"
    client.region_write(0, 0x5200, bytes(8))
    assert client.reg(0x5200) == client.reg(0x5204) == 0
    # Partial writes change nothing.
    client.region_write(0, 0x5200, b"\xff")
    client.region_write(0, 0x5202, b"\xff\xff")
    assert client.reg(0x5200) == 0
    assert client.region_read(0, 0x100000, 4) == bytes(4)


def test_posted_writes_have_no_reply(client):
    for n in range(1000):
        client.set_reg(0x5200, n)
    assert client.reg(0x5200) == 999


def test_msix_table_is_memory(client):
    client.region_write(4, 16, b"abcd")
    assert client.region_read(4, 16, 4) == b"abcd"
    client.region_write(4, 0x2000, b"abcd")
    assert client.region_read(4, 0x2000, 4) == bytes(4)


# --- EEPROM, semaphores, PHY ---

def eeprom(client, word):
    client.set_reg(0x10014, word << 2 | 1)
    value = client.reg(0x10014)
    assert value & 2
    return value >> 16


def test_eeprom_checksum(client):
    words = [eeprom(client, n) for n in range(0x100)]
    # One section is pointed to, the port's, which belongs to the sum behind its length.
    assert words[0x03:0x09] == [0xffff] * 6 and words[0x0a:0x0f] == [0xffff] * 5
    section = words[0x09]
    assert sum(words[:0x40] + words[section + 1:section + 1 + words[section]]) & 0xffff == 0xbaba
    assert words[section + 1:section + 4] == [0x0002, 0, 0x0100]  # its address
    assert words[0x27] == words[0x28] == 0xffff
    assert eeprom(client, 0x3fff) == 0xffff


def test_eeprom_write_and_flash(sim):
    process = sim()
    for flash, expected in ((False, 0xffff), (True, 0x1234)):
        with Client(process.path) as client:
            client.set_reg(0x10018, 0x1234 << 16 | 0x100 << 2 | 1)
            assert client.reg(0x10018) & 2
            assert eeprom(client, 0x100) == 0x1234
            if flash:
                client.set_reg(0x10010, client.reg(0x10010) | 1 << 23)
                assert client.reg(0x10010) & 1 << 26
        with Client(process.path) as client:
            assert eeprom(client, 0x100) == expected


def test_semaphores(client):
    assert client.reg(0x10140) & 1 == 0                      # whoever reads 0 has it
    assert client.reg(0x10140) & 1 == 1
    client.set_reg(0x10140, 2)
    assert client.reg(0x10140) & 3 == 2
    assert client.reg(0x10160) >> 31 == 0
    assert client.reg(0x10160) >> 31 == 1
    client.set_reg(0x10160, 0x5)
    assert client.reg(0x10160) == 0x5


def mdio(client, mmd, reg, phy=0, write=None):
    head = phy << 21 | mmd << 16
    client.set_reg(0x425c, 1 << 30 | head | reg)
    assert client.reg(0x425c) & 1 << 30 == 0
    if write is not None:
        client.set_reg(0x4260, write)
        client.set_reg(0x425c, 1 << 30 | 1 << 26 | head | reg)
    else:
        client.set_reg(0x425c, 1 << 30 | 3 << 26 | head | reg)
    assert client.reg(0x425c) & 1 << 30 == 0
    return client.reg(0x4260) >> 16


def test_phy(client):
    assert (mdio(client, 1, 2), mdio(client, 1, 3)) == (0x0154, 0x0200)
    assert mdio(client, 1, 4) & 0x11 == 0x11
    assert mdio(client, 1, 2, phy=1) == 0xffff and mdio(client, 9, 2) == 0xffff
    mdio(client, 7, 0x20, write=0x1001)
    assert mdio(client, 7, 0x20) == 0x1001


def test_phy_power_takes_the_link(run):
    process = run.start("nicsim", *(word for n in "ab" for word in (
        "--device", "x540", "--socket", run.dir / n, "--wire", "cable:it")))
    process.expect("/b, wire")
    with Client(run.dir / "a") as a, Client(run.dir / "b") as b:
        a.reg(x540.LINKS)
        assert a.reg(x540.LINKS) == b.reg(x540.LINKS) | 1 << 30 == 0xf0000080
        b.reg(0x800)
        mdio(a, 30, 0, write=0x800)
        assert mdio(a, 30, 0) == 0x800
        assert a.reg(x540.LINKS) & 1 << 7 == 0
        x540.wait_for(lambda: b.reg(x540.LINKS) & 1 << 7 == 0, "carrier lost at the other end")
        assert b.reg(0x800) & 1 << 20                        # EICR.LSC
        mdio(a, 30, 0, write=0)
        x540.wait_for(lambda: b.reg(x540.LINKS) & 1 << 7, "carrier back at the other end")


def test_links_remembers_a_loss(client):
    first, second = client.reg(x540.LINKS), client.reg(x540.LINKS)
    assert first == 0xb0000080 and second == 0xf0000080
    assert client.reg(x540.STATUS) & 1 << 7


def test_master_disable(client):
    client.set_config(4, 2, 6)
    assert client.reg(x540.STATUS) & 1 << 19
    client.set_reg(CTRL, 4)
    assert client.reg(x540.STATUS) & 1 << 19 == 0


def test_flow_director_commands_end(client):
    client.set_reg(0xee00, 1)
    assert client.reg(0xee00) & 8
    client.set_reg(0xee2c, 0x8001)
    assert client.reg(0xee2c) & 3 == 0


def test_clients_come_and_go(sim):
    process = sim("--verbose")
    first = Client(process.path)
    first.set_reg(x540.MTA0, 5)
    second = Client(process.path, handshake=False)           # waits in the backlog
    assert first.reg(x540.MTA0) == 5
    first.close()
    second.version()
    assert second.reg(x540.MTA0) == 0
    second.close()
    for _ in range(20):
        with Card(process.path) as card:
            card.tx()
            card.queue_frame(bytes(60))
            card.kick()
            card.sent(0)
    process.expect("the client left")
    assert process.stop() == 0
    assert not process.path.exists()


def test_strict_reports(sim):
    process = sim("--strict")
    with Card(process.path) as card:
        card.reg(0x3fffc)
        process.expect("strict: read of unknown register 0x3fffc")
        card.set(0x3fff8, 1)
        process.expect("strict: write of 0x1 to unknown register 0x3fff8")
        card.set(x540.STATUS, 1)
        process.expect("strict: write of 0x1 to read-only register 0x00008")
        card.tell(x540.RXDCTL, x540.ENABLE)
        process.expect("RX queue 0 enabled with RDLEN 0")
        card.tell(x540.TXDCTL, x540.ENABLE)
        process.expect("TX queue 0 enabled with TDLEN 0")
        card.tell(x540.TXDCTL + 0x40, x540.ENABLE)
        process.expect("TX queue 1 enabled with TDLEN 0")
        card.tell(x540.TXDCTL, 0)
        card.tx(entries=8)
        card.tell(x540.TDT, 9)
        process.expect("TDT 9 out of a ring of 8")
        card.set(x540.RXCTRL, 1)
        process.expect("CRCSTRIP differ")
        for _ in range(100):
            card.reg(0x3fffc)
        assert process.text.count("\n") < 60                 # rate-limited


def test_nothing_is_reported_without_strict(sim):
    process = sim()
    with Card(process.path) as card:
        card.reg(0x3fffc)
        card.set(x540.STATUS, 1)
    assert process.stop() == 0
    assert "strict" not in process.text


def test_errors_are_replies(client):
    for call in (lambda: client.region_info(9), lambda: client.irq_info(5),
                 lambda: client.region_read(0, 2 << 20, 4), lambda: client.region_read(0, 2, 4),
                 lambda: client.region_read(0, 0, 3), lambda: client.region_read(0, 0, 16),
                 lambda: client.region_read(1, 0, 4), lambda: client.region_read(CONFIG, 4095, 2),
                 lambda: client.region_write(CONFIG, 4096, b"a")):
        with pytest.raises(Refused):
            call()
    assert client.config(0, 4) == 0x15288086
