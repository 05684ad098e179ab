# SPDX-License-Identifier: BSD-3-Clause
"""nicsim's interrupts: causes and masks, automatic clearing and masking, MSI-X, MSI, INTx, EITR."""
import pytest

import x540
from lab import wait_for
from vfio_user import (DATA_BOOL, DATA_EVENTFD, DATA_NONE, INTX, MASK, MSI, MSIX, TRIGGER, UNMASK, Event, Refused)
from x540 import (EIAC, EIAM, EICR, EICS, EIMC, EIMS, EITR0, EOP, GPIE, IFCS, IVAR0, IVAR_MISC, Card)

LSC = 1 << 20
EIMS_EX, EIAM_EX, EICS_EX = 0xaa0, 0xad0, 0xa90
MULTIPLE, OCD, EIAME = 1 << 4, 1 << 5, 1 << 30
SHORT = 0.2                                                  # how long nothing is watched for
FRAME = bytes.fromhex("020000000001020000000002") + b"\x88\xb5" + bytes(46)


@pytest.fixture
def card(run):
    process = run.start("nicsim", "--device", "x540", "--socket", run.dir / "s", "--wire", "loop")
    process.expect("^nicsim: x540")
    with Card(run.dir / "s") as it:
        it.reg(EICR)                                         # the link came up
        yield it


@pytest.fixture
def events():
    made = [Event() for _ in range(64)]
    yield made
    for event in made:
        event.close()


def msix(card, events, count=4, gpie=MULTIPLE):
    card.client.set_irqs(MSIX, DATA_EVENTFD | TRIGGER, 0, count, fds=[e.fd for e in events[:count]])
    card.set(GPIE, gpie)


def quiet(event):
    return event.wait(SHORT) == 0


# --- registers ---

def test_causes_latch_and_clear(card):
    card.set(EICS, LSC | 5)
    assert card.reg(EICS) == LSC | 5                         # without clearing: Linux reads it so
    assert card.reg(EICR) == LSC | 5
    assert card.reg(EICR) == 0
    card.set(EICS, LSC | 5)
    card.set(EICR, 4)                                        # writing 1 clears
    assert card.reg(EICR) == LSC | 1
    card.set(GPIE, OCD)                                      # reading clears the others alone
    card.set(EICS, LSC | 5)
    assert card.reg(EICR) == LSC | 5
    assert card.reg(EICR) == 5


def test_masks_are_set_and_cleared_by_ones(card):
    card.set(EIMS, LSC | 0xff)
    card.set(EIMS, 0x100)
    assert card.reg(EIMS) == LSC | 0x1ff
    card.set(EIMC, LSC | 0xf)
    assert card.reg(EIMS) == 0x1f0
    assert card.reg(EIMS_EX) == 0x1f0
    card.set(EIMS_EX, 0x80000000)
    card.set(EIMS_EX + 4, 1)
    assert card.reg(EIMS) == 0x1f0 and card.reg(EIMS_EX) == 0x800001f0 and card.reg(EIMS_EX + 4) == 1
    card.set(0xab0, 0xffffffff)
    card.set(0xab4, 0xffffffff)
    assert card.reg(EIMS_EX) == card.reg(EIMS_EX + 4) == card.reg(EIMS) == 0
    card.set(EIAM, LSC | 3)
    assert card.reg(EIAM) == LSC | 3 and card.reg(EIAM_EX) == 3


def test_reading_causes_masks_what_eiam_says(card):
    card.set(EIAM, LSC | 1)
    card.set(EIMS, LSC | 3)
    card.set(EICS, 1)
    assert card.reg(EIMS) == LSC | 3
    card.reg(EICR)
    assert card.reg(EIMS) == 2
    card.set(EICS, 1)                                        # and setting them unmasks it
    assert card.reg(EIMS) == 3
    card.reg(EICR)
    card.set(GPIE, EIAME)                                    # then it belongs to messages
    card.set(EIMS, 3)
    card.reg(EICR)
    assert card.reg(EIMS) == 3


def test_queue_causes_follow_ivar(card):
    card.rx()
    card.tx()
    card.queue_frame(FRAME)
    card.kick()
    card.received(0)
    assert card.reg(EICR) & 0xffff == 0                      # no entry is valid
    card.set(IVAR0, 0x8583)                                  # receive: bit 3, transmit: bit 5
    card.queue_frame(FRAME)
    card.kick()
    card.received(1)
    card.sent(1)
    assert card.reg(EICR) == 1 << 3 | 1 << 5
    card.queue_frame(FRAME, EOP | IFCS)                      # no report, no transmit cause
    card.kick()
    card.received(2)
    wait_for(lambda: card.reg(x540.TDH) == 3, "the frame is sent")
    assert card.reg(EICR) == 1 << 3


