# SPDX-License-Identifier: BSD-3-Clause
"""bench/run recorder: what the flight recorder costs, a record and a frame."""
import subprocess

import rig

# A burst of 32 received frames and one of 32 sent publish one tail each: two records for 32 frames forwarded.
RECORDS_A_FRAME = 2 / 32
# A 60-byte frame with CRC, preamble and gap at 10 Gbit/s: (60 + 4 + 8 + 12) * 8 / 10.
FRAME_NS = 67.2


def measure(folder):
    path = folder / "bench" / "recorder_cost"
    if not path.exists():
        raise rig.Failure(f"{path} is not built")
    done = subprocess.run([path], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise rig.Failure(f"{path} ended with {done.returncode}")
    return {name: float(value) for name, value in (line.split() for line in done.stdout.splitlines())}


def bench(folder, options):
    runs = [measure(folder) for _ in range(options.repeat)]
    middle = rig.medians(runs)
    frame = middle["ns"] * RECORDS_A_FRAME
    return {
        "clock": "tsc" if middle["tsc"] else "clock_gettime",
        "ns_per_record": round(middle["ns"], 2),
        "instructions_per_record": middle.get("instructions"),
        "records_per_frame_at_burst_32": RECORDS_A_FRAME,
        "ns_per_frame_at_burst_32": round(frame, 3),
        "percent_of_a_frame_at_burst_32": round(100 * frame / FRAME_NS, 2),
    }
