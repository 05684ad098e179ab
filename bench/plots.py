# SPDX-License-Identifier: BSD-3-Clause
"""Plots of what bench/run all measured: gnuplot, as SVG and PNG."""
import shutil
import subprocess

import rig

TERMINALS = {"svg": "svg size 800,500 dynamic background 'white' font 'sans,14'",
             "png": "pngcairo size 800,500 font 'sans,11'"}
STYLE = """
set grid xtics ytics lt 1 lw 0.5 lc rgb '#bbbbbb'
set border lc rgb '#666666'
set key below height 1
set style data linespoints
set logscale x 2
set yrange [0:*]
"""
# Colours that also those tell apart who see few.
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999"]


RING = {"forward": 512, "fused": 512, "inplace": 256}


def check():
    if not shutil.which("gnuplot"):
        raise rig.Failure("gnuplot is missing: apt-get install gnuplot-nox")


def plot(path, settings, curves):
    """Draws curves, {title: [(x, y), ...]}, to path.svg and path.png; those without a point are left out."""
    curves = {title: points for title, points in curves.items() if points}
    if not curves:
        return []
    data = "".join(f"$d{i} << END\n" + "".join(f"{x} {y}\n" for x, y in points) + "END\n"
                   for i, points in enumerate(curves.values()))
    lines = ", ".join(f"$d{i} title '{title}' lw 2 pt {i + 4} ps 0.9 lc rgb '{COLOURS[i % len(COLOURS)]}'"
                      for i, title in enumerate(curves))
    drawn = []
    for kind, terminal in TERMINALS.items():
        to = path.with_suffix(f".{kind}")
        script = f"set terminal {terminal}\nset output '{to}'\n{STYLE}{settings}\n{data}plot {lines}\n"
        done = subprocess.run(["gnuplot", "-"], input=script, capture_output=True, text=True, check=False)
        if done.returncode or not to.exists():
            raise rig.Failure(f"gnuplot: {done.stderr.strip()}")
        drawn.append(to)
    return drawn


def tics(values):
    return ("set xtics (" + ", ".join(str(value) for value in values) + ")\n"
            f"set xrange [{0.8 * values[0]}:{1.25 * values[-1]}]\n")


def of_rows(rows, x, y, **where):
    return sorted((row[x], row[y]) for row in rows
                  if row.get(y) is not None and all(row[name] == value for name, value in where.items()))


def by_burst(rows, y):
    """For each mode on each path, in the order in which they were measured."""
    ways = dict.fromkeys((row["mode"], row["path"]) for row in rows if row["mode"] in RING)
    return {f"{mode}, {path}": of_rows(rows, "burst", y, mode=mode, path=path, ring=RING[mode], frame=60)
            for mode, path in ways}


def draw_driver(driver, to):
    rows, path = driver["rows"], driver["path"]
    bursts = tics([1, 4, 8, 32, 64, 256]) + "set xlabel 'burst (frames)'\n"
    cycles = "set ylabel 'cycles of the time stamp counter a frame'\n"
    log = "set logscale y\nset yrange [1:*]\n"
    drawn = plot(to / "driver-by-burst", bursts + cycles + log + "set title 'Forwarding 64-byte frames: cycles by burst'\n",
                 by_burst(rows, "hot_cycles"))
    drawn += plot(to / "driver-instructions-by-burst",
                  bursts + log + "set ylabel 'instructions a frame'\nset title 'Forwarding 64-byte frames: instructions by burst'\n",
                  by_burst(rows, "instructions"))
    rings = {f"{mode}, {where}": of_rows(rows, "ring", f"{name}_cycles", mode=mode, path=path, burst=32, frame=60)
             for mode in ("forward", "inplace")
             for name, where in (("hot", "hot in cache"), ("llc", "from the last-level cache"), ("dram", "from memory"))}
    drawn += plot(to / "driver-by-ring", tics(sorted({row["ring"] for row in rows})) + cycles +
                  "set xlabel 'ring (descriptors)'\nset title 'Forwarding 64-byte frames, bursts of 32: cycles by ring size'\n",
                  rings)
    return drawn


NAMES = {"plain_fps": "plain write", "burst_fps": "32 writes a system call", "ring_fps": "shared rings"}


def draw_ways(ways, to):
    curves = {title: [(int(size), rate) for size, rate in ways[name].items()] for name, title in NAMES.items() if name in ways}
    for name, rates in ways["paper"].items():
        curves[f"{name} on Redox (paper, Figure 2)"] = [(int(size), rate) for size, rate in rates.items()]
    settings = (tics([60, 128, 256, 512, 1024, 1500]) + "set xlabel 'frame (bytes without CRC)'\nset ylabel 'frames a second'\n"
                "set logscale y\nset yrange [100:*]\nset format y '10^{%L}'\nset title 'Sending, from a program to the wire'\n")
    return plot(to / "ways-by-frame", settings, curves)


def draw_figure2(figure, to):
    curves = {title: [(int(size), rate) for size, rate in rates.items()] for title, rates in figure["fps"].items()}
    paper = figure["paper"]
    curves["ixgbe (paper)"] = [(int(size), rate) for size, rate in paper["ixgbe_fps"].items()]
    curves["e1000, rtl8168 on real cards, at most (paper)"] = [(size, paper["blocking_real_fps"]) for size in (60, 1500)]
    curves["e1000, rtl8168 emulated, at most (paper)"] = [(size, paper["blocking_emulated_fps"][1]) for size in (60, 1500)]
    settings = (tics([60, 128, 256, 512, 1024, 1500]) + "set xlabel 'frame (bytes without CRC)'\nset ylabel 'frames a second'\n"
                "set logscale y\nset yrange [10:*]\nset format y '10^{%L}'\n"
                "set title 'Sending by the scheme, a write a frame; cards at the rate of their link'\n")
    return plot(to / "figure2", settings, curves)


def draw(result, to):
    """All that the results allow; returns the files."""
    drawn = []
    if "rows" in result.get("driver", {}):
        drawn += draw_driver(result["driver"], to)
    if "paper" in result.get("ways", {}):
        drawn += draw_ways(result["ways"], to)
    if "fps" in result.get("figure2", {}):
        drawn += draw_figure2(result["figure2"], to)
    return drawn