# --- MSI-X ---

def test_msix_vectors(card, events):
    msix(card, events)
    card.set(IVAR0, 0x8180)
    card.set(IVAR_MISC, 0x8200)
    card.set(EIMS, LSC | 3)
    card.rx()
    card.tx()
    card.queue_frame(FRAME)
    card.kick()
    assert events[0].wait() == 1 and events[1].wait() == 1
    card.set(EICS, LSC)
    assert events[2].wait() == 1
    assert quiet(events[3])
    assert card.reg(EICR) == LSC | 3                         # nothing clears or masks by itself yet
    assert card.reg(EIMS) == LSC | 3


def test_automatic_clear_and_mask(card, events):
    msix(card, events, gpie=MULTIPLE | EIAME | OCD)
    card.set(IVAR_MISC, 0x8200)
    card.set(EIAC, 0x1)
    card.set(EIAM, 0x3)
    card.set(EIMS, LSC | 3)
    card.set(EICS, 3)
    assert events[0].wait() == 1 and events[1].wait() == 1
    assert card.reg(EICS) == 2                               # bit 0 was cleared, bit 1 is not in EIAC
    assert card.reg(EIMS) == LSC                             # both were masked
    card.set(EICS, 3)
    card.set(EICS, LSC)
    assert events[2].wait() == 1 and card.reg(EIMS) == LSC   # bit 20 is not in EIAM
    assert quiet(events[0]) and quiet(events[1])
    card.set(EIMS, 3)                                        # what waited comes with the mask's end
    assert events[0].wait() == 1 and events[1].wait() == 1
    assert quiet(events[0])


def test_masked_events_wait(card, events):
    msix(card, events)
    card.set(EICS, 1)
    assert quiet(events[0])
    card.set(EIMS, 1)
    assert events[0].wait() == 1
    card.reg(EICR)
    card.set(EIMC, 1)
    card.set(EICS, 1)
    card.reg(EICR)                                           # cleared while masked: nothing is left
    card.set(EIMS, 1)
    assert quiet(events[0])


def test_vectors_above_16(card, events):
    msix(card, events, 64)
    card.set(IVAR0, 0xbf80 | 0x20)
    card.set(EIMS_EX, 1 << 31)
    card.set(EIMS_EX + 4, 1 << 31 | 1)
    card.rx()
    card.tx()
    card.queue_frame(FRAME)
    card.kick()
    assert events[32].wait() == 1 and events[63].wait() == 1
    card.set(EICS_EX, 1 << 31)
    assert events[31].wait() == 1
    assert card.reg(EICR) == 0


def test_one_vector_without_gpie(card, events):
    msix(card, events, gpie=0)
    card.set(IVAR0, 0x8583)
    card.set(EIMS, LSC | 0x20)
    card.set(EICS, 0x20)
    assert events[0].wait() == 1
    card.set(EICS, LSC)
    assert events[0].wait() == 1 and quiet(events[1])
    assert card.reg(EICR) == LSC | 0x20


def test_vector_without_eventfd_keeps_its_message(card, events):
    card.client.set_irqs(MSIX, DATA_EVENTFD | TRIGGER, 0, 2)
    card.set(GPIE, MULTIPLE)
    card.set(EIMS, 3)
    card.set(EICS, 2)
    assert card.reg(EICS) == 2
    card.client.set_irqs(MSIX, DATA_EVENTFD | TRIGGER, 1, 1, fds=[events[1].fd])
    assert events[1].wait() == 1
    # Another eventfd for the same vector takes its place.
    card.client.set_irqs(MSIX, DATA_EVENTFD | TRIGGER, 1, 1, fds=[events[2].fd])
    card.set(EICS, 2)
    assert events[2].wait() == 1 and quiet(events[1])


def test_throttling_delays_and_loses_nothing(card, events):
    msix(card, events)
    card.set(EITR0, 0x1ff << 3)                              # 1 ms
    card.set(EIAC, 1)
    card.set(EIMS, 1)
    card.set(EICS, 1)
    assert events[0].wait() == 1
    total = 0
    for _ in range(2000):
        card.set(EICS, 1)
    assert card.reg(EIMS) == 1
    while n := events[0].wait(SHORT):
        total += n
    assert 1 <= total < 2000
    card.set(EICS, 1)                                        # the last event of a burst is heard
    assert events[0].wait() == 1


LONG, KEEP = 0x1ff << 3, 1 << 31                             # 1 ms; CNT_WDIS


def left(card):
    """What EITR's counter shows."""
    return card.reg(EITR0) >> 21 & 0x7f


