# SPDX-License-Identifier: BSD-3-Clause
"""What becomes of a card's faults: doc/faults.md, line by line. The card is nicsim's, the driver ixgbed's, alone or
under pcid; a client has it open and goes on."""
import os
import signal

import pytest

import lab
from stack import Stack, ask, frame
from test_survive import alive, echo, end_drivers, hung_up, next_driver

RESET, EEPROM = "reset did not end within 10 ms", "the EEPROM was not loaded within 1000 ms"
WORKS, GONE = None, "the card is gone"
# Each fault at the start, and what ixgbed says of it; x550's words are its firmware's.
START = {
    "reset": RESET,
    "master": WORKS,
    "semaphore": "the semaphore between drivers and firmware is not granted within 100 ms",
    "sync": WORKS,
    "eeprom-load": EEPROM,
    "eeprom-word": {"x550": WORKS, "": "an EEPROM word was not read within 100 ms"},
    "eeprom-sum": "the EEPROM's checksum is wrong",
    "dma-init": "DMA did not initialize within 1000 ms",
    "mac": "no valid MAC address was loaded",
    "mdio": {"82599": WORKS, "": "an MDIO address cycle did not end within 10 ms"},
    "rx-path": "the receive path did not empty within 1000 ms",
    "rx-queue": "a receive queue did not start within 10 ms",
    "tx-queue": "a transmit queue did not start within 10 ms",
    "stuck=0x1000,0,0x80": "register 0x01000 does not keep what is written to it",
    "stuck=0x6008,0xffffffff,0": "register 0x06008 does not keep what is written to it",
    "message=1,error": "the server refuses command 1: Input/output error",
    "access=100,gone": GONE,
    "message=100,hangup": GONE,
    "access=100,ones": WORKS,
    "access=100,error": WORKS,
}


def test_at_the_start(run):
    """A card for each fault and model, all at once: it works, or ends within its time-outs and says why."""
    started = []
    for model in ("x540", "82599", "x550"):
        arguments = []
        for n, fault in enumerate(START):
            arguments += ["--device", model, "--socket", f"{model}-{n}", "--wire", "loop", "--fault", fault]
        nicsim = run.start("nicsim", "--doorbells", "trapped", "--control", f"{model}-control", *arguments)
        nicsim.expect(rf"on {model}-{len(START) - 1}, ")
        for n, (fault, why) in enumerate(START.items()):
            if isinstance(why, dict):
                why = why.get(model, why[""])
            name = f"{model}-{n}"
            started.append((model, fault, why, name, run.start("ixgbed", "--device", f"vfio-user:{name}", "--name", name)))
    for model, fault, why, name, driver in started:
        if why is WORKS:
            driver.expect(rf"network:{name} ready")
            assert driver.stop() == 0, (model, fault, driver.text)
        else:
            assert driver.wait() == (3 if why == GONE else 1), (model, fault, driver.text)
            assert why in driver.lines[-1] and len(driver.lines) == 1, (model, fault, driver.text)
        done, said = ask(run.dir / f"{model}-control", name, "counters")
        assert done and "\nrefused 0\n" in said, (model, fault, said)


@pytest.fixture
def stack(run, request):
    """One card whose sent frames come back, a driver of pcid's, which is named by pid()."""
    stack = Stack(run, [request.param], a="loop")
    stack.pcid("--max-deaths", 0)
    stack.wait_link("a")
    return stack


models = pytest.mark.parametrize("stack", ["x540", "82599"], indirect=True)
one_model = pytest.mark.parametrize("stack", ["x540"], indirect=True)


def rises(stack, key, by=1):
    """To be used around what makes a counter rise."""
    before = stack.stats("a")[key]
    return lambda: lab.wait_for(lambda: stack.stats("a")[key] >= before + by, f"{key} rises by {by}")


