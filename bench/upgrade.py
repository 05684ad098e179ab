# SPDX-License-Identifier: BSD-3-Clause
"""Drivers replaced in flight: two cards on a cable, frames as fast as they go in both directions, and one
driver after the other replaced by `pcid --upgrade`. What became of every frame, and how long no driver ran."""
import re
import statistics
import subprocess

from rig import PATIENCE, Failure, Rig, say

SIZES = "imix"
BETWEEN = 2000  # frames that come back between two upgrades, at least
WINDOW = 2000


def replace(rig, card):
    """Replaces the card's driver; returns the milliseconds from its stop until the next one was ready."""
    done = subprocess.run([rig.program("pcid"), "--upgrade", f"card{card}_ixgbe"], env=rig.env, text=True,
                          capture_output=True, timeout=PATIENCE, check=False)
    match = re.search(r"upgraded: pid \d+, ([\d.]+) ms", done.stdout)
    if done.returncode or not match:
        raise Failure((done.stderr or done.stdout).strip())
    return float(match[1])


def bench(folder, options):
    gaps = []
    with Rig(folder, "cable:upgrade", "cable:upgrade") as rig:
        mirror = rig.start_rheinfall(1)
        rig.until(lambda: rig.value(1, "promisc") == "1\n", "the mirror is there")
        generator = rig.start_rheinfall(0, "--generate", "--size", SIZES, "--window", WINDOW, "--drain", 5000)
        came = 0
        for i in range(options.times):
            rig.until(lambda came=came: rig.stats(0)["rx_frames"] >= came + BETWEEN, "frames come back")
            gaps.append(replace(rig, i % 2))
            came = rig.stats(0)["rx_frames"]
            if (i + 1) % 10 == 0:
                say(f"{i + 1} upgrades, the last took {gaps[-1]:.2f} ms")
        rig.until(lambda: rig.stats(0)["rx_frames"] >= came + BETWEEN, "frames come back")
        counts = [rig.stats(card) for card in range(2)]
        run = rig.end(generator)
        mirror.terminate()
        mirror.wait(PATIENCE)
    if sum(count["upgrades"] for count in counts) != options.times:
        raise Failure(f"the drivers count {[count['upgrades'] for count in counts]} upgrades, not {options.times}")
    gaps.sort()
    return {"upgrades": len(gaps), "frames": run["tx_frames"], "fps": run["tx_frames"] / run["duration_s"],
            **{name: run[name] for name in ("lost", "duplicated", "reordered", "late", "corrupted")},
            "rx_missed": sum(count["rx_missed"] for count in counts), "restarts": sum(count["restarts"] for count in counts),
            "gap_ms_median": statistics.median(gaps), "gap_ms_p99": gaps[min(len(gaps) - 1, round(0.99 * len(gaps)))]}