def test_the_throttle_has_a_counter(card, events):
    msix(card, events)
    card.set(EIAC, 1)
    card.set(EIMS, 1)
    card.set(EITR0, LONG)

    def goes_on():
        """An interrupt starts it, and a write that keeps it does."""
        card.set(EICS, 1)
        assert events[0].wait() == 1
        before = left(card)
        card.set(EITR0, LONG | KEEP)
        return before >= left(card) > 0
    wait_for(goes_on, "a counter that goes on")
    card.set(EICS, 1)
    assert events[0].wait() == 1
    card.set(EITR0, LONG)                                    # any other write sets it
    assert left(card) == 0 and card.reg(EITR0) == LONG

    def holds():
        card.set(EITR0, LONG | 0x7f << 21)
        card.set(EICS, 1)
        card.reg(EIMS)
        said = events[0].wait(0)
        assert said or events[0].wait() == 1
        return not said
    wait_for(holds, "an interrupt that is held")
    card.set(EITR0, 0)
    card.set(EICS, 1)
    assert events[0].wait() == 1 and left(card) == 0


# --- MSI and INTx ---

def test_msi(card, events):
    card.client.set_irqs(MSI, DATA_EVENTFD | TRIGGER, 0, 1, fds=[events[0].fd])
    card.set(IVAR0, 0x8180)
    card.set(EIMS, LSC | 1)
    card.rx()
    card.tx()
    card.queue_frame(FRAME)
    card.kick()
    assert events[0].wait() >= 1
    card.sent(0)
    assert card.reg(EICR) == 3
    card.set(EICS, LSC)
    assert events[0].wait() == 1
    card.set(EICS, 2)                                        # masked
    assert quiet(events[0])


def test_intx_is_a_level(card, events):
    card.client.set_irqs(INTX, DATA_EVENTFD | TRIGGER, 0, 1, fds=[events[0].fd])
    card.set(EIMS, LSC | 1)
    assert card.client.config(6, 2) & 8 == 0
    card.set(EICS, LSC)
    assert events[0].wait() == 1
    assert card.client.config(6, 2) & 8
    card.set(EICS, 1)                                        # masked by VFIO since it fired
    assert quiet(events[0])
    card.client.set_irqs(INTX, DATA_NONE | UNMASK, 0, 1)     # not served yet: it fires again
    assert events[0].wait() == 1
    assert card.reg(EICR) == LSC | 1
    assert card.client.config(6, 2) & 8 == 0
    card.client.set_irqs(INTX, DATA_NONE | UNMASK, 0, 1)
    assert quiet(events[0])
    card.set(EICS, 1)
    assert events[0].wait() == 1
    card.set(EIMC, 1)                                        # a mask lets the line fall, too
    wait_for(lambda: card.client.config(6, 2) & 8 == 0, "the line falls")


def test_intx_is_throttled(card, events):
    card.client.set_irqs(INTX, DATA_EVENTFD | TRIGGER, 0, 1, fds=[events[0].fd])
    card.set(EITR0, LONG)
    card.set(EIMS, 1)

    def held():
        """The line stays low for a while after it has risen, and comes up by itself."""
        card.set(EICS, 1)
        assert events[0].wait() == 1
        assert card.reg(EICR) == 1
        card.client.set_irqs(INTX, DATA_NONE | UNMASK, 0, 1)
        card.set(EICS, 1)
        card.reg(EIMS)
        low, fired = card.client.config(6, 2) & 8 == 0, events[0].wait(0)
        assert low or fired                                  # who was not run for long finds it over, and begun anew
        assert fired or events[0].wait() == 1
        assert card.reg(EICR) == 1
        card.client.set_irqs(INTX, DATA_NONE | UNMASK, 0, 1)
        return low and not fired
    wait_for(held, "a line that is held")


def test_intx_masking(card, events):
    card.client.set_irqs(INTX, DATA_EVENTFD | TRIGGER, 0, 1, fds=[events[0].fd])
    card.set(EIMS, LSC)
    card.client.set_irqs(INTX, DATA_NONE | MASK, 0, 1)
    card.set(EICS, LSC)
    assert quiet(events[0])
    card.client.set_irqs(INTX, DATA_BOOL | UNMASK, 0, 1, data=b"\0")
    assert quiet(events[0])
    card.client.set_irqs(INTX, DATA_BOOL | UNMASK, 0, 1, data=b"\1")
    assert events[0].wait() == 1
    card.reg(EICR)
    card.client.set_irqs(INTX, DATA_NONE | UNMASK, 0, 1)
    card.client.set_config(4, 2, 0x406)                      # INTx disable
    card.set(EICS, LSC)
    assert quiet(events[0])
    assert card.client.config(6, 2) & 8                      # the status bit shows it all the same
    card.client.set_config(4, 2, 0x006)
    assert events[0].wait() == 1


