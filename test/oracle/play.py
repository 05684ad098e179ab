# SPDX-License-Identifier: BSD-3-Clause
"""Plays a program on both cards, step by step, and compares after each: the whole memory (descriptors, buffers,
heads that were written back), what went out on the wire, heads, causes, messages, counters. What QEMU's 82576 did
is first written as an 82599 would have done it, by DIFFERENCES and nothing else."""
import collections
import dataclasses
import struct
import zlib

import cards
import frames
import program

# Where the two are not alike, and what says so: sections of the 82599's datasheet, what else is the 82576's or
# QEMU's. Each is applied where it belongs and nowhere else, and counted.
DIFFERENCES = {
    # received
    "errors": "TCPE and IPE are bits 30 and 31 (7.1.6.2); the 82576 has them at 29 and 30",
    "not the last": "of a packet's descriptors but the last, length and DD alone are valid (7.1.6.2)",
    "crc": "without stripping (HLREG0.RXCRCSTRP, 8.2.3.22.8; 82576 RCTL.SECRC) the CRC lies behind the frame: QEMU "
           "puts zeroes there",
    "status of others": "status bits 9 and 15 are VEXT and SECP (7.1.6.2): QEMU sets the 82574's IPIDV and ACK, "
                        "which the 82576 has not",
    "inexact": "PIF says that a frame is to a group or to all (7.1.6.2): QEMU never sets it",
    "behind a tag": "ETQF compares the EtherType behind a tag (7.1.2.3): QEMU the tag's",
    "extended": "IPV4E and IPV6E stand beside IPV4 and IPV6 (7.1.6.2): QEMU has IPV6E alone, and no IPV4E",
    "identification": "in the hash's place are an IP identification and a sum of UDP fragments, if that is asked for "
                      "(RXCSUM.IPPCSE, 7.1.13): QEMU has the one unasked and of all IPv4, the other never",
    "no sum over IPv6": "a UDP checksum of 0 means none over IPv4 alone (7.1.11): QEMU takes it so over IPv6, too",
    "padding summed": "checksums end where the IP packet ends (7.1.11): QEMU's of SCTP at the end of the frame",
    # sent
    "in place": "the card reads what it sends (7.2.1): QEMU writes checksums into the sender's memory",
    "zero": "a sum of 0 is sent as 0xffff by UDP alone (RFC 768): QEMU does so with TCP, too",
    "padding": "short frames are padded (HLREG0.TXPADEN, 8.2.3.22.8; 82576 TCTL.PSP): QEMU leaves that to the wire",
    "last segment": "FIN and PSH stay on the last segment (7.2.4; DTXTCPFLGH on both): QEMU takes them from all",
    # counted
    "segments counted": "transmit counters are of frames (8.2.3.23): QEMU counts a request, its headers once",
    "not stored, but counted": "a frame counts as received when it has passed the filters, though it finds no "
                               "descriptor or waits for one (8.2.3.23): QEMU counts what it stores, RQDPC nothing",
    "sizes counted": "sizes are counted as on the wire, with CRC and tag (8.2.3.23): QEMU as in memory",
}

PATTERN = b"\xa5"
EOP, VP = 2, 8          # of a received descriptor's status


