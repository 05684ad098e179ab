# SPDX-License-Identifier: BSD-3-Clause
"""bench/run ways: frames a second by frame size, for each way in which a program reaches the driver."""
from rig import Rig, medians, say
from scheme import sent

SIZES = (60, 128, 256, 512, 1024, 1500)
WAYS = {"plain": (1,), "burst": (32,), "ring": (32, "--ring")}  # frames a system call, or none; options of rheinfall
# What the paper says of its Figure 2 (5.1): ixy on Redox; and "up to 1,000" for the e1000 driver there, of whatever size.
PAPER = {"ixy": {"60": 120000, "1500": 100000}, "e1000": {"60": 1000, "1500": 1000}}


def bench(folder, options):
    runs = []
    with Rig(folder, "sink") as rig:
        sent(rig, 60, 1, 0.5)  # caches, branch predictors, memory
        for i in range(options.repeat):
            runs.append({(way, size): sent(rig, size, burst, options.seconds, *more)[0]
                         for way, (burst, *more) in WAYS.items() for size in SIZES})
            say(f"run {i + 1}: " + ", ".join(f"{way} {size} {rate:,.0f}" for (way, size), rate in runs[-1].items()))
    middle = medians(runs)
    return {**{f"{way}_fps": {str(size): round(middle[way, size]) for size in SIZES} for way in WAYS}, "paper": PAPER}
