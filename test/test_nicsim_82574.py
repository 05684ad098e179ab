# SPDX-License-Identifier: BSD-3-Clause
"""nicsim's 82574L by its registers and descriptors: what Linux's e1000e, its judge (test_judge_e1000e.py), does not use, and
a driver that means harm. Offsets are the 82574 datasheet's; what is sent comes back by a loop."""
import re
import struct

import pytest
from scapy.all import IP, TCP, UDP, Ether, Raw

import rss
from i82574 import *
from lab import wait_for
from vfio_user import Event


@pytest.fixture
def sim(run):
    process = run.start("nicsim", "--device", "82574l", "--socket", run.dir / "card", "--wire", "loop",
                        "--mac", MAC)
    process.expect("^nicsim: 82574l")
    process.path = run.dir / "card"
    yield process
    assert process.stop() == 0


def test_registers(sim):
    with Card(sim.path) as card:
        assert card.client.config(0, 4) == 0x10d38086
        words = []
        for n in range(0x40):
            card.set(EERD, n << 2 | 1)
            words.append(card.reg(EERD) >> 16)
            assert card.reg(EERD) & 2
        assert sum(words) & 0xffff == 0xbaba
        assert struct.pack("<3H", *words[:3]).hex(":") == MAC
        # The PHY answers at address 1 alone.
        card.set(MDIC, 2 << 26 | 1 << 21 | 2 << 16)
        assert card.reg(MDIC) & 0x5000ffff == 0x10000141
        card.set(MDIC, 2 << 26 | 2 << 21 | 2 << 16)
        assert card.reg(MDIC) & 0x50000000 == 0x50000000
        assert (card.reg(SWSM) & 1, card.reg(SWSM) & 1) == (0, 1)
        # The link of the MAC follows the PHY's where the driver lets it; power down takes it away.
        assert not card.reg(STATUS) & 2
        card.set(CTRL, SLU)
        assert card.reg(STATUS) & 0xc2 == 0x82
        card.set(MDIC, 1 << 26 | 1 << 21 | 0x1940)
        assert not card.reg(STATUS) & 2
        card.set(MDIC, 1 << 26 | 1 << 21 | 0x1140)
        assert card.reg(STATUS) & 2


@pytest.mark.parametrize("option, words", [(["--second-port"], "it has one port"), (["--fault", "tx-head=5"], "no such fault"),
                                           (["--module", "sr"], "it has no cage for a module")])
def test_options_of_other_cards(run, option, words):
    code, said = run.call("nicsim", "--device", "82574l", "--socket", "x", "--wire", "loop", *option)
    assert (code, words in said) == (2, True), said


def test_commands_of_other_cards(run):
    run.start("nicsim", "--device", "82574l", "--socket", "x", "--wire", "loop", "--control", "control").expect(" on x, ")
    assert run.call("nicsim", "ctl", "control", "plug", "sr") == (
        1, "nicsim ctl: control: no such command for an 82574l: see nicsim ctl --help")


def test_legacy_descriptors_and_vlans(sim):
    tagged = FRAME[:12] + bytes.fromhex("81002345") + FRAME[12:]
    with Card(sim.path) as card:
        card.start(VFE, VME)
        card.set(VFTA + 4 * (0x345 >> 5), 1 << (0x345 & 31))
        card.send(FRAME, VLE, 0x2345 << 16)
        _, second, data = card.received(0, 0)
        # Length, then status (DD, EOP, VP, no checksum looked at), errors, tag.
        assert (second & 0xffff, second >> 32) == (len(FRAME), 0x23450000 | 0xf)
        assert data.startswith(FRAME)
        card.send(FRAME, VLE, 0x2346 << 16)           # of a VLAN that is filtered out
        card.set(CTRL, SLU)                           # now tags stay
        card.send(tagged)
        _, second, data = card.received(0, 1)
        assert (second & 0xffff, second >> 32) == (len(tagged), 0x7)
        assert data.startswith(tagged)
        assert (card.reg(GPTC), card.reg(GPTC)) == (3, 0)
        assert card.reg(GPRC) == 2
        # With CRC; and over two descriptors.
        card.set(RCTL, EN | BAM | 3 << 16)            # buffers of 256 bytes
        card.send(FRAME + bytes(200))
        assert card.received(0, 3)[1] & 0x3_0000_ffff == 0x3_0000_0000 | len(FRAME) + 200 + 4 - 256
        assert card.received(0, 2)[1] & 0x3_0000_ffff == 0x1_0000_0000 | 256


