# SPDX-License-Identifier: BSD-3-Clause
"""nicsim against a client that means harm: each message gets an error reply or a closed connection, the
other cards of the process go on, and the next client finds a card as new."""
import os
import random
import socket
import struct

import pytest

import x540
from vfio_user import (CONFIG, DEVICE_RESET, DMA_MAP, DMA_READ, DMA_WRITE, ERROR, GET_INFO, GET_REGION_IO_FDS, HEADER,
                       REGION_READ, REPLY, SET_IRQS, VERSION, Client, Closed, Memory, Refused)
from x540 import DATA, ENABLE, EOP, IFCS, IOVA, RS, Card


@pytest.fixture
def sim(run):
    process = run.start("nicsim", "--strict", *(word for n in "ab" for word in (
        "--device", "x540", "--socket", run.dir / n, "--wire", "cable:it")))
    process.expect("/b, wire")
    process.path = run.dir / "a"
    with Client(run.dir / "b") as neighbour:
        yield process
        assert neighbour.config(0, 4) == 0x15288086
    assert process.stop() == 0


def works(process):
    with Client(process.path) as client:
        assert client.config(0, 4) == 0x15288086
        assert client.reg(x540.RAL0) == 2


def descriptors(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


# --- framing ---

@pytest.mark.parametrize("size", [0, 1, 15, 8193, 1 << 20, 0xffffffff])
def test_sizes_that_cannot_be(sim, size):
    client = Client(sim.path)
    client.send(GET_INFO, b"\0" * 64, size=size)
    with pytest.raises(Closed):
        client.receive()
    works(sim)


def test_replies_nobody_asked_for(sim):
    client = Client(sim.path)
    client.send(GET_INFO, b"\0" * 16, flags=REPLY)
    with pytest.raises(Closed):
        client.receive()
    works(sim)


@pytest.mark.parametrize("command", [0, DMA_READ, DMA_WRITE, GET_REGION_IO_FDS, 14, 255, 0xffff])
def test_commands_that_are_not_offered(sim, command):
    with Client(sim.path) as client:
        with pytest.raises(Refused):
            client.call(command, b"\0" * 32)
        assert client.config(0, 4) == 0x15288086


@pytest.mark.parametrize("command", range(1, 14))
@pytest.mark.parametrize("length", [0, 1, 7, 15, 19, 23])
def test_short_messages(sim, command, length):
    with Client(sim.path) as client:
        client.send(command, b"\xff" * length)
        _, _, flags, error, _ = client.receive()
        assert (flags & ERROR and error) or command in (DEVICE_RESET, GET_INFO)
        assert client.config(0, 4) == 0x15288086


def test_half_a_message(sim):
    client = Client(sim.path)
    client.socket.send(HEADER.pack(1, REGION_READ, 32, 0, 0)[:7])
    client.close()
    client = Client(sim.path)
    client.send(REGION_READ, b"\0" * 8, size=32)
    client.close()
    works(sim)


def test_byte_by_byte(sim):
    with Client(sim.path) as client:
        for byte in HEADER.pack(9, REGION_READ, 32, 0, 0) + struct.pack("<QII", 0, CONFIG, 4):
            client.socket.send(bytes([byte]))
        assert client.receive()[4][16:] == bytes.fromhex("86802815")


def test_many_messages_at_once(sim):
    with Client(sim.path) as client:
        one = HEADER.pack(9, REGION_READ, 32, 0, 0) + struct.pack("<QII", 0, CONFIG, 4096)
        client.socket.send(one * 100)
        for _ in range(100):
            assert len(client.receive()[4]) == 16 + 4096


def test_a_client_that_does_not_read(sim):
    client = Client(sim.path)
    client.socket.settimeout(0.2)
    one = HEADER.pack(9, REGION_READ, 32, 0, 0) + struct.pack("<QII", 0, CONFIG, 4096)
    with pytest.raises(TimeoutError):
        while True:
            client.socket.sendall(one * 50)
    client.close()
    works(sim)


def test_rubbish(sim):
    chance = random.Random(540)
    for _ in range(300):
        client = Client(sim.path, handshake=chance.random() < 0.9)
        memory = os.memfd_create("x")
        try:
            for _ in range(10):
                length = chance.choice((0, 4, 16, 20, 24, 32, 48, chance.randrange(200)))
                body = bytearray(chance.randbytes(length))
                for at in range(0, length - 3, 4):           # small numbers get further
                    if chance.random() < 0.7:
                        body[at:at + 4] = struct.pack("<I", chance.choice((0, 1, 2, 4, 7, 8, 32, 0x21, 0x24, 4096)))
                fds = [memory] * chance.choice((0, 0, 0, 1, 2, 16))
                flags = chance.choice((0, 0, 0, 0x10))
                client.send(chance.randrange(16), bytes(body), fds, flags=flags)
        except Closed:
            pass
        finally:
            client.close()
            os.close(memory)
    works(sim)


# --- VERSION ---

@pytest.mark.parametrize("payload", [
    b"", b"\0\0\0", struct.pack("<HH", 1, 0), struct.pack("<HH", 0xffff, 0xffff),
    struct.pack("<HH", 0, 0) + b"{}", struct.pack("<HH", 0, 0) + b"x" * 4000])
def test_versions_that_are_none(sim, payload):
    with Client(sim.path, handshake=False) as client:
        with pytest.raises(Refused):
            client.call(VERSION, payload)
        assert client.version()


def test_version_comes_first_and_once(sim):
    with Client(sim.path, handshake=False) as client:
        with pytest.raises(Refused):
            client.info()
        client.version()
        with pytest.raises(Refused):
            client.version()
        assert client.info()


# --- descriptors ---

def test_descriptors_do_not_pile_up(sim):
    with Client(sim.path) as client:
        client.info()
        before = descriptors(sim)
        memory = Memory(1 << 20)
        for count in (1, 2, 16, 64):
            client.call(GET_INFO, struct.pack("<IIII", 16, 0, 0, 0), [memory.fd] * count)
        for call in (lambda: client.call(DMA_MAP, bytes(48 - 16), [memory.fd] * 2),
                     lambda: client.call(SET_IRQS, bytes(20), [memory.fd] * 3),
                     lambda: client.call(99, b"", [memory.fd] * 3)):
            with pytest.raises(Refused):
                call()
        assert descriptors(sim) == before
        client.dma_map(0, 1 << 20, memory)
        assert descriptors(sim) == before                    # a map needs none
    works(sim)


def test_more_descriptors_than_a_message_may_have(sim):
    client = Client(sim.path)
    memory = Memory(4096)
    client.send(GET_INFO, struct.pack("<IIII", 16, 0, 0, 0), [memory.fd] * 100)
    with pytest.raises(Closed):
        client.receive()
    works(sim)


def test_descriptors_belong_to_their_message(sim):
    """Messages that come together: the one that brought the descriptor has it."""
    with Client(sim.path) as client:
        memory = Memory(1 << 20)
        info = struct.pack("<IIII", 16, 0, 0, 0)
        for n in range(20):
            client.send(GET_INFO, info)
            client.send(DMA_MAP, struct.pack("<IIQQQ", 32, 3, 0, n << 20, 1 << 20), [memory.fd])
            client.send(GET_INFO, info)
        for n in range(60):
            assert client.receive()[2] & ERROR == 0
        # In pieces: the descriptor comes with the first.
        whole = HEADER.pack(7, DMA_MAP, 48, 0, 0) + struct.pack("<IIQQQ", 32, 3, 0, 1 << 30, 1 << 20)
        socket.send_fds(client.socket, [whole[:20]], [memory.fd])
        client.socket.send(whole[20:] + HEADER.pack(8, GET_INFO, 32, 0, 0) + info)
        assert client.receive()[2:4] == (REPLY, 0) and client.receive()[2:4] == (REPLY, 0)
        # Without one the map would be out of reach: use it.
        card = Card.__new__(Card)
        card.client, card.memory, card._next = client, memory, 0
        card.reg, card.set = client.reg, client.set_reg
        client.set_config(4, 2, 6)
        card.tx(base=(1 << 30))
        card.set(x540.HLREG0, card.reg(x540.HLREG0) | 1 << 15)  # loops in the MAC: the neighbour does not listen
        card.queue((1 << 30) + 0x1000, 60 | DATA | EOP | IFCS | RS, 60 << 14)
        card.kick()
        card.sent(0)


# --- memory maps ---

def refuses(client, *args, **how):
    with pytest.raises(Refused):
        client.dma_map(*args, **how)


def test_maps_that_cannot_be(sim, run):
    with Client(sim.path) as client:
        memory = Memory(1 << 20)
        refuses(client, 0, 0, memory)
        refuses(client, 1, 4096, memory)
        refuses(client, 0, 4095, memory)
        refuses(client, 0xfffffffffffff000, 8192, memory)
        refuses(client, 0, 2 << 20, memory)
        refuses(client, 0, 4096, memory, offset=1 << 20)
        refuses(client, 0, 1 << 20, memory, offset=4096)
        refuses(client, 0, 4096, memory, offset=0xfffffffffffff000)
        refuses(client, 0, 4096, memory, prot=0)
        refuses(client, 0, 4096, memory, prot=4)
        with pytest.raises(Refused):
            client.call(DMA_MAP, struct.pack("<IIQQQ", 31, 3, 0, 0, 4096), [memory.fd])
        refuses(client, 0, 4096, memory=os.memfd_create("empty"))
        refuses(client, 0, 4096, memory=os.pipe()[0])
        refuses(client, 0, 4096, memory=client.socket.fileno())
        refuses(client, 0, 4096, memory=os.open("/dev/zero", os.O_RDWR))
        refuses(client, 0, 4096, memory=os.open("/proc/self/status", os.O_RDONLY), prot=1)
        readonly = os.open(f"/proc/self/fd/{memory.fd}", os.O_RDONLY)
        refuses(client, 0, 4096, memory=readonly)
        client.dma_map(0, 4096, readonly, prot=1)
        client.dma_map(0x10000, 0x10000, memory)
        for address, size in ((0x10000, 4096), (0xf000, 0x2000), (0x1f000, 0x2000), (0, 1 << 20), (0x11000, 4096)):
            refuses(client, address, size, memory)
        client.dma_map(0xffffffffffff0000, 0x10000, memory)  # the last bytes there are


def test_unmap(sim):
    with Client(sim.path) as client:
        memory = Memory(1 << 20)
        client.dma_map(0x10000, 0x10000, memory)
        client.dma_map(0x30000, 0x10000, memory)
        for address, size in ((0x10000, 0), (0x10000, 4096), (0x11000, 0xf000), (0x18000, 1 << 20),
                              (0xfffffffffffff000, 0x2000)):
            with pytest.raises(Refused):
                client.dma_unmap(address, size)
        client.dma_unmap(0x100000, 1 << 40)                  # nothing there is no error
        client.dma_unmap(0, 1 << 47)                         # all that lies inside
        client.dma_map(0x10000, 0x10000, memory)
        with pytest.raises(Refused):
            client.dma_unmap(0, 0x100000, flags=1)           # no dirty pages are kept
        client.dma_unmap(0, 0, flags=2)                      # VFIO_DMA_UNMAP_FLAG_ALL
        client.dma_map(0x10000, 0x10000, memory)


def test_the_most_maps_there_can_be(sim):
    with Client(sim.path) as client:
        memory = Memory(1 << 20)
        order = list(range(65535))
        random.Random(1).shuffle(order)
        for at in range(0, len(order), 256):
            some = order[at:at + 256]
            for n in some:
                client.send(DMA_MAP, struct.pack("<IIQQQ", 32, 3, n % 256 * 4096, n * 8192, 4096),
                            [memory.fd] if n % 64 == 0 else [])
            for _ in some:
                assert client.receive()[2] & ERROR == 0
        refuses(client, 65535 * 8192, 4096, memory)
        client.dma_unmap(8192 * 100, 4096)
        client.dma_map(65535 * 8192, 4096, memory)
    works(sim)


# --- wild rings ---

def test_wild_rings(sim):
    """Anything may stand in descriptors and ring registers."""
    chance = random.Random(82599)
    for _ in range(40):
        with Card(sim.path) as card:
            card.memory[0:1 << 20] = chance.randbytes(1 << 20)
            for at in range(0, 1 << 16, 16):                 # many point into the memory
                card.memory[at:at + 8] = struct.pack("<Q", IOVA + chance.randrange(1 << 22))
            for base in (0x1000, 0x6000):
                card.set(base, (IOVA + chance.choice((0, 0x1000, 0x3ff000, 0x400000))) & 0xffffffff)
                card.set(base + 4, chance.choice((0, 0, 0, 0xffffffff)))
                card.set(base + 8, chance.choice((0, 128, 4096, 65536, 0xfff80)))
                card.set(base + 0x10, chance.choice((0, 1, 100, 0xffff)))
                card.set(base + 0x28, ENABLE | chance.randrange(1 << 23))
                card.set(base + 0x18, chance.choice((0, 7, 255, 4000, 0xffff)))
            card.set(x540.SRRCTL, chance.randrange(1 << 32))
            card.set(x540.HLREG0, chance.randrange(1 << 32))
            card.set(x540.MAXFRS, chance.randrange(1 << 32))
            card.set(x540.RXPBSIZE0, chance.randrange(1 << 32))
            card.set(0x900, 0x80808080)
            card.set(x540.FCTRL, 0x702)
            card.set(x540.RXCTRL, 1)
            card.set(x540.DMATXCTL, 1)
            card.set(x540.TDT, chance.choice((0, 7, 255, 4000)))
            assert card.reg(x540.RXCTRL) == 1
    works(sim)


def test_every_register_with_every_pattern(sim):
    """No write to any address does harm. (The neighbour on the cable sees the link go, no more.)"""
    with Card(sim.path) as card:
        for value in (0xffffffff, 0, 0x5a5a5a5a):
            for offset in range(0, 0x40000, 4):
                card.set(offset, value)
            card.reg(0)
        for offset in range(0, 0x40000, 64):
            card.client.region_read(0, offset, 8)
        for offset in range(4096):
            card.client.set_config(offset, 1, 0xff)
    works(sim)


def test_killed_in_the_middle(sim):
    for n in range(20):
        card = Card(sim.path)
        card.rx()
        card.tx(entries=64)
        for _ in range(40):
            card.queue_frame(bytes(100))
        card.kick()
        card.client.socket.close()
        card.memory.map.close()
    works(sim)


def test_a_client_is_not_heard_twice(sim):
    """After it has left, nothing of its memory is reached any more: the ring stops."""
    card = Card(sim.path)
    card.rx()
    card.client.close()
    with Card(sim.path) as other:
        assert other.reg(x540.RXCTRL) == 0 and other.reg(x540.RXDCTL) & ENABLE == 0
        assert other.client.config(4, 2) == 6
    assert card.rx_descriptor(0)[1] == 0
