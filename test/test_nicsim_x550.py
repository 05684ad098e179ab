# SPDX-License-Identifier: BSD-3-Clause
"""What an X550 has and an X540 has not: an EEPROM behind its firmware, a table of 512 entries for RSS and 64 queues
behind it. Offsets and commands are those of Intel's driver."""
import struct

import pytest
from scapy.all import UDP

from rss import KEY, toeplitz
from test_nicsim import mdio
from test_nicsim_queues import packet, queues, spread
from vfio_user import DATA_EVENTFD, INTX, TRIGGER, Event
from x540 import EICS, EIMS, RXCTRL, Card, one, send  # noqa: F401

EEC, EERD, SW_FW_SYNC, FLEX_MNG, HICR, FWSTS, FWSM = 0x10010, 0x10014, 0x10160, 0x15800, 0x15f00, 0x15f0c, 0x10148
READ, WRITE, DUMP, INFO, DISABLE = 0x31, 0x33, 0x36, 0xdd, 0xde
MAILBOX = 1 << 10
ERETA = 0xee80


@pytest.fixture
def card(one):  # noqa: F811
    return one(device="x550", args=("--strict",))


def command(card, code, body=b"", length=0):
    """Header and body into the mailbox; whether it was a success, and what the answer says to hold."""
    card.set(SW_FW_SYNC, MAILBOX)
    data = bytes([code, 0, length, 0xff]) + body
    for n in range(0, len(data), 4):
        card.set(FLEX_MNG + n, int.from_bytes(data[n:n + 4], "little"))
    assert card.reg(HICR) & 3 == 1
    card.set(HICR, card.reg(HICR) | 2)
    assert card.reg(HICR) & 7 == 5  # done, and its status holds
    answered, low, high, _ = card.reg(FLEX_MNG).to_bytes(4, "little")
    assert answered == code
    card.set(SW_FW_SYNC, 0)
    return high & 0x1f == 1, (high & 0xe0) << 3 | low


def read(card, address, length):
    """Bytes of the EEPROM, or None."""
    success, count = command(card, READ, struct.pack(">IHH", address, length, 0), 6)
    assert count == (length if success else 0)
    words = b"".join(card.reg(FLEX_MNG + 12 + n).to_bytes(4, "little") for n in range(0, length, 4))
    return words[:length] if success else None


