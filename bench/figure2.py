# SPDX-License-Identifier: BSD-3-Clause
"""bench/run figure2: the paper's Figure 2. Frames a second by frame size, sent by a plain write each through the scheme, for
each driver as it is and with --blocking-tx, on software cards that send at the rate of their link."""
import plots
import rig
from scheme import sent

SIZES = (60, 128, 256, 512, 1024, 1500)
# A driver: its daemon, nicsim's name of its card, and the link's speed in Mbit/s.
DRIVERS = {"ixgbed": ("x550", 10000), "e1000d": ("82574l", 1000), "rtl8168d": ("rtl8168", 1000)}
WAYS = {"": (), ", blocking": ("--blocking-tx",)}
# Of the paper's 5.1: ixy's two rates; what e1000 and rtl8168 do, whatever the size, on emulated cards and up to on real ones.
PAPER = {"ixgbe_fps": {"60": 120000, "1500": 100000}, "blocking_emulated_fps": [90, 150], "blocking_real_fps": 1000}


def line_rate(mbit, size):
    """With preamble, CRC and gap."""
    return mbit * 1e6 / ((size + 24) * 8)


def measure(folder, options, daemon, device, more):
    runs = []
    with rig.Rig(folder, "sink", device=device, nicsim=("--pace",), daemon=daemon, driver=more) as it:
        sent(it, 60, 1, min(0.5, options.seconds))  # caches, branch predictors, memory
        for _ in range(options.repeat):
            runs.append({str(size): sent(it, size, 1, options.seconds)[0] for size in SIZES})
    return {size: round(rate) for size, rate in rig.medians(runs).items()}


def bench(folder, options):
    result = {"fps": {}, "line_rate_fps": {}, "paper": PAPER}
    for daemon, (device, mbit) in DRIVERS.items():
        result["line_rate_fps"][daemon] = {str(size): round(line_rate(mbit, size)) for size in SIZES}
        for way, more in WAYS.items():
            rates = measure(folder, options, daemon, device, more)
            result["fps"][daemon + way] = rates
            rig.say(f"{daemon}{way}: " + ", ".join(f"{size} {rate:,}" for size, rate in rates.items()))
    if options.word == "figure2" and options.to:
        plots.check()
        options.to.mkdir(parents=True, exist_ok=True)
        result["plots"] = [str(path) for path in plots.draw({"figure2": result}, options.to)]
    return result


def text(result):
    """The figure as a table, for people."""
    def row(name, rates):
        return f"{name:<34}" + "".join(f"{rates.get(str(size), ''):>12{',' if str(size) in rates else ''}}" for size in SIZES)
    lines = [f"{'frames a second, of bytes':<34}" + "".join(f"{size:>12}" for size in SIZES)]
    lines += [row(name, rates) for name, rates in result["fps"].items()]
    lines += [row(f"its link ({name})", rates) for name, rates in result["line_rate_fps"].items()]
    paper = result["paper"]
    low, high = paper["blocking_emulated_fps"]
    lines += [row("ixgbe (paper)", paper["ixgbe_fps"]),
              f"e1000, rtl8168 (paper): {low} to {high} on emulated cards, up to {paper['blocking_real_fps']:,} on real ones"]
    return "\n".join(lines + result.get("plots", []))
