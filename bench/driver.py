# SPDX-License-Identifier: BSD-3-Clause
"""bench/run driver: what a frame costs in the driver, with a card that is memory."""
import subprocess

import rig

BURSTS = [1, 4, 8, 32, 64, 256]
RINGS = [64, 128, 256, 512, 1024, 2048, 4096, 8192]
FRAMES = [60, 128, 256, 512, 1024, 1514]
RING, BURST, FRAME = 512, 32, 60
IN_PLACE_RING = 256  # one ring for both directions
QUEUES = [1, 2, 4, 8, 16]
WARMTHS = ["hot", "llc", "dram"]
ROUNDS = 1000
RUNS = 3  # for each of --repeat


def ring_of(mode):
    return IN_PLACE_RING if mode == "inplace" else RING


def fits(mode, burst, ring):
    """A burst is at most a round."""
    return burst <= ring // (4 if mode == "inplace" else 2)


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
        return {line.split(" ")[0]: line.partition(" ")[2] for line in done.stdout.splitlines()}

    def row(self, path, mode, warmths, burst=BURST, ring=None, frame=FRAME):
        """Everything about one way of using the driver. What can't be measured is None; the reason is in "not_measured"."""
        ring = ring or ring_of(mode)
        arguments = ["--path", path, "--mode", mode, "--burst", burst, "--ring", ring, "--frame", frame]
        row = {"mode": mode, "path": path, "burst": burst, "ring": ring, "frame": frame}
        found = self.run(*arguments, "--count")
        for name in ("instructions", "rx_doorbells", "tx_doorbells"):
            row[name] = float(found[name]) if name in found else None
        for warmth in warmths:
            runs = [self.run(*arguments, "--cycles", warmth, "--rounds", ROUNDS) for _ in range(RUNS * self.repeat)]
            runs = [run for run in runs if "cycles_median" in run]
            row[f"{warmth}_cycles"] = min(float(run["cycles_median"]) for run in runs) if runs else None
            row[f"{warmth}_cycles_min"] = min(float(run["cycles_min"]) for run in runs) if runs else None
        return row


def queues(cost):
    """Queues in turn on one processor, and side by side on two."""
    rows = []
    for threads in (1, 2):
        for count in QUEUES:
            if count < threads:
                continue
            runs = [cost.run("--queues", count, "--threads", threads, "--cycles", "hot", "--rounds", ROUNDS)
                    for _ in range(RUNS * cost.repeat)]
            medians = [float(run["cycles_median"]) for run in runs if "cycles_median" in run]
            rows.append({"queues": count, "threads": threads, "hot_cycles": min(medians, default=None)})
    return rows


def bench(folder, options):
    cost = Cost(folder, options.repeat)
    listed = cost.run("--list")
    modes, paths = listed["modes"].split(), listed["paths"].split()
    rings = [ring for ring in RINGS if ring <= int(listed["ring_max"])]
    widest = paths[0]
    rows = []
    for path in paths:
        for mode in modes:
            rig.say(f"{mode} on the path {path}, by burst")
            rows += [cost.row(path, mode, WARMTHS if burst == BURST else ["hot"], burst=burst)
                     for burst in (BURSTS if path in (widest, "plain") else (1, BURST)) if fits(mode, burst, ring_of(mode))]
    rig.say("forward, by ring, frame and queues")
    rows += [cost.row(widest, mode, WARMTHS, ring=ring) for mode in ("forward", "inplace") for ring in rings
             if ring != ring_of(mode) and fits(mode, BURST, ring)]
    rows += [cost.row(widest, "forward", WARMTHS, frame=frame) for frame in FRAMES if frame != FRAME]
    apart = {name: int(text) for name, text in cost.run("--apart").items()}
    machine = cost.run("--machine")
    return {**summary(rows, widest), "not_measured": {name[3:]: why for name, why in machine.items() if name.startswith("no_")},
            "path": widest, "paths": paths, "paths_not_run": listed["paths_not_run"].split(),
            "rows": rows, "queues": queues(cost), "queue": apart,
            "clock": {name: float(text) for name, text in machine.items() if not name.startswith("no_")}}


def summary(rows, widest):
    """The figures by their names: of 60-byte frames, rings of 512 (in place: 256); on the widest path, and in plain C."""
    at = {(row["path"], row["mode"], row["burst"]): row for row in rows
          if row["ring"] == ring_of(row["mode"]) and row["frame"] == FRAME}
    figures = {}
    for path, suffix in ((widest, ""), ("plain", "_plain")):
        for name, mode in (("forward", "forward"), ("verbs", "forward_verbs"), ("fused", "fused"), ("inplace", "inplace")):
            row = at.get((path, mode, BURST))
            if row:
                figures[f"{name}_b32_instructions{suffix}"] = row["instructions"]
                figures.update({f"{name}_b32_{warmth}_cycles{suffix}": row[f"{warmth}_cycles"] for warmth in WARMTHS})
        figures[f"forward_b1_hot_cycles{suffix}"] = at[path, "forward", 1]["hot_cycles"]
    forward = at[widest, "forward", BURST]
    return {**figures, "doorbells_per_frame": forward["rx_doorbells"] + forward["tx_doorbells"]}
