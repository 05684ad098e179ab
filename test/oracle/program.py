# SPDX-License-Identifier: BSD-3-Clause
"""Random programs for two cards with nearly the same descriptors: how to set one up, then steps.

A program is plain data (lists, dictionaries, numbers, strings), so that it can be printed and played again:

    set up     rings and buffers, filters, hash, interrupts: abstract, for a back end of cards.py
    steps      ["receive", [frame ...]]          frames that come on the wire
               ["provide", queue, n]             up to n used receive descriptors go back to the card
               ["send", {queue: [descriptor ...]}]  ["context", three words] or ["data", bytes, command, status];
                                                 all queues at once
               ["filter", {...}]                 other filters from now on
               ["mask", vectors] ["unmask", vectors] ["cause", vectors] ["wait", vectors]: masked, then not
               ["table", [queue ...]]            where hashes lead from now on
               ["count"]                         reads the counters

Everything in it is legal for both cards by their datasheets. What is legal but cannot be compared is left out
here, each with its reason beside it.
"""
import random

import frames
from frames import SCTP, TCP, UDP

VECTORS = 10            # QEMU's 82576 has so many
BROADCAST = b"\xff" * 6
EOP, IFCS, RS, DEXT, VLE, TSE = (1 << n for n in (24, 25, 27, 29, 30, 31))
CONTEXT, DATA = 2 << 20 | DEXT, 3 << 20 | DEXT
IXSM, TXSM = 0x100, 0x200
FIELDS = ("tcp4", "ip4", "tcp6", "ip6", "udp4", "udp6")


def group_bit(address, offset):
    """Which bit of the multicast table an address has."""
    return (address[5] << 8 | address[4]) >> (4, 3, 2, 0)[offset] & 0xfff


