# SPDX-License-Identifier: BSD-3-Clause
"""bench/run nicsim: frames a second of a software card with mapped doorbells, on one core, with a driver on another
that does nothing but keep it busy."""
import os
import pathlib
import subprocess
import tempfile
import time

import rig

# What is measured: the wires of its cards, and what the driver does.
RUNS = {"tx": (["sink"], "tx"), "rx": (["gen:60"], "rx"), "both": (["gen:60"], "both"), "cable": (["cable:it", "cable:it"], "both")}
LINE_RATE = 14.88  # million frames of 64 bytes a second at 10 Gbit/s: 10^10 / ((64 + 20) * 8)


def on_core(core):
    return lambda: os.sched_setaffinity(0, [core])


def measure(folder, wires, mode, seconds, cores):
    """Million frames a second: sent and received, the slower direction of several cards."""
    for program in (folder / "nicsim" / "nicsim", folder / "bench" / "nicsim_load"):
        if not program.exists():
            raise rig.Failure(f"{program} is not built")
    with tempfile.TemporaryDirectory(prefix="ixgbed-bench-") as name:
        here = pathlib.Path(name)
        sockets = [here / f"card{n}" for n in range(len(wires))]
        words = [word for socket, wire in zip(sockets, wires)
                 for word in ("--device", "x540", "--socket", str(socket), "--wire", wire)]
        card = subprocess.Popen([folder / "nicsim" / "nicsim", "--doorbells", "mapped", *words], stdout=subprocess.DEVNULL,
                                env=dict(os.environ, NICSIM_ROOT=name), preexec_fn=on_core(cores[0]))
        try:
            end = time.monotonic() + rig.PATIENCE
            while not all(socket.exists() for socket in sockets):
                if card.poll() is not None or time.monotonic() > end:
                    raise rig.Failure("nicsim does not start")
                time.sleep(0.02)
            done = subprocess.run([folder / "bench" / "nicsim_load", mode, str(seconds), *(f"vfio-user:{s}" for s in sockets)],
                                  capture_output=True, text=True, check=False, preexec_fn=on_core(cores[1]))
        finally:
            card.terminate()
            card.wait(rig.PATIENCE)
        if done.returncode:
            raise rig.Failure(done.stderr.strip())
        return {word: float(value) for word, value in (line.split() for line in done.stdout.splitlines())}


def bench(folder, options):
    cores = sorted(os.sched_getaffinity(0))[:rig.CORES]
    if len(cores) < rig.CORES:
        raise rig.Failure("the card and its driver need a processor core each")
    result, runs = {}, {}
    for name, (wires, mode) in RUNS.items():
        rig.say(f"{name}: {options.repeat} runs of {options.seconds} s")
        runs[name] = [measure(folder, wires, mode, options.seconds, cores) for _ in range(options.repeat)]
        middle = rig.medians(runs[name])
        directions = [middle[word] for word in ("tx", "rx") if mode in (word, "both")]
        result[f"nicsim_{name}_mpps"] = round(min(directions), 2)
    return {**result, "line_rate_mpps": LINE_RATE, "runs": runs}