# --- SET_IRQS ---

def test_the_client_may_trigger(card, events):
    msix(card, events)
    card.client.set_irqs(MSIX, DATA_NONE | TRIGGER, 1, 2)
    assert events[1].wait() == 1 and events[2].wait() == 1 and quiet(events[0])
    card.client.set_irqs(MSIX, DATA_BOOL | TRIGGER, 0, 3, data=b"\1\0\1")
    assert events[0].wait() == 1 and events[2].wait() == 1 and quiet(events[1])


def test_one_kind_at_a_time(card, events):
    msix(card, events)
    with pytest.raises(Refused):
        card.client.set_irqs(INTX, DATA_EVENTFD | TRIGGER, 0, 1, fds=[events[5].fd])
    card.client.set_irqs(MSIX, DATA_NONE | TRIGGER, 0, 0)    # off
    card.set(EIMS, LSC)
    card.set(EICS, LSC)
    assert quiet(events[0])
    card.client.set_irqs(INTX, DATA_EVENTFD | TRIGGER, 0, 1, fds=[events[5].fd])
    assert events[5].wait() == 1                             # what is pending shows at once
    card.client.set_irqs(INTX, DATA_NONE | TRIGGER, 0, 0)
    card.client.set_irqs(MSI, DATA_EVENTFD | TRIGGER, 0, 1, fds=[events[6].fd])
    assert events[6].wait() == 1


@pytest.mark.parametrize("index, flags, start, count, data, fds", [
    (5, DATA_NONE | TRIGGER, 0, 0, b"", 0), (MSIX, DATA_EVENTFD | TRIGGER, 0, 65, b"", 0),
    (MSIX, DATA_EVENTFD | TRIGGER, 64, 1, b"", 1), (MSIX, DATA_EVENTFD | TRIGGER, 0xffffffff, 2, b"", 2),
    (MSIX, DATA_EVENTFD | TRIGGER, 0, 0xffffffff, b"", 1), (MSIX, DATA_EVENTFD | TRIGGER, 0, 4, b"", 3),
    (MSIX, DATA_EVENTFD | TRIGGER, 0, 0, b"", 0), (MSIX, DATA_EVENTFD | MASK, 0, 1, b"", 1),
    (MSIX, DATA_NONE | DATA_BOOL | TRIGGER, 0, 1, b"", 0), (MSIX, TRIGGER, 0, 1, b"", 0),
    (MSIX, DATA_NONE, 0, 1, b"", 0), (MSIX, DATA_NONE | TRIGGER | MASK, 0, 1, b"", 0),
    (MSIX, DATA_NONE | TRIGGER | 0x40, 0, 1, b"", 0), (MSIX, DATA_BOOL | TRIGGER, 0, 4, b"\1", 0),
    (MSIX, DATA_NONE | TRIGGER, 0, 1, b"", 0), (3, DATA_EVENTFD | TRIGGER, 0, 1, b"", 1),
])
def test_set_irqs_that_make_no_sense(card, events, index, flags, start, count, data, fds):
    with pytest.raises(Refused):
        card.client.set_irqs(index, flags, start, count, data, [e.fd for e in events[:fds]])
    msix(card, events)
    card.set(EIMS, 1)
    card.set(EICS, 1)
    assert events[0].wait() == 1


def test_descriptors_that_are_no_eventfds(card, run):
    import os
    fifo = os.pipe()
    file = os.open(run.dir / "file", os.O_CREAT | os.O_RDWR)
    for fd in (fifo[0], fifo[1], file):
        with pytest.raises(Refused):
            card.client.set_irqs(MSIX, DATA_EVENTFD | TRIGGER, 0, 1, fds=[fd])
    # One that is full does not hold the card up.
    full = Event()
    os.eventfd_write(full.fd, (1 << 64) - 2)
    os.set_blocking(full.fd, True)
    card.client.set_irqs(MSIX, DATA_EVENTFD | TRIGGER, 0, 1, fds=[full.fd])
    card.set(GPIE, MULTIPLE)
    card.set(EIMS, 1)
    for _ in range(3):
        card.set(EICS, 1)
        assert card.reg(EICS) == 1
    assert full.wait() == (1 << 64) - 2
    os.close(file)
    for fd in fifo:
        os.close(fd)


def test_a_reset_switches_interrupts_off(card, events):
    msix(card, events)
    card.set(EIMS, 1)
    card.client.reset()
    card.set(GPIE, MULTIPLE)
    card.set(EIMS, 1)
    card.set(EICS, 1)
    assert quiet(events[0])