@models
def test_while_it_runs(stack):
    """What a driver lives through: none of these ends it, and its client's frames go on."""
    pid = stack.pids("a")[-1]
    fill = iter(range(1, 200))
    with stack.open("a") as handle:
        def fault(spec):
            stack.ctl("a", "fault", "none")
            stack.ctl("a", "fault", spec)

        def lost_one():
            """A frame that the fault takes; what comes next, without it, arrives."""
            handle.write(frame(300, "a", "a", next(fill)))
        echo(handle, fill=next(fill))
        # interrupts: what they should have told is found within a second
        fault("irq-lost")
        for _ in range(2):
            echo(handle, fill=next(fill))
        fault("irq-spurious=1")
        told = rises(stack, "interrupts", 20)
        told()
        echo(handle, fill=next(fill))
        # write-backs that are late, or more than there should be
        fault("rx-late=20")
        stack.ctl("a", "fault", "tx-late=20")
        for _ in range(3):
            echo(handle, fill=next(fill))
        for spec in ("rx-early=1", "tx-early=1", "tx-garbage=1"):
            fault(spec)
            echo(handle, fill=next(fill))
            echo(handle, fill=next(fill))
        # write-backs that cannot be: counted, the frame is lost, its buffer is not
        for spec in ("rx-length=0,1", "rx-length=65535,1", "rx-torn=3600000,1", "rx-garbage=1"):
            fault(spec)
            counted = rises(stack, "bad_writebacks")
            lost_one()
            counted()
            stack.ctl("a", "fault", "none")
            echo(handle, fill=next(fill))
        # no end of a frame: what comes next, up to one, is lost with it
        fault("rx-endless=1")
        counted = rises(stack, "bad_writebacks", 2)
        lost_one()
        lost_one()
        counted()
        stack.ctl("a", "fault", "none")
        echo(handle, fill=next(fill))
        # reads of memory: the tail is written again
        fault("dma-read=1")
        echo(handle, fill=next(fill))
        # stalls end with what causes them
        for spec in ("tx-stall", "rx-stall"):
            fault(spec)
            lost = frame(300, "a", "a", next(fill))
            handle.write(lost)
            assert stack.value("a", "/link").startswith(b"up")
            stack.ctl("a", "fault", "none")
            assert handle.read() == lost
        # the link
        fault("flap=20")
        lab.wait_for(lambda: stack.value("a", "/link").startswith(b"down"), "down")
        lab.wait_for(lambda: stack.value("a", "/link").startswith(b"up"), "up")
        stack.ctl("a", "fault", "none")
        stack.wait_link("a")
        echo(handle, fill=next(fill))
        stats = stack.stats("a")
        assert (stats["restarts"], stats["bad_offsets"]) == (0, 0)
        assert stack.counters("a")["refused"] == 1  # dma-read's
    assert alive(pid) and stack.pids("a") == [pid]


# Each fault, how many frames it takes to show, and what ixgbed says of it.
ENDS = {
    "rx-half=1": (1, "receive queue 0: a descriptor is used up and not written back"),
    "tx-lost=1": (1, "transmit queue 0: a frame is sent and not reported"),
    "dma-write=2": (1, "queue 0: a"),
}


def test_that_end_a_driver(run):
    end_drivers(run, ("x540",) * 3, ENDS)


@one_model
def test_a_card_is_removed(stack):
    """The driver ends at once, pcid tries again until there is a card, the client goes on."""
    with stack.open("a") as handle:
        for n, (out, back) in enumerate(((("remove",), ("insert",)), (("fault", "removed"), ("fault", "none")))):
            echo(handle, fill=n)
            stack.ctl("a", *out)
            if n:  # nobody hangs up: the next access tells
                handle.write(frame(60))
            stack.owner.expect(r"^pcid: network:a_ixgbe: ixgbed pid \d+: .*the card is gone")
            lab.wait_for(lambda: handle.status("present") == 0, "the client hears of it")
            stack.ctl("a", *back)
            next_driver(stack, "a", n + 1)
        echo(handle, fill=9)
    assert stack.counters("a")["refused"] == 0


def test_a_card_that_stays_out_of_order(run):
    """pcid gives up, and says so; the client is told."""
    stack = Stack(run, a="loop")
    pcid = stack.pcid("--max-deaths", "2/60")
    stack.wait_link("a")
    with stack.open("a") as handle:
        echo(handle)
        stack.ctl("a", "fault", "reset")
        os.kill(stack.pids("a")[-1], signal.SIGKILL)
        pcid.expect("reset did not end within 10 ms")
        pcid.expect(r"^pcid: network:a_ixgbe: GIVEN UP: 3 drivers died within 60 s")
        hung_up(handle)
    assert pcid.wait() == 1