def write(card, address, data):
    return command(card, WRITE, struct.pack(">IHH", address, len(data), 0) + data.ljust(-(-len(data) // 4) * 4, b"\0"),
                   8 + len(data))[0]


# --- EEPROM ---

def test_eeprom_by_mailbox(card):
    assert card.reg(FWSTS) & 1 << 9
    card.set(FWSTS, 1 << 9)
    assert card.reg(FWSTS) & 1 << 9 == 0
    assert card.reg(FWSM) & 1 << 5 == 0  # no recovery
    size = 2 * (1 << (card.reg(EEC) >> 11 & 15) + 6)
    image = read(card, 0, 1024) + read(card, 1024, size - 1024)
    words = struct.unpack(f"<{size // 2}H", image)
    port = words[words[9] + 1:words[9] + 1 + words[words[9]]]
    assert sum(words[:0x42] + port) & 0xffff == 0xbaba
    assert port[:3] == (0x0002, 0, 0x0100)
    assert words[0x02] == 0  # a pointer there
    for n in 1, 2, 3, 0x3f, 0x41:
        assert read(card, 2 * n, 2) == image[2 * n:2 * n + 2] and read(card, 2 * n, 6) == image[2 * n:2 * n + 6]
    for address, length in ((1, 2), (0, 3), (0, 0), (0, 1026), (size, 2), (size - 2, 4), (0xfffffffe, 4)):
        assert read(card, address, length) is None
    assert read(card, size - 2, 2) == image[-2:]


def test_eeprom_written(card):
    image = read(card, 0x200, 16)
    assert write(card, 0x202, b"\x34\x12") and write(card, 0x206, b"\1\2\3\4\5\6")
    wanted = image[:2] + b"\x34\x12" + image[4:6] + b"\1\2\3\4\5\6" + image[12:]
    assert read(card, 0x200, 16) == wanted
    assert not write(card, 0x801, b"\0\0") and not write(card, 0x7fe, b"\0\0\0\0") and not write(card, 0x800, b"\0\0")
    for dump, expected in ((False, image), (True, wanted)):
        assert write(card, 0x200, wanted)
        assert not dump or command(card, DUMP) == (True, 0)
        card.client.reset()  # as after power-on
        card.client.set_config(4, 2, 0x0006)
        assert card.reg(FWSTS) & 1 << 9
        assert read(card, 0x200, 16) == expected


def test_no_other_way_to_the_eeprom(one):  # noqa: F811
    card = one(device="x550")
    card.set(EERD, 1)
    assert card.reg(EERD) == 0
    card.set(0x10018, 0x1234 << 16 | 1)
    assert read(card, 0, 2) != b"\x34\x12"


# --- the firmware's other commands ---

def test_other_commands(card):
    assert command(card, INFO, bytes(8), 5) == (True, 0)
    card.set(RXCTRL, 1)
    assert command(card, DISABLE, b"\1\0\0\0", 4) == (False, 0) and card.reg(RXCTRL) == 1
    assert command(card, DISABLE, bytes(4), 4) == (True, 0) and card.reg(RXCTRL) == 0
    assert command(card, 0x77) == (False, 0)
    card.process.expect("unknown firmware command 0x77")
    card.set(HICR, 2)
    card.process.expect("command 0x77 without its semaphore")


def test_an_x540_has_no_mailbox(one):  # noqa: F811
    card = one()
    card.set(HICR, 2)
    assert card.reg(HICR) == 0


# --- queues ---

def test_512_entries_lead_to_64_queues(run):
    process = run.start("nicsim", "--strict", "--device", "x550", "--socket", run.dir / "a", "--wire", "cable:it",
                        "--device", "x540", "--socket", run.dir / "b", "--wire", "cable:it")
    process.expect("/b, wire")
    with Card(run.dir / "a", memory=8 << 20) as a, Card(run.dir / "b") as b:
        b.tx()
        # The table's fourth quarter is another permutation of the queues than the others.
        table = [entry % 64 if entry < 384 else 63 - entry % 64 for entry in range(512)]
        spread(a, reta=lambda entry: table[entry])
        for n in range(96):
            a.set(ERETA + 4 * n, int.from_bytes(bytes(table[128 + 4 * n:132 + 4 * n]), "little"))
        of = queues(a, range(64), entries=8)
        taken, entries = dict.fromkeys(of, 0), set()
        frames = {}
        for port in range(1, 65536):
            hash_ = toeplitz(KEY, bytes([10, 0, 0, 1, 10, 0, 0, 2]) + struct.pack(">HH", port, 9))
            # Three for each queue: of the first quarter, a middle one, and the last.
            key = (table[hash_ % 512], (0, 1, 1, 2)[hash_ % 512 // 128])
            if key not in frames:
                frames[key] = packet("10.0.0.1", port, "10.0.0.2", 9, UDP), hash_
            if len(frames) == 3 * 64:
                break
        for (queue, _), (data, hash_) in frames.items():
            send(b, data)
            assert of[queue].received(taken[queue]) == data
            assert of[queue].path(taken[queue]) == (hash_, 7)
            taken[queue] += 1
            entries.add(hash_ % 512)
        assert set(taken.values()) == {3} and max(entries) > 448
        # Six bits name a queue; an X540 has four, and no queues beyond 15.
        a.set(ERETA, 0xffffffff)
        b.set(0xeb00, 0xffffffff)
        b.set(ERETA, 0xffffffff)
        assert a.reg(ERETA) == 0x3f3f3f3f and b.reg(0xeb00) == 0x0f0f0f0f and b.reg(ERETA) == 0
        b.tell(0x1028 + 16 * 0x40, 1 << 25)
        process.expect("RX queue 16 enabled: RSS leads to queues 0 to 15")
        assert not [line for line in process.lines if "RSS leads" in line and "queue 16 " not in line]


# --- what else differs ---

def test_identity(card):
    assert card.client.config(0, 4) == 0x15638086 and card.client.config(0x2c, 4) == 0x00018086
    assert card.client.region_info(0)[1] == 4 << 20
    # Four lanes at 8 GT/s.
    assert card.client.config(0xac, 2) & 0x3ff == card.client.config(0xb2, 2) & 0x3ff == 0x43
    assert card.client.config(0xcc, 4) == 0xe and card.client.config(0xd0, 2) & 15 == 3
    assert (mdio(card.client, 1, 2), mdio(card.client, 1, 3)) == (0x0154, 0x0221)
    assert mdio(card.client, 1, 4) == 0x6031 and mdio(card.client, 1, 0x15) == 3


@pytest.mark.parametrize("device, shown", [("x540", True), ("x550", False)])
def test_the_line_is_not_in_the_status(one, device, shown):  # noqa: F811
    card = one(device=device)
    event = Event()
    card.client.set_irqs(INTX, DATA_EVENTFD | TRIGGER, 0, 1, fds=[event.fd])
    assert not card.client.config(6, 2) & 8
    card.set(EIMS, 1)
    card.set(EICS, 1)
    assert event.wait() == 1
    assert bool(card.client.config(6, 2) & 8) == shown
    event.close()