class Maker:
    def __init__(self, seed):
        self.draw = random.Random(seed)
        self.seed = seed
        draw = self.draw
        self.own = [b"\x02" + draw.randbytes(5) for _ in range(3)]
        self.foreign = [b"\x02" + draw.randbytes(5) for _ in range(2)]
        self.groups = [b"\x01\x00\x5e" + draw.randbytes(3) for _ in range(4)]
        self.tags = [draw.getrandbits(16) for _ in range(3)]
        self.jumbo = draw.random() < 0.3
        # What finds no descriptor waits, or is dropped with DROP_EN (82599 datasheet 7.1.9; SRRCTL on both). QEMU's
        # card knows no difference between queues: it drops while any has room. So either there is one queue and
        # what comes waits, or all drop, and the last queue, to which nothing comes, always has room.
        self.waits = draw.random() < 0.3
        self.setup = self._setup()
        self.room = 200 << 10                   # for what waits, in the smallest packet buffer
        self.contexts = {n: [None, None] for n in range(len(self.setup["tx"]))}

    # --- set-up ---

    def _setup(self):
        draw = self.draw
        hashed = not self.waits and draw.random() < 0.6
        queues = draw.choice([2, 3, 4, 8, 15]) if hashed else 1
        senders = draw.choice([1, 1, 2, 4, 16])
        kib = 16 if self.waits and self.jumbo else 2 if self.waits else draw.choice([1, 2, 2, 3, 4])
        throttled = draw.random() < 0.2
        vectors = [draw.choice([*range(VECTORS), None]) for _ in range(queues + 1 + senders)]
        return {
            "seed": self.seed,
            "rx": [{"size": 8 * draw.randint(1, 4), "vector": vectors[n]} for n in range(queues)] +
                  ([] if self.waits else [{"size": 8, "vector": vectors[queues]}]),
            "tx": [{"size": 8 * draw.randint(3, 8), "vector": vectors[queues + 1 + n],
                    "report_head": draw.random() < 0.25} for n in range(senders)],
            "kib": kib, "align": draw.choice([2, 64, 2048]), "waits": self.waits,
            "hash": self._hash(queues) if hashed else None,
            # With a hash the descriptor has no room for anything else there (82599 datasheet 8.2.3.7.2).
            "hash_shown": hashed or draw.random() < 0.5,
            "strip_tag": draw.random() < 0.5, "strip_crc": draw.random() < 0.6,
            "longest": draw.choice([4000, 9014, 9728]) if self.jumbo else 1518,
            "filter": self._filter(),
            # EtherTypes that are named in descriptors: [number of the filter, type].
            "types": [[n, draw.choice(frames.TYPES)] for n in range(8) if draw.random() < 0.1],
            # Intervals of at most a millisecond; 0: none.
            "throttle": [draw.choice([0, 511, draw.randint(1, 511)]) if throttled else 0 for _ in range(VECTORS)],
            "auto_clear": draw.getrandbits(VECTORS) | draw.getrandbits(VECTORS),
            "unmasked": draw.getrandbits(VECTORS),
        }

    def _hash(self, queues):
        draw = self.draw
        fields = [name for name in FIELDS if draw.random() < 0.6]
        return {"key": draw.randbytes(40).hex(), "fields": fields, "queues": queues, "table": self._table(queues)}

    def _table(self, queues):
        return [self.draw.randrange(queues) for _ in range(128)]

    def _filter(self):
        draw = self.draw
        offset = draw.randrange(4)
        bits = {group_bit(group, offset) for group in self.groups if draw.random() < 0.5}
        # The table is for groups (82599 datasheet 7.1.1.1; MTA on both); QEMU's looks up every address in it.
        bits -= {group_bit(address, offset) for address in [*self.own, *self.foreign, BROADCAST]}
        everyone = draw.random() < 0.2
        return {
            "own": [address.hex() for address in [*self.own, self.groups[0]] if draw.random() < 0.7],
            "groups": sorted(bits), "offset": offset, "every": draw.random() < 0.2,
            "every_group": everyone,
            # MPE passes broadcast, too (82599 datasheet 7.1.1.1): QEMU knows BAM alone.
            "broadcast": everyone or draw.random() < 0.7,
            "tags": [tag & 0xfff for tag in self.tags if draw.random() < 0.6] if draw.random() < 0.4 else None,
        }

    # --- frames that come ---

    def _room(self, size, tagged):
        """Whether a frame ends where QEMU's card reports the bytes of its CRC: not where the CRC lies in two
        buffers or in one of its own (no fault of the descriptors; QEMU's CRC is not there at all)."""
        if self.setup["strip_crc"]:
            return True
        room = self.setup["kib"] << 10
        return all(0 < stored % room <= room - 4 for stored in ({size, size - 4} if tagged else {size}))

    def _size(self, tagged):
        """Mostly short, sometimes about the longest."""
        draw, longest = self.draw, self.setup["longest"]
        pick = draw.random()
        if pick < 0.6:
            return draw.randint(14, 300)
        if pick < 0.9 or (self.jumbo and tagged):
            # What a tag adds to the longest differs with jumbo frames: MAXFRS is without it (82599 datasheet
            # 8.2.3.22.13), RLPML with it (82576).
            return draw.randint(14, longest - 50)
        return longest - 4 + draw.choice([0, 0, -1, 1, 2, 4, 5, 100]) + (4 if tagged else 0)

    def frame(self):
        draw = self.draw
        to = draw.choice([*self.own, *self.own, *self.foreign, *self.groups, BROADCAST])
        source = b"\x02" + draw.randbytes(5)
        tag = draw.choice(self.tags) if draw.random() < 0.3 else None
        while True:
            frame = frames.build(draw, to, source, self._size(tag is not None), tag=tag, extended=draw.random() < 0.2,
                                 fragment=draw.random() < 0.1)
            data = frame.data
            if frame.protocol == UDP and draw.random() < 0.2:
                data = frames.put(data, frame.sum_at, bytes(2))     # none
            elif draw.random() < 0.1:
                data = frames.without_sum(frame).data
            if self._room(max(60, len(data)), tag is not None):
                break
        at = draw.randrange(len(data))
        if draw.random() < 0.2 and self._may_spoil(data, at):
            data = frames.put(data, at, bytes([data[at] ^ 1 << draw.randrange(8)]))
        return data

    @staticmethod
    def _may_spoil(data, at):
        """Only the sums, addresses, ports and the payload: not what makes it another kind of frame."""
        what = frames.parse(data)
        if not what.version:
            return False
        l4 = what.mac + what.ip
        if what.version == 4 and what.mac + 10 <= at < what.mac + 20:
            return True
        if what.version == 6 and what.mac + 8 <= at < what.mac + 40:
            return True
        return bool(what.l4) and (l4 <= at < l4 + 4 or at >= l4 + what.l4)

    # --- frames that go ---

    def _context(self, queue, words):
        """The descriptors that bring a context about, and its index."""
        slots = self.contexts[queue]
        if words in slots and self.draw.random() < 0.7:
            return [], slots.index(words)
        index = self.draw.randrange(2)
        slots[index] = words
        first, command, last = words
        report = RS if self.draw.random() < 0.1 else 0
        return [["context", first, command | report, last | index << 4]], index

    def _cut(self, data, most):
        """A frame in pieces, at most so many."""
        draw = self.draw
        count = draw.choice([1, 1, 1, 1, 2, 2, 3, 4, most])
        cuts = sorted(draw.randrange(1, len(data)) for _ in range(count - 1))
        pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)])]
        return [piece for piece in pieces if piece]

    def packet(self, queue):
        """The descriptors of one packet."""
        draw = self.draw
        tag = draw.getrandbits(16) if draw.random() < 0.15 else None
        insert = draw.getrandbits(16) if draw.random() < 0.3 else None
        to = draw.choice([*self.foreign, *self.groups, BROADCAST])
        source = draw.choice(self.own)
        offload = draw.choice(["none", "sums", "sums", "segments"])
        if offload == "segments":
            # Of UDP each segment has its own header (82599 datasheet 7.2.4.5): QEMU makes IP fragments.
            frame = frames.build(draw, to, source, draw.choice([150, 300, 2000, draw.randint(150, 9000)]),
                                 kinds=("ip4", "ip6"), protocols=(TCP,), tag=tag, extended=draw.random() < 0.1)
        else:
            kinds = ("ip4", "ip6") if offload == "sums" else ("plain", "ip4", "ip6")
            protocols = (TCP, UDP, SCTP) if offload == "sums" else (TCP, UDP, SCTP, 1)
            longest = 9000 if self.jumbo else 1400
            size = draw.choice([20, draw.randint(20, 200), draw.randint(20, longest)])
            frame = frames.build(draw, to, source, size, kinds=kinds, protocols=protocols, tag=tag,
                                 extended=draw.random() < 0.1)
            if draw.random() < 0.1:
                frame = frames.without_sum(frame)
        data, command, status, words = frame.data, DATA | IFCS, 0, None
        if offload != "none" or insert is not None:
            l4t = {UDP: 0, TCP: 1, SCTP: 2}.get(frame.protocol, 0)
            mss = draw.randint(100, 1400) if offload == "segments" else 0
            words = [frame.ip | frame.mac << 9 | (insert or 0) << 16,
                     CONTEXT | (0x400 if frame.version == 4 else 0) | l4t << 11,
                     (frame.l4 << 8 | mss << 16) if offload == "segments" else 0]
        if offload == "segments":
            data = self._for_segments(frame)
            command |= TSE
            status |= TXSM | (IXSM if frame.version == 4 else 0)
        elif offload == "sums":
            data, options = self._for_sums(frame)
            status |= options
        if insert is not None:
            command |= VLE
        descriptors, index = self._context(queue, words) if words else ([], draw.randrange(2))
        length = len(data) - frame.mac - frame.ip - frame.l4 if offload == "segments" else len(data)
        pieces = self._cut(data, 20)
        for n, piece in enumerate(pieces):
            last = n == len(pieces) - 1
            # RS belongs to the last of a packet (82599 datasheet 7.2.3.2.4).
            end = EOP | (RS if draw.random() < 0.7 else 0) if last else 0
            descriptors.append(["data", piece.hex(), command | end, status | index << 4 | length << 14])
        return descriptors

    def packets(self, queue):
        """As many as fit into its ring, or fewer."""
        found = []
        for _ in range(self.draw.randint(1, 8)):
            before = list(self.contexts[queue])
            packet = self.packet(queue)
            if len(found) + len(packet) >= self.setup["tx"][queue]["size"]:
                self.contexts[queue] = before
                break
            found += packet
        return found

    @staticmethod
    def _for_segments(frame):
        """As a driver hands it over: no IP length and sum, the pseudo header's sum without the length."""
        data, ip = frame.data, frame.mac
        if frame.version == 4:
            data = frames.put(frames.put(data, ip + 2, bytes(2)), ip + 10, bytes(2))
        else:
            data = frames.put(data, ip + 4, bytes(2))
        return frames.put(data, frame.sum_at, frame.pseudo(length=False).to_bytes(2, "big"))

    def _for_sums(self, frame):
        data, options = frame.data, 0
        if frame.version == 4 and self.draw.random() < 0.8:
            data, options = frames.put(data, frame.mac + 10, bytes(2)), IXSM
        if frame.protocol and (not options or self.draw.random() < 0.8):
            options |= TXSM
            field = bytes(4) if frame.protocol == SCTP else frame.pseudo().to_bytes(2, "big")
            data = frames.put(data, frame.sum_at, field)
        return data, options

    # --- steps ---

    def step(self):
        draw, setup = self.draw, self.setup
        pick = draw.random()
        if pick < 0.40 and (not self.waits or self.room > 0):
            data = [self.frame() for _ in range(draw.randint(1, 8))]
            self.room -= sum(map(len, data))
            return ["receive", [it.hex() for it in data]]
        if pick < 0.70:
            queues = draw.sample(range(len(setup["tx"])), min(len(setup["tx"]), draw.choice([1, 1, 2, 4])))
            return ["send", {str(queue): self.packets(queue) for queue in queues}]
        if pick < 0.88:
            return ["provide", draw.randrange(len(setup["rx"])), draw.randint(1, 40)]
        if pick < 0.92 and not self.waits:
            # What waits has passed the filters: it waits in the packet buffer (82599 datasheet 7.1.9),
            # the 82576's in front of the card.
            return ["filter", self._filter()]
        if pick < 0.93 and setup["hash"]:
            return ["table", self._table(setup["hash"]["queues"])]
        if pick < 0.98:
            return [draw.choice(["mask", "unmask", "cause", "wait"]), draw.getrandbits(VECTORS)]
        return ["count"]


def make(seed):
    """The program of a seed: {"setup": ..., "steps": [...]}."""
    maker = Maker(seed)
    steps = [maker.step() for _ in range(maker.draw.randint(10, 30))]
    return {"setup": maker.setup, "steps": [*steps, ["count"]]}


def describe(program):
    """A program in a few lines for people; the bytes are in the program itself."""
    lines = [f"setup {program['setup']}"]
    for number, step in enumerate(program["steps"]):
        what = step
        if step[0] == "receive":
            what = ["receive", [f"{len(it) // 2} bytes: {it[:160]}" for it in step[1]]]
        elif step[0] == "send":
            what = ["send", {queue: [
                f"context {d[1]:08x} {d[2]:08x} {d[3]:08x}" if d[0] == "context" else
                f"data {len(d[1]) // 2} bytes, {d[2]:08x} {d[3]:08x}" for d in sent]
                for queue, sent in step[1].items()}]
        lines.append(f"  {number}: {what}")
    return "\n".join(lines)