def test_octets_are_one_number(sim):
    """Low half, then high half: what comes between is not lost, and the high half alone clears both."""
    size = len(FRAME) + 4
    with Card(sim.path) as card:
        card.start()
        for n in range(3):
            card.send(FRAME)
            card.received(0, n)
            if n == 0:
                assert [card.reg(GORCL), card.reg(GORCL)] == [size] * 2
            elif n == 1:
                assert [card.reg(GORCH), card.reg(GORCL)] == [0, size]
            else:
                assert card.reg(GORCL) == 2 * size
        assert card.reg(GORCH) == 0 and card.reg(GORCL) == 0
        card.send(FRAME)
        card.received(0, 3)
        assert [card.reg(GORCH), card.reg(GORCH), card.reg(GORCL)] == [0, 0, 0]
        card.send(FRAME)
        card.received(0, 4)
        assert card.reg(GORCL) == size
        card.set(CTRL, RST)
        assert [card.reg(GORCH), card.reg(GORCL), card.reg(GORCH)] == [0, 0, 0]


def test_what_strict_says(run):
    process = run.start("nicsim", "--device", "82574l", "--socket", "card", "--wire", "loop", "--mac", MAC, "--strict")
    process.expect("^nicsim: 82574l")
    with Card(run.dir / "card") as card:
        # As it should be.
        card.set(EXTCNF, 1 << 5)
        card.set(CTRL, RST)
        assert card.reg(EXTCNF) == 0
        card.start()
        card.send(FRAME[:17])
        for control in RCTL, TCTL:
            card.set(control, 0x8)
        for base in RX, TX, RX + 0x100:
            card.set(base + HEAD, 0)
        card.sent = 0
        card.start()
        # And not.
        card.set(RX + 0x100 + HEAD, 0)
        card.set(TX + HEAD, 0)
        card.send(FRAME[:16])
        card.set(TCTL, 0x2)
        card.send(FRAME[:16])
        card.set(CTRL, RST)
    assert process.stop() == 0
    assert re.findall("strict: (.*)", process.text) == [
        "RDH of queue 1 written while the receiver is on", "TDH of queue 0 written while the transmitter is on",
        "a transmit request of 16 bytes, to be padded", "CTRL.RST by who does not own MDIO"]


