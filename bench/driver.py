# SPDX-License-Identifier: BSD-3-Clause
"""bench/run driver: what a frame costs in the driver, with a card that is memory."""
import subprocess

import rig

BURSTS = [1, 4, 8, 32, 64, 256]
RINGS = [64, 128, 256, 512, 1024, 2048, 4096]
FRAMES = [60, 128, 256, 512, 1024, 1514]
RING, BURST, FRAME = 512, 32, 60
WARMTHS = ["hot", "llc", "dram"]
ROUNDS = 1000
RUNS = 3  # for each of --repeat


class Cost:
    """The program driver_cost of a build folder."""

    def __init__(self, folder, repeat):
        self.path = folder / "bench" / "driver_cost"
        self.repeat = repeat
        if not self.path.exists():
            raise rig.Failure(f"{self.path} is not built")

    def run(self, *arguments):
        done = subprocess.run([self.path, *map(str, arguments)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise rig.Failure(f"{' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return dict(line.split(" ", 1) for line in done.stdout.splitlines())

    def row(self, mode, warmths, burst=BURST, ring=RING, frame=FRAME, count=True):
        """Everything about one way of using the driver. What can't be measured is None; the reason is in "machine"."""
        arguments = ["--mode", mode, "--burst", burst, "--ring", ring, "--frame", frame]
        row = {"mode": mode, "burst": burst, "ring": ring, "frame": frame}
        if count:
            found = self.run(*arguments, "--count")
            for name in ("instructions", "rx_doorbells", "tx_doorbells"):
                row[name] = float(found[name]) if name in found else None
        for warmth in warmths:
            runs = [self.run(*arguments, "--cycles", warmth, "--rounds", ROUNDS) for _ in range(RUNS * self.repeat)]
            runs = [run for run in runs if "cycles_median" in run]
            row[f"{warmth}_cycles"] = min(float(run["cycles_median"]) for run in runs) if runs else None
            row[f"{warmth}_cycles_min"] = min(float(run["cycles_min"]) for run in runs) if runs else None
        return row


def number(text):
    try:
        return float(text)
    except ValueError:
        return text


def bench(folder, options):
    cost = Cost(folder, options.repeat)
    modes = cost.run("--list")["modes"].split()
    rows = []
    for mode in modes:
        rig.say(f"{mode}, by burst")
        rows += [cost.row(mode, WARMTHS if burst == BURST else ["hot"], burst=burst) for burst in BURSTS]
    rig.say("forward, by ring size and frame size")
    rows += [cost.row("forward", ["hot", "dram"], ring=ring) for ring in RINGS if ring != RING]
    rows += [cost.row("forward", ["hot", "dram"], frame=frame) for frame in FRAMES if frame != FRAME]
    return {**summary(rows), "rows": rows,
            "clock": {name: number(text) for name, text in cost.run("--machine").items()}}


def summary(rows):
    """The figures by their names: of 60-byte frames, rings of 512."""
    at = {(row["mode"], row["burst"]): row for row in rows if row["ring"] == RING and row["frame"] == FRAME}
    b32, b1 = at["forward", 32], at["forward", 1]
    verbs = at["forward_verbs", 32]
    return {
        "forward_b32_instructions": b32["instructions"],
        **{f"forward_b32_{warmth}_cycles": b32[f"{warmth}_cycles"] for warmth in WARMTHS},
        "forward_b1_hot_cycles": b1["hot_cycles"],
        "verbs_b32_instructions": verbs["instructions"],
        **{f"verbs_b32_{warmth}_cycles": verbs[f"{warmth}_cycles"] for warmth in WARMTHS},
        "doorbells_per_frame": b32["rx_doorbells"] + b32["tx_doorbells"],
    }