class Layout:
    """Where a program's rings and buffers are; the same for both cards."""

    def __init__(self, setup):
        self._next = cards.BASE
        room = setup["kib"] << 10
        self.heads = self.take(64 * len(setup["tx"]), 64)
        self.tx_rings = [self.take(16 * queue["size"], 128) for queue in setup["tx"]]
        self.rx_rings = [self.take(16 * queue["size"], 128) for queue in setup["rx"]]
        self.buffers = []
        for queue in setup["rx"]:
            self.buffers.append([self.take(room + 2, setup["align"]) for _ in range(queue["size"])])
        self.sending = self._next

    def take(self, size, align):
        at = -(-self._next // align) * align
        self._next = at + size
        assert self._next <= cards.BASE + cards.SIZE, "a program needs more memory"
        return at

    def again(self):
        """What was sent is sent: its memory is free."""
        self._next = self.sending


class Difference(AssertionError):
    pass


class Run:
    """One program on both cards."""

    def __init__(self, igb, ixgbe, plan, used):
        self.igb, self.ixgbe, self.used = igb, ixgbe, used
        self.both = (igb, ixgbe)
        self.setup, self.steps = plan["setup"], plan["steps"]
        self.layout = Layout(self.setup)
        self.seen = [0] * len(self.setup["rx"])       # the head when it was looked at last
        self.given = [0] * len(self.setup["rx"])      # the first descriptor that is used and not provided again
        self.tails = [0] * len(self.setup["tx"])
        self.top = self.layout.sending                # of what is compared
        self.throttled = {n for n, interval in enumerate(plan["setup"]["throttle"]) if interval}
        self.sent = []                                # since the counters were read last, as all of these:
        self.stored, self.tags, self.plain = 0, 0, True
        self.waiting = 0                              # frames that are counted by nicsim alone
        self.contexts = [[None, None] for _ in self.setup["tx"]]

    # --- memory ---

    def put(self, address, data):
        for card in self.both:
            card.memory[address - cards.BASE:address - cards.BASE + len(data)] = data
        self.top = max(self.top, address + len(data))

    def at(self, card, address, size):
        return bytes(card.memory[address - cards.BASE:address - cards.BASE + size])

    def arm(self, queue, n):
        self.put(self.layout.rx_rings[queue] + 16 * n, struct.pack("<QQ", self.layout.buffers[queue][n], 0))

    # --- running ---

    def play(self):
        for card in self.both:
            card.reset()
        for card in self.both:
            card.memory[:] = PATTERN * cards.SIZE
        for queue, ring in enumerate(self.setup["rx"]):
            for n in range(ring["size"]):
                self.arm(queue, n)
        for ring, address in zip(self.setup["tx"], self.layout.tx_rings):
            self.put(address, bytes(16 * ring["size"]))
        for card in self.both:
            card.start(self.setup, self.layout)
            card.announced()
        for number, step in enumerate(self.steps):
            try:
                getattr(self, "do_" + step[0])(*step[1:])
                self.compare()
            except Difference as found:
                raise Difference(f"step {number}, {step[0]}: {found}") from None

    def do_receive(self, given):
        data = [bytes.fromhex(it) for it in given]
        for card in self.both:
            card.receive(data, self.setup)
        self.settle()

    def do_provide(self, queue, n):
        size = self.setup["rx"][queue]["size"]
        n = min(n, (self.seen[queue] - self.given[queue]) % size)
        if n == 0:
            return
        for i in range(n):
            self.arm(queue, (self.given[queue] + i) % size)
        self.given[queue] = (self.given[queue] + n) % size
        for card in self.both:
            card.set(card.rx(queue) + 0x18, (self.given[queue] - 1) % size)
        self.settle()

    def do_send(self, given):
        given = {int(queue): descriptors for queue, descriptors in given.items()}
        self.layout.again()
        pieces = []
        for queue, descriptors in given.items():
            size, ring = self.setup["tx"][queue]["size"], self.layout.tx_rings[queue]
            for descriptor in descriptors:
                if descriptor[0] == "context":
                    words = struct.pack("<IIII", descriptor[1], 0, *descriptor[2:])
                else:
                    data = bytes.fromhex(descriptor[1])
                    address = self.layout.take(len(data), 1)
                    self.put(address, data)
                    pieces.append((address, data))
                    words = struct.pack("<QII", address, descriptor[2] | len(data), descriptor[3])
                self.put(ring + 16 * self.tails[queue], words)
                self.tails[queue] = (self.tails[queue] + 1) % size
        for card in self.both:
            for queue in given:
                card.set(card.tx(queue) + 0x18, self.tails[queue])
        self.settle(given)
        self.restore(pieces)
        self.compare_wire(given)

    def restore(self, pieces):
        """What was sent is again in QEMU's memory as it was."""
        for address, data in pieces:
            if self.at(self.igb, address, len(data)) != data:
                self.differ("in place")
                self.patch(self.igb, address, data)

    def do_filter(self, wanted):
        for card in self.both:
            card.set_filter(wanted)

    def do_table(self, table):
        for card in self.both:
            card.set_table(table)

    def do_mask(self, vectors):
        for card in self.both:
            card.set(card.EIMC, vectors)
        self.settle()

    def do_unmask(self, vectors):
        for card in self.both:
            card.set(card.EIMS, vectors)
        self.settle()

    def do_cause(self, vectors):
        """Twice, the second time at once: where messages are throttled it has to wait. A cause that still stands is no
        new one for QEMU's card, and an event for nicsim's: those that clear themselves alone come twice."""
        for order, which in ((self.both, vectors), (self.both[::-1], vectors & self.setup["auto_clear"])):
            for card in order:
                card.set(card.EICS, which)
            self.settle()
            self.compare_messages()

    def do_wait(self, vectors):
        """Causes that come while they are masked."""
        self.do_mask(vectors)
        for card in self.both:
            card.set(card.EICS, vectors)
        self.settle()
        self.compare_messages()
        self.do_unmask(vectors)

    def settle(self, senders=()):
        for card in self.both:
            card.settle(self.setup, senders)

    def differ(self, name):
        assert name in DIFFERENCES
        self.used[name] += 1

    # --- comparing ---

    @staticmethod
    def same(what, igb, ixgbe):
        if igb != ixgbe:
            raise Difference(f"{what}: the 82576 {igb}, nicsim {ixgbe}")

    def compare(self):
        heads = [card.heads(self.setup) for card in self.both]
        self.same("receive heads", *heads)
        for queue, head in enumerate(heads[0]):
            self.translate(queue, head)
        self.compare_memory()
        self.compare_messages()
        self.same("causes", *(f"{card.causes():x}" for card in self.both))

    def compare_messages(self):
        if self.throttled:
            self.igb.later()
        want, got = self.igb.announced(), self.ixgbe.announced()
        late = (want - got) & self.throttled
        try:
            cards.until(lambda: got.update(self.ixgbe.announced()) or late <= got, f"messages of vectors {late}")
        except AssertionError as error:
            raise Difference(error) from None
        self.same("vectors announced", want, got)

    def compare_memory(self):
        size = self.top - cards.BASE
        igb, ixgbe = (bytes(card.memory[:size]) for card in self.both)
        if igb == ixgbe:
            return
        at = next(n for n in range(size) if igb[n] != ixgbe[n])
        line = slice(at & ~15, (at & ~15) + 16)
        self.same(f"memory, {self.whose(cards.BASE + at)}", *(it[line].hex(" ", 4) for it in (igb, ixgbe)))

    def whose(self, address):
        """What lies at an address, for people."""
        for kind, rings, queues in (("transmit", self.layout.tx_rings, self.setup["tx"]),
                                    ("receive", self.layout.rx_rings, self.setup["rx"])):
            for n, ring in enumerate(rings):
                if ring <= address < ring + 16 * queues[n]["size"]:
                    return f"{kind} queue {n}, descriptor {(address - ring) // 16}"
        for queue, buffers in enumerate(self.layout.buffers):
            for n, buffer in enumerate(buffers):
                if buffer <= address < buffer + (self.setup["kib"] << 10):
                    return f"receive queue {queue}, buffer {n}, byte {address - buffer}"
        if self.layout.heads <= address < self.layout.heads + 64 * len(self.setup["tx"]):
            return f"the head of transmit queue {(address - self.layout.heads) // 64}"
        return f"{address:#x}, which is nobody's"

    # --- what was received ---

    def translate(self, queue, head):
        """What the 82576 wrote back into descriptors up to `head`, as an 82599 does."""
        size, ring = self.setup["rx"][queue]["size"], self.layout.rx_rings[queue]
        parts = []
        while self.seen[queue] != head:
            n = self.seen[queue]
            self.seen[queue] = (n + 1) % size
            at = ring + 16 * n
            first, second = struct.unpack("<QQ", self.at(self.igb, at, 16))
            parts.append((self.layout.buffers[queue][n], second >> 32 & 0xffff))
            if not second & EOP:
                self.differ("not the last")
                for card in self.both:      # either may hold anything there
                    self.mask(card, at)
                continue
            data = b"".join(self.at(self.igb, *part) for part in parts)
            if not self.setup["strip_crc"]:
                data = self.add_crc(data, parts[-1], second)
            self.patch(self.igb, at, struct.pack("<QQ", *self.write_back(first, second, data)))
            self.stored += 1
            self.tags += bool(second & VP)
            parts = []
        if parts:
            raise Difference(f"receive queue {queue}: a packet without an end")

    @staticmethod
    def patch(card, address, data):
        card.memory[address - cards.BASE:address - cards.BASE + len(data)] = data

    def mask(self, card, address):
        second = struct.unpack("<Q", self.at(card, address + 8, 8))[0]
        self.patch(card, address, struct.pack("<QQ", 0, second & 0xffff00000001))

    def write_back(self, first, second, data):
        """Of a packet's last descriptor."""
        what = frames.parse(data)
        if second & 0x8200:
            self.differ("status of others")
            second &= ~0x8200
        if second & 0x60000000:
            self.differ("errors")
            second = second & ~0xe0000000 | (second & 0x60000000) << 1
        if data[0] & 1:
            self.differ("inexact")
            second |= 0x80
        named = {ethertype: n for n, ethertype in reversed(self.setup["types"])}
        tagged = second & VP or what.mac > 14
        number = named.get(int.from_bytes(data[what.mac - 2:what.mac], "big"))
        if number is not None and tagged:
            self.differ("behind a tag")
            first |= 0x8000 | number << 4
        extended = {4: 0x30 if what.ip > 20 else 0, 6: 0xc0 if what.ip > 40 else 0, 0: 0}[what.version]
        if extended & ~first:
            self.differ("extended")
            first |= extended
        if what.protocol == frames.UDP and what.version == 6 and not any(data[what.sum_at:what.sum_at + 2]):
            self.differ("no sum over IPv6")
            second |= 0x40000030
        if what.protocol == frames.SCTP and len(data) > what.end:
            self.differ("padding summed")
            wrong = frames.with_sum(dataclasses.replace(what, data=data[:what.end])).data != data[:what.end]
            second = second & ~0x40000000 | wrong << 30
        if not self.setup["hash_shown"] and first >> 32:
            self.differ("identification")
            first &= 0xffffffff
        return first, second

    def add_crc(self, data, last, second):
        """The frame's CRC behind it, in QEMU's memory. Returns the frame."""
        self.differ("crc")
        if data[-4:] != bytes(4):
            raise Difference("the 82576's CRC is not zeroes")
        whole = data = data[:-4]
        if second & VP:
            whole = data[:12] + b"\x81\x00" + (second >> 48).to_bytes(2, "big") + data[12:]
        address, length = last
        self.patch(self.igb, address + length - 4, struct.pack("<I", zlib.crc32(whole)))
        return data

    # --- what was sent ---

    def compare_wire(self, given):
        """What went out: of each queue in order. How queues take turns is a card's own affair."""
        ends = [(queue, flags) for queue, descriptors in given.items()
                for flags in self.segment_ends(queue, descriptors)]
        igb, ixgbe = (card.sent(len(ends)) for card in self.both)
        self.same("frames on the wire", len(igb), len(ixgbe))
        self.same("frames on the wire, by what was sent", len(igb), len(ends))
        igb = self.as_on_the_wire(igb, [flags for _, flags in ends])
        of = {}
        for data, (queue, _) in zip(igb, ends):
            of.setdefault(data, queue)
        # One that QEMU did not send is of no queue, and stands where it is: with the first.
        ordered = sorted(ixgbe, key=lambda data: [*given].index(of.get(data, [*given][0])))
        for n, (one, other) in enumerate(zip(igb, ordered)):
            if one != other:
                shorter = min(len(one), len(other))
                at = next((i for i in range(shorter) if one[i] != other[i]), shorter)
                self.same(f"frame {n} on the wire, byte {at}", *(
                    f"{len(it)} bytes, ...{it[at:at + 16].hex()}" for it in (one, other)))
        self.sent += ixgbe

    def as_on_the_wire(self, given, ends):
        found = []
        for data, flags in zip(given, ends):
            if flags:
                data = self.end_segment(data, flags)
            data = self.with_zero(data)
            if len(data) < 60:
                self.differ("padding")
                self.plain = False
                data += bytes(60 - len(data))
            found.append(data)
        return found + given[len(found):]

    def with_zero(self, data):
        what = frames.parse(data)
        if what.protocol != frames.TCP or data[what.sum_at:what.sum_at + 2] != b"\xff\xff":
            return data
        right = frames.with_sum(what).data
        if right != data:
            self.differ("zero")
        return right

    def segment_ends(self, queue, descriptors):
        """For each frame that these descriptors become: the TCP flags that QEMU took away, or 0."""
        contexts, frame, first = self.contexts[queue], b"", None
        for descriptor in descriptors:
            if descriptor[0] == "context":
                contexts[descriptor[3] >> 4 & 1] = descriptor
                continue
            first = first or descriptor
            frame += bytes.fromhex(descriptor[1])
            if not descriptor[2] & program.EOP:
                continue
            if first[2] & program.TSE:
                context = contexts[first[3] >> 4 & 1]
                mss, head = context[3] >> 16, frames.parse(frame)
                head = head.mac + head.ip + head.l4
                flags = frame[head - frames.parse(frame).l4 + 13] & (frames.FIN | frames.PSH)
                count = -(-(len(frame) - head) // mss)
                self.differ("segments counted")
                self.plain = False
                yield from [0] * (count - 1)
                yield flags
            else:
                yield 0
            frame, first = b"", None

    def end_segment(self, data, flags):
        self.differ("last segment")
        what = frames.parse(data)
        at = what.mac + what.ip + 13
        return frames.with_sum(frames.parse(frames.put(data, at, bytes([data[at] | flags])))).data

    # --- counters ---

    def do_count(self):
        igb, ixgbe = (card.counters() for card in self.both)
        drops = self.ixgbe.dropped()
        self.compare_received(igb, ixgbe, drops)
        self.compare_sent(igb, ixgbe)
        self.sent, self.plain, self.stored, self.tags = [], True, 0, 0

    def compare_received(self, igb, ixgbe, drops):
        sizes = [name for name in cards.COUNTERS if name.startswith("PRC")]
        self.same("frames stored", self.stored, igb["GPRC"])
        self.same("frames of each size", ixgbe["GPRC"], sum(ixgbe[name] for name in sizes))
        waited, self.waiting = self.waiting, self.waiting + ixgbe["GPRC"] - igb["GPRC"] - drops
        if self.waiting < 0 or (self.waiting and not (self.setup["waits"] and self.is_full(0))):
            raise Difference(f"GPRC: the 82576 {igb['GPRC']}, nicsim {ixgbe['GPRC']}, {drops} dropped, "
                             f"{waited} waited")
        if drops or self.waiting or waited:
            self.differ("not stored, but counted")
            return
        for name in ("BPRC", "MPRC"):
            self.same(name, igb[name], ixgbe[name])
        self.same("GORC", igb["GORC"] + 4 * self.tags, ixgbe["GORC"])
        if self.setup["strip_crc"] or self.tags:
            self.differ("sizes counted")
        else:
            self.same("sizes", *([it[name] for name in sizes] for it in (igb, ixgbe)))

    def is_full(self, queue):
        size = self.setup["rx"][queue]["size"]
        return (self.given[queue] - 1) % size == self.seen[queue]

    def compare_sent(self, igb, ixgbe):
        """nicsim's against what was on the wire, QEMU's where it counts so."""
        names = ["GPTC", "TPT", "GOTC", "MPTC", "BPTC"] + [name for name in cards.COUNTERS if name.startswith("PTC")]
        want = collections.Counter()
        for data in self.sent:
            want.update(("GPTC", "TPT"))
            want["GOTC"] += len(data) + 4
            if data[0] & 1:
                want["BPTC" if data[:6] == program.BROADCAST else "MPTC"] += 1
            size = len(data) + 4
            want[next((f"PTC{top}" for top in (64, 127, 255, 511, 1023) if size <= top), "PTC1522")] += 1
        for name in names:
            self.same(f"{name}, by the wire and by nicsim", want[name], ixgbe[name])
            if self.plain:
                self.same(name, igb[name], ixgbe[name])


def play(igb, ixgbe, plan, used=None):
    """Raises Difference where they differ."""
    Run(igb, ixgbe, plan, collections.Counter() if used is None else used).play()


def shrink(igb, ixgbe, plan):
    """A program with the same set-up and as few steps, frames and packets as still differ, and how."""
    def differs(steps):
        try:
            play(igb, ixgbe, {**plan, "steps": steps})
        except Difference as found:
            return str(found)
        return None

    steps, said = plan["steps"], differs(plan["steps"])
    if said is None:
        return plan, "not again"
    again = True
    while again:
        again = False
        for n in reversed(range(len(steps))):
            for fewer in smaller(steps, n):
                what = differs(fewer)
                if what:
                    steps, said, again = fewer, what, True
                    break
    return {**plan, "steps": steps}, said


def smaller(steps, n):
    """Without step n (but for contexts, which later packets may need); with half of the frames it has; with one queue
    of those that send."""
    before, step, after = steps[:n], steps[n], steps[n + 1:]
    if step[0] != "send":
        yield before + after
        if step[0] == "receive" and len(step[1]) > 1:
            half = len(step[1]) // 2
            for part in (step[1][:half], step[1][half:]):
                yield [*before, ["receive", part], *after]
        return
    contexts = {queue: [it for it in sent if it[0] == "context"] for queue, sent in step[1].items()}
    if not any(contexts.values()):
        yield before + after
    for queue in step[1]:
        if contexts[queue] != step[1][queue]:
            yield [*before, ["send", {**step[1], queue: contexts[queue]}], *after]
