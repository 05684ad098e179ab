# SPDX-License-Identifier: BSD-3-Clause
"""rtl8168d from outside, on nicsim's RTL8168s: what the class promises is in test_conformance.py; here are the command line,
pcid's own configuration, and what the driver makes of the faults of cards that have no heads of rings to look at."""
import lab
from stack import CONFIG, Stack, ask, exchange, frame
from test_survive import alive, echo, end_drivers
from test_sweep import sweep

WORKS, GONE = None, "the card is gone"
# Each fault at the start, and what rtl8168d says of it.
START = {
    "reset": "reset did not end within 10 ms",
    "mdio": "its PHY does not answer",
    "mdio-write": "its PHY does not answer",
    "stuck=0,0xffffffff,0": WORKS,  # of its address: an odd one, but one
    "stuck=0,0,1": "no valid MAC address",
    "stuck=0x40,0x7cf00000,0x7c000000": "a model that it does not know (XID 7c0",
    "stuck=0x40,0x7cf00000,0x50000000": "a Realtek RTL8168EP, whose management processor",
    "tally": WORKS,
    "poll": WORKS,
    "access=20,ones": WORKS,
    "access=20,gone": GONE,
    "message=40,hangup": GONE,
}


def test_at_the_start(run):
    """A card for each fault and model, all at once: it works, or ends within its time-outs and says why. No cable is plugged in,
    so that the PHY is asked."""
    models = "rtl8168", "rtl8168c"
    started = []
    for model in models:
        arguments = []
        for n, fault in enumerate(START):
            arguments += ["--device", model, "--socket", f"{model}-{n}", "--wire", f"cable:{model}-{n}", "--fault", fault]
        nicsim = run.start("nicsim", "--control", f"{model}-control", *arguments)
        nicsim.expect(rf"on {model}-{len(START) - 1}, ")
        for n, (fault, why) in enumerate(START.items()):
            name = f"{model}-{n}"
            started.append((fault, why, name, run.start("rtl8168d", "--device", f"vfio-user:{name}", "--name", name)))
    for fault, why, name, driver in started:
        if why is WORKS:
            driver.expect(rf"network:{name} ready")
            assert driver.stop() == 0, (name, fault, driver.text)
        else:
            assert driver.wait() == (3 if why == GONE else 1), (name, fault, driver.text)
            assert why in driver.lines[-1] and len(driver.lines) == 1, (name, fault, driver.text)
        done, said = ask(run.dir / f"{name.split('-')[0]}-control", name, "counters")
        assert done and "\nrefused 0\n" in said, (name, fault, said)


def test_command_line(run):
    for words in ("--offloads",), ("--pause", "rx"), ("--drop", "never"):
        code, said = run.call("rtl8168d", "--device", "x", *words)
        assert (code, said) == (2, f"rtl8168d: {words[0]}: its cards have none here; see rtl8168d --help")
    code, said = run.call("rtl8168d", "--device", "x", "--mtu", 4075)
    assert (code, said) == (2, "rtl8168d: --mtu 4075: expected 68 to 4074; see rtl8168d --help")
    nicsim = run.start("nicsim", "--device", "rtl8168", "--socket", "card", "--wire", "loop")
    nicsim.expect("on card, ")
    for words, why in ((("--rx-ring", 2048), "its rings have up to 1024 descriptors"),
                       (("--queues", 2), "it has one queue pair, not 2"),
                       (("--mtu", 2027), "its MTU goes up to 2026 here, not 2027")):
        code, said = run.call("rtl8168d", "--device", "vfio-user:card", *words)
        assert code == 1 and why in said, said
    code, said = run.call("e1000d", "--device", "vfio-user:card")
    assert code == 1 and "this card is driver rtl8168's, not e1000's" in said, said


def test_pcids_own_configuration(run):
    """Each id; the registers are in BAR 2."""
    stack = Stack(run, ("rtl8168c", "rtl8161"), a="cable:x", b="cable:x")
    stack.pcid(config=CONFIG)
    for source, to in ("ab", "ba"):
        exchange(stack, [60, 1514], source, to)


def test_while_it_runs(run):
    """What a driver lives through: none of these ends it, and its client's frames go on."""
    stack = Stack(run, ("rtl8168",), a="loop")
    stack.pcid("--max-deaths", 0)
    stack.wait_link("a")
    pid = stack.pids("a")[-1]
    fill = iter(range(1, 200))
    with stack.open("a") as handle:
        for spec in ("rx-late=20", "tx-late=20", "tx-early=1", "tx-garbage=1"):
            stack.ctl("a", "fault", spec)
            echo(handle, fill=next(fill))
            echo(handle, fill=next(fill))
            stack.ctl("a", "fault", "none")
        # write-backs that cannot be: counted, the frame is lost, its buffer is not, and neither is the next frame
        for spec in ("rx-length=0,1", "rx-length=16383,1", "rx-garbage=1", "rx-endless=1"):
            bad = stack.stats("a")["bad_writebacks"]
            stack.ctl("a", "fault", spec)
            handle.write(frame(300, "a", "a", next(fill)))
            lab.wait_for(lambda: stack.stats("a")["bad_writebacks"] > bad, f"{spec} is counted")
            stack.ctl("a", "fault", "none")
            echo(handle, fill=next(fill))
        # stalls end with what causes them
        for spec in ("tx-stall", "rx-stall"):
            stack.ctl("a", "fault", spec)
            late = frame(300, "a", "a", next(fill))
            handle.write(late)
            assert stack.value("a", "/link").startswith(b"up")
            stack.ctl("a", "fault", "none")
            assert handle.read() == late
        # the interrupt is lost: what it should have told is found within a second
        stack.ctl("a", "fault", "irq-lost")
        echo(handle, fill=next(fill))
        stack.ctl("a", "fault", "none")
        stats = stack.stats("a")
        assert (stats["restarts"], stats["bad_offsets"]) == (0, 0)
        assert stack.counters("a")["refused"] == 0
    assert alive(pid) and stack.pids("a") == [pid]


# Each fault, how many frames it takes to show, and what rtl8168d says of it.
ENDS = {
    "rx-half=1": (2, "a receive descriptor was passed over and not written back"),
    # A report that is missing shows by the next one, which for one to be sent would be as good.
    "tx-lost=1": (1, "a frame is sent and not reported"),
    "dma-write=1": (2, "it was refused an access to memory"),
    "dma-read=1": (2, "it was refused an access to memory"),
}


def test_that_end_a_driver(run):
    end_drivers(run, ("rtl8168", "rtl8168c") * 2, ENDS)


def test_every_access_fails_once(run):
    """Its start has few enough to try them all: none that fails is the end, but for a card that is gone."""
    for how in "ones", "error":
        total, tried, found = sweep(run, "rtl8168c", "access", how)
        assert found == {"works": tried} and tried == total > 50
    _, tried, found = sweep(run, "rtl8168c", "access", "gone")
    assert found["No such device: the card is gone"] > tried / 2
    sweep(run, "rtl8168", "message", "error")
    sweep(run, "rtl8168", "message", "hangup")
