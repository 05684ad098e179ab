# SPDX-License-Identifier: BSD-3-Clause
"""What it costs to hand a frame to another process: by shared rings, and by whatever else there is."""
import os
import pathlib
import subprocess
import tempfile

from rig import CORES, Failure, Rig, medians, say
from scheme import sent

WORDS = {"ring_60_fps": ("ring-send", 60), "ring_receive_60_fps": ("ring-receive", 60),
         "ring_forward_60_fps": ("ring-forward", 60), "ring_1500_fps": ("ring-send", 1500),
         "plain_60_fps": ("plain-send", 60), "plain_receive_60_fps": ("plain-receive", 60), "socket_60_fps": ("socket", 60)}
# A network namespace of its own; without root, in a user namespace.
NAMESPACE = ("unshare", "-n") if os.geteuid() == 0 else ("unshare", "-r", "-n")
SYSTEM = {"tap_60_fps": ("tap", ""), "af_packet_60_fps": ("packet", "ip link add bench0 type veth peer name bench1 && ip link set bench0 up && ip link set bench1 up && ")}


def once(folder, what, size, seconds, wrap=()):
    """Frames a second; raises Failure with what it said."""
    program = folder / "bench" / "rings_bench"
    if not program.exists():
        raise Failure(f"{program} is not built")
    with tempfile.TemporaryDirectory(prefix="ixgbed-bench-") as root:
        command = [*wrap, str(program), what, str(size), str(max(1, round(seconds * 1000)))]
        try:
            done = subprocess.run(command, env=dict(os.environ, SCHEME_ROOT=root), text=True, capture_output=True,
                                  timeout=seconds + 30, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Failure(f"{what}: {error}") from None
    if done.returncode:
        raise Failure(done.stderr.strip() or f"{what} ended with {done.returncode}")
    return float(done.stdout)


def by_the_system(folder, name, seconds):
    """What the kernel's own ways carry, where a namespace can be had: else None, and why."""
    what, prepare = SYSTEM[name]
    wrap = (*NAMESPACE, "sh", "-c", prepare + 'exec "$@"', "sh")
    try:
        return once(folder, what, 60, seconds, wrap), None
    except Failure as failure:
        return None, str(failure)


def end_to_end(folder, options):
    """rheinfall by rings, by a queue of its own and without, ixgbed, nicsim and the wire "sink", all on two cores: as
    the card counts frames."""
    runs = []
    with Rig(folder, "sink") as rig:
        sent(rig, 60, 32, 0.5, "--ring")
        for _ in range(options.repeat):
            rate, _ = sent(rig, 60, 32, options.seconds, "--ring")
            queue, _ = sent(rig, 60, 32, options.seconds, "--ring", "--url", rig.url(0) + "/queue/0")
            burst, _ = sent(rig, 60, 32, options.seconds)
            runs.append({"ring_end_to_end_60_fps": rate, "queue_end_to_end_60_fps": queue,
                         "burst_end_to_end_60_fps": burst})
            say("end to end: " + ", ".join(f"{name} {value:,.0f}" for name, value in runs[-1].items()))
    return runs


def bench(folder, options):
    folder = pathlib.Path(folder)
    if len(os.sched_getaffinity(0)) < CORES:
        raise Failure("two processes on two cores: the command may use one alone")
    runs = []
    for i in range(options.repeat):
        runs.append({name: once(folder, *word, options.seconds) for name, word in WORDS.items()})
        say(f"run {i + 1}: " + ", ".join(f"{name} {value:,.0f}" for name, value in runs[-1].items()))
    system, reasons = {}, {}
    for name in SYSTEM:
        figures = [by_the_system(folder, name, options.seconds) for _ in range(options.repeat)]
        why = next((why for value, why in figures if value is None), None)
        system[name] = None if why else sorted(value for value, _ in figures)[len(figures) // 2]
        if why:
            reasons[name] = why
        say(f"{name}: {why or format(system[name], ',.0f')}")
    ends = end_to_end(folder, options)
    result = {name: round(value) for name, value in {**medians(runs), **medians(ends)}.items()}
    result["ring_1500_gbps"] = round(result["ring_1500_fps"] * 1500 * 8 / 1e9, 2)
    return {**result, **{name: value and round(value) for name, value in system.items()}, "not_measured": reasons,
            "runs": {name: [round(run[name]) for run in group] for group in (runs, ends) for name in group[0]}}