def test_two_queues_by_rss(sim):
    packet = Ether(dst=MAC, src="02:00:00:00:00:02") / IP(src="66.9.149.187", dst="161.142.100.80")
    with Card(sim.path) as card:
        for n in range(10):
            card.set(RSSRK + 4 * n, int.from_bytes(rss.KEY[4 * n:4 * n + 4], "little"))
        for n in range(32):
            card.set(RETA + 4 * n, 0x80808080 if n == (0x51ccc178 & 127) // 4 else 0)
        card.set(MRQC, 1 | 3 << 16)
        card.set(RXCSUM, 0x2300)
        card.start(extended=True)
        card.send(bytes(packet / TCP(sport=2794, dport=1766) / Raw(b"to queue 1")))
        first, second, _ = card.received(1, 0)
        assert (first >> 32, first & 0x1f0f) == (0x51ccc178, 0x101)
        assert second & 0xffffffff == 0x63            # DD, EOP, checksums of TCP and IP, both right
        card.send(bytes(packet / UDP(sport=2794, dport=1766, chksum=1) / Raw(b"to queue 0")))
        first, second, _ = card.received(0, 0)
        assert (first >> 32, first & 0x1f0f) == (0x323e8fc2, 2)
        assert second & 0xffffffff == 0x20000073      # that of UDP wrong
        card.set(RXCSUM, 0)
        card.send(bytes(packet / UDP() / Raw(b"unchecked")))
        first, second, _ = card.received(0, 1)
        assert second & 0xffffffff == 0x207           # the hash's place has the identification, not looked at
        assert first >> 32 & 0xffff == 1


def test_split_headers(sim):
    packet = bytes(Ether(dst=MAC, src="02:00:00:00:00:02") / IP() / TCP() / Raw(bytes(range(250)) * 5))
    with Card(sim.path) as card:
        card.set(PSRCTL, 1 | 1 << 8 | 1 << 16)        # 128 bytes, 1 KiB, 1 KiB, none
        card.start(SPLIT, extended=True)
        for n in range(8):                            # eight descriptors of 32 bytes
            card.memory[32 * n:32 * n + 32] = struct.pack(
                "<QQQQ", *(IOVA + BUFFERS + 0x2000 * n + 0x800 * i for i in range(4)))
        card.send(packet)
        card.send(FRAME)
        wait_for(lambda: card.reg(RX + HEAD) == 4, "two descriptors")
        _, second, third, _ = struct.unpack("<QQQQ", card.memory[0:32])
        assert (second & 3, second >> 32 & 0xffff) == (3, 54)
        assert struct.pack("<Q", third) == struct.pack("<HHHH", 0x8000 | 54, 1024, 1250 - 1024, 0)
        at = BUFFERS
        assert card.memory[at:at + 54] + card.memory[at + 0x800:at + 0xc00] + \
            card.memory[at + 0x1000:at + 0x1000 + 226] == packet
        _, second, third, _ = struct.unpack("<QQQQ", card.memory[32:64])
        assert (second >> 32 & 0xffff, third) == (len(FRAME), 0)    # what is not TCP or UDP stays in one piece
        assert card.memory[at + 0x2000:at + 0x2000 + len(FRAME)] == FRAME


def test_interrupts_by_ivar(sim):
    with Card(sim.path) as card:
        events = [Event() for _ in range(5)]
        card.client.set_irqs(2, 0x24, 0, 5, fds=[event.fd for event in events])
        card.set(IVAR, 0x8 | 0xa << 8 | 0xb << 16)    # RX queue 0: vector 0, TX queue 0: 2, others: 3
        card.set(CTRL_EXT, 1 << 24)                   # EIAME
        card.set(EIAC, RXQ0)
        card.set(IAM, RXQ0)
        card.set(IMS, RXQ0 | TXQ0 | OTHER)
        card.start()
        assert events[3].wait()                       # the link came up
        card.send(FRAME)
        assert events[0].wait() and events[2].wait()
        # The first is cleared and masked by its message, the second is not.
        assert card.reg(IMS) == TXQ0 | OTHER
        card.send(FRAME)
        assert events[2].wait()
        assert not events[0].wait(0.05)
        icr = card.reg(ICR)
        assert icr & (RXQ0 | TXQ0 | LSC | OTHER) == RXQ0 | TXQ0 | LSC | OTHER and icr >> 31
        assert card.reg(ICR) == 0
        card.set(ICS, RXQ0)                           # waits for the mask
        assert not events[0].wait(0.05)
        card.set(IMS, RXQ0)
        assert events[0].wait()
        # Not asserted, and not all masked: a read clears nothing.
        card.set(ICS, RXQ1)
        assert card.reg(ICR) == RXQ1 == card.reg(ICR)
        card.set(IMC, 0xffffffff)
        assert card.reg(ICR) == RXQ1
        assert card.reg(ICR) == 0
        for event in events:
            event.close()


def test_cut_to_segments(sim):
    payload = bytes(n * 7 & 0xff for n in range(2500))
    packet = Ether(dst=MAC, src="02:00:00:00:00:02") / IP(src="10.0.0.1", dst="10.0.0.2", id=7) / \
        TCP(sport=1, dport=2, seq=100, flags="PA") / Raw(payload)
    whole = bytearray(bytes(packet))
    # As a driver leaves it: no length and sum of IP, of TCP that of addresses and protocol, without a length.
    whole[16:18] = whole[24:26] = b"\0\0"
    total = sum(struct.unpack("!4H", whole[26:34])) + 6
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    whole[50:52] = struct.pack("!H", total)
    with Card(sim.path) as card:
        card.start()
        card.memory[FRAMES:FRAMES + len(whole)] = bytes(whole)
        card.put(14 | 24 << 8 | 33 << 16 | 34 << 32 | 50 << 40, len(payload) | DEXT | TSE | 3 << 24 | 54 << 40 | 1000 << 48)
        at = card.put(IOVA + FRAMES, len(whole) | DATA | EOP | IFCS | RS | TSE | 3 << 40)
        card.go()
        wait_for(lambda: card.memory[at + 12] & 1, "the request done")
        for n, flags in enumerate(("A", "A", "PA")):
            piece = payload[1000 * n:1000 * n + 1000]
            right = bytes(Ether(dst=MAC, src="02:00:00:00:00:02") / IP(src="10.0.0.1", dst="10.0.0.2", id=7 + n) /
                          TCP(sport=1, dport=2, seq=100 + 1000 * n, flags=flags) / Raw(piece))
            _, second, data = card.received(0, n)
            assert data[:second & 0xffff] == right


def test_without_descriptors(sim):
    """What finds none waits in the packet buffer; what finds no room there is counted, and the rest comes in order."""
    with Card(sim.path) as card:
        card.start(LOOPBACK)                          # in the MAC, where nothing waits as on the wire
        card.set(RX + TAIL, 0)
        frames = [FRAME + bytes([n]) * 1000 for n in range(30)]
        for frame in frames:
            card.send(frame)
        missed = card.reg(MPC)
        assert card.reg(RNBC) == 1 and card.reg(RX + HEAD) == 0
        assert card.reg(GPRC) == 30
        # 20 KiB of packet buffer, and a length in front of each.
        assert missed == 30 - 20 * 1024 // (len(frames[0]) + 4)
        card.set(RX + TAIL, ROWS - 1)
        for n in range(ROWS - 1):
            assert card.received(0, n)[2].startswith(frames[n])
        assert card.reg(MPC) == 0


@pytest.mark.parametrize("args", [("--pace",), ()])
def test_what_is_sent_waits_for_the_link(run, args):
    """15 frames of 1,514 bytes take 184 us of 1 Gbit/s, of which 100 fit in front of the link; and a card no time."""
    process = run.start("nicsim", *args, "--control", run.dir / "control", "--device", "82574l", "--socket", run.dir / "card",
                        "--wire", "sink", "--mac", MAC)
    process.expect("^nicsim: 82574l")

    def paced():
        code, said = run.call("nicsim", "ctl", run.dir / "control", "counters")
        assert code == 0, said
        return int(re.search(r"^paced (\d+)$", said, re.M)[1])

    with Card(run.dir / "card") as card:
        card.start()

        def waited():
            at = [card.put(IOVA + FRAMES, 1514 | EOP | IFCS | RS) for _ in range(ROWS - 1)]
            card.go()
            wait_for(lambda: all(card.memory[place + 12] & 1 for place in at), "all are sent")
            return paced()

        assert paced() == 0
        if args:  # a card that is not run for a moment finds the link idle again
            wait_for(waited, "a wait for the link")
        else:
            assert [waited() for _ in range(5)] == [0] * 5
        assert card.reg(GPTC) % (ROWS - 1) == 0
    assert process.stop() == 0


def test_a_driver_that_means_harm(sim):
    outside = 0x7fff00000000
    with Card(sim.path) as card:
        for length, head, tail in ((0, 0, 5), (0, 0, 0), (128, 9, 3), (128, 0, 0xffff), (128, 0xffff, 0), (0xfff80, 0, 0x7fff)):
            for base in RX, TX:
                card.start()
                card.set(base + LEN, length)
                card.set(base + HEAD, head)
                if base == TX:
                    card.set(TX + TAIL, tail)
                    card.settle()
                    assert card.reg(TX + HEAD) == head or length == 0xfff80
                else:
                    card.set(RX + TAIL, tail)
                    card.send(FRAME)
                card.alive()
        # Descriptors: beyond the maps, too long, without an end, of unknown type, headers that cannot be.
        for first, second in ((outside, 100), (IOVA + SIZE - 10, 100), (IOVA, 0xfffff | DATA | EOP), (IOVA, 100 | DEXT | 7 << 20),
                              (IOVA, 100), (IOVA, 0), (IOVA, EOP), (IOVA, 5 | EOP), (IOVA, 100 | EOP | 1 << 26 | 0xff << 16)):
            card.start()
            for n in range(128):                      # as far as any chain goes
                at = RINGS + 0x3000 + 16 * n
                card.memory[at:at + 16] = struct.pack("<QQ", first, second)
            card.set(TX + BAL, IOVA + RINGS + 0x3000)
            card.set(TX + LEN, 16 * 128)
            card.set(TX + TAIL, 127)
            if second & (EOP | DEXT) == 0 and first == IOVA:
                wait_for(lambda: card.reg(TX + HEAD) == 64, "a chain without an end to be given up")
            card.alive()
        for context in (0, 0xff | 5 << 32, 0xffffffffffffffff):
            for second in (0, 0xff << 40 | 1 << 48, 0xffffffff << 32):
                card.start()
                card.put(context, second & ~0xffffffff | DEXT | TSE)
                card.put(IOVA + FRAMES, 3000 | DATA | EOP | TSE | 3 << 40)
                card.put(IOVA + FRAMES, 100 | DATA | EOP | 3 << 40)
                card.go()
                card.alive()
        # Rings and buffers that are not there; split buffers of no size.
        card.start()
        card.set(RX + BAH, 0x7fff)
        card.send(FRAME)
        card.alive()
        card.set(PSRCTL, 0)
        card.start(SPLIT, extended=True)
        card.send(FRAME)
        card.alive()
        for register in range(0, 0x20000, 4):
            if register not in (CTRL, CTRL + 4):
                card.set(register, 0xffffffff)
        card.alive()
    with Card(sim.path) as card:
        assert card.reg(RX + LEN) == 0
        card.alive()
