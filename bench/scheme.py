# SPDX-License-Identifier: BSD-3-Clause
"""The paper's question: what does a frame cost that goes through the scheme, one plain write each?"""
import time

from rig import Failure, Rig, children_ns, cpu_ns, medians, say

PAPER = {"plain_60_fps": 120000, "plain_1500_fps": 100000, "plain_1500_gbps": 1.1}
SIZES = (60, 512, 1500)


def sent(rig, size, burst, seconds, *more):
    """Sends as fast as it goes, with `more` options of rheinfall. Frames a second: all that the card has sent, in the
    time until the driver had dealt with the last; and microseconds of processor time a frame, by process."""
    watched = {"ixgbed": rig.drivers[0], "nicsim": rig.nicsim.pid}
    before = rig.stats(0)["tx_frames"]
    used = {name: -cpu_ns(pid) for name, pid in watched.items()}
    used["rheinfall"] = -children_ns()
    run = rig.rheinfall(0, "--generate", "--one-way", "--size", size, "--burst", burst, "--duration", seconds,
                        *more)
    used["rheinfall"] += children_ns()
    frames = run["tx_frames"]

    def on_the_wire():
        return rig.stats(0)["tx_frames"] - before
    rig.until(lambda: on_the_wire() >= frames, f"the card sends {frames} frames")
    if on_the_wire() != frames:
        raise Failure(f"the card counts {on_the_wire()} frames, {frames} were written")
    for name, pid in watched.items():
        used[name] += cpu_ns(pid)
    return frames / run["duration_s"], {name: ns / 1000 / frames for name, ns in used.items()}


def throughput(folder, options, kind, burst):
    """Runs of each size in turn, so that what disturbs the machine for a while disturbs all sizes alike."""
    runs, costs = [], []
    with Rig(folder, "sink") as rig:
        sent(rig, 60, burst, 0.5)  # caches, branch predictors, memory
        for i in range(options.repeat):
            rates, cost = {}, {}
            for size in SIZES:
                rates[f"{kind}_{size}_fps"], used = sent(rig, size, burst, options.seconds)
                cost.update({f"{kind}_{size}_us_{name}": us for name, us in used.items()})
            runs.append(rates)
            costs.append(cost)
            say(f"run {i + 1}: " + ", ".join(f"{name} {value:,.0f}" for name, value in rates.items()))
    return runs, medians(costs)


def idle(folder, options):
    """Per cent of one core that ixgbed and nicsim take together while nothing happens, a client waiting."""
    runs = []
    with Rig(folder, "sink") as rig:
        rig.start_rheinfall(0)
        time.sleep(2)
        for _ in range(options.repeat):
            watched = [rig.nicsim.pid, *rig.drivers]
            begin, before = time.monotonic_ns(), sum(map(cpu_ns, watched))
            time.sleep(options.idle_seconds)
            used = sum(map(cpu_ns, watched)) - before
            runs.append({"idle_cpu_percent": 100 * used / (time.monotonic_ns() - begin)})
            say(f"idle: {runs[-1]['idle_cpu_percent']:.3f} %")
    return runs


def wake(folder, options):
    """From a write on one card to the read of it on the card at the other end of a cable; all sleep before it."""
    runs = []
    with Rig(folder, "cable:bench", "cable:bench") as rig:
        for _ in range(options.repeat):
            meter = rig.start_rheinfall(1, "--receive")
            rig.until(lambda: rig.stats(1)["handles"] >= 1, "rheinfall listens")
            rig.rheinfall(0, "--generate", "--one-way", "--size", 60, "--rate", 100, "--duration", options.seconds)
            time.sleep(0.2)
            result = rig.end(meter)
            if not result["latency_ns"] or result["lost"]:
                raise Failure(f"of the frames that were to be timed {result['rx_frames']} came, {result['lost']} were lost")
            runs.append({"wake_latency_us": result["latency_ns"]["p50"] / 1000,
                         "wake_latency_p99_us": result["latency_ns"]["p99"] / 1000})
            say(f"wake: {runs[-1]['wake_latency_us']:.1f} us")
    return runs


PLACES = {"plain_1500_gbps": 3, "idle_cpu_percent": 3, "wake_latency_us": 1, "wake_latency_p99_us": 1}


def rounded(name, value):
    return round(value, PLACES[name]) if name in PLACES else round(value)


def bench(folder, options):
    plain, plain_cost = throughput(folder, options, "plain", 1)
    burst, burst_cost = throughput(folder, options, "burst", 32)
    groups = plain, burst, idle(folder, options), wake(folder, options)
    result = {name: value for group in groups for name, value in medians(group).items()}
    result["plain_1500_gbps"] = result["plain_1500_fps"] * 1500 * 8 / 1e9
    return {**{name: rounded(name, value) for name, value in result.items()},
            "paper": PAPER,
            "cpu_us_per_frame": {name: round(us, 2) for name, us in {**plain_cost, **burst_cost}.items()},
            "runs": {name: [rounded(name, run[name]) for run in group] for group in groups for name in group[0]}}
