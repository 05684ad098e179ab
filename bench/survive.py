# SPDX-License-Identifier: BSD-3-Clause
"""A driver that may crash: kill -9 at random moments under full load in both directions, over two cards joined by a
cable. A generator numbers frames, a mirror sends them back; both keep their handles for a whole round of kills."""
import json
import os
import pathlib
import random
import re
import signal
import statistics
import subprocess
import time

from rig import Failure, PATIENCE, Rig, say

# Kills that one generator and one mirror live through, in turn: of one alone the loss is exact.
ROUNDS = (1, 10)
BURSTS = 2 * 64 + 32


def status(pid, field):
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(re.search(rf"^{field}:\s+(\d+)", text, re.M)[1])


class Client:
    """A rheinfall with a log of its own."""

    def __init__(self, rig, card, *arguments):
        self.out = open(rig.dir / f"rheinfall{card}.log", "w+", encoding="utf-8")
        self.child = subprocess.Popen([rig.program("rheinfall"), "--url", rig.url(card), "--quiet", "--json",
                                       *map(str, arguments)], env=rig.env, stdin=subprocess.DEVNULL, stdout=self.out,
                                      stderr=self.out)
        rig.running.append((f"rheinfall{card}", self.child))

    def end(self):
        """Its summary, or None where it failed, which is a client's error."""
        self.child.send_signal(signal.SIGINT)
        try:
            self.child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.out.seek(0)
        text = self.out.read()
        self.out.close()
        try:
            result = json.loads(text)
        except ValueError:
            result = {"error": text.strip()}
        if self.child.returncode or result.get("error"):
            say(f"a client failed: {result.get('error')}")
            return None
        return result


class Watch:
    """When drivers of each card were ready, as pcid says it."""

    def __init__(self, rig):
        self.rig = rig

    def pids(self, card):
        return [int(pid) for pid in re.findall(rf"network:card{card}_ixgbe ready \(ixgbed pid (\d+)", self.rig.log("pcid"))]


def kill(rig, watch, card):
    """Kills the driver of a card; milliseconds until the next is ready."""
    before = watch.pids(card)
    begin = time.monotonic()
    os.kill(before[-1], signal.SIGKILL)
    while len(watch.pids(card)) == len(before):
        if time.monotonic() - begin > PATIENCE:
            raise Failure(f"no driver follows: {rig.log('pcid')[-400:]}")
        time.sleep(0.001)
    return 1000 * (time.monotonic() - begin)


def one_round(rig, watch, total, kills):
    mirror = Client(rig, 1)
    rig.until(lambda: rig.value(1, "promisc").startswith("1"), "the mirror")
    generator = Client(rig, 0, "--generate", "--size", "60,1514", "--window", total["window"], "--drain", 200,
                       "--link-wait", 60)
    rig.until(lambda: rig.stats(0)["rx_frames"] > 0, "frames that come back")
    for _ in range(kills):
        time.sleep(random.uniform(0.06, 0.3))
        total["restart_ms"].append(kill(rig, watch, random.randrange(2)))
    time.sleep(0.3)
    result = generator.end()
    if result is None or mirror.end() is None:
        total["client_errors"] += 1
    if result is not None:
        total["frames"] += result["tx_frames"]
        total["corrupted"] += result["corrupted"]
        total["duplicated"] += result["duplicated"]
        total["reordered"] += result["reordered"]
        total["lost"] += result["lost"]
        if kills == 1:
            total["lost_by_one"].append(result["lost"])


def bench(folder, options):
    random.seed(options.seed)
    with Rig(folder, "cable:survive", "cable:survive", pcid=("--max-deaths", "0")) as rig:
        watch = Watch(rig)
        pcid = next(child.pid for name, child in rig.running if name == "pcid")
        stats = rig.stats(0)
        hold = stats["rx_ring"] + stats["tx_ring"] + BURSTS
        total = {"restart_ms": [], "lost": 0, "lost_by_one": [], "client_errors": 0, "corrupted": 0, "duplicated": 0, "reordered": 0,
                 "frames": 0, "window": hold}
        memory = []
        while len(total["restart_ms"]) < options.kills:
            kills = ROUNDS[len(memory) % len(ROUNDS)]
            one_round(rig, watch, total, min(kills, options.kills - len(total["restart_ms"])))
            time.sleep(0.1)
            memory.append((len(os.listdir(f"/proc/{pcid}/fd")), status(pcid, "VmRSS")))
            say(f"{len(total['restart_ms'])} kills: {memory[-1][0]} descriptors, {memory[-1][1]} KiB")
        after = [rig.stats(card) for card in range(2)]
        times = sorted(total["restart_ms"])
        return {
            "kills": len(times), "frames": total["frames"], "client_errors": total["client_errors"],
            "corrupted": total["corrupted"], "duplicated": total["duplicated"], "reordered": total["reordered"],
            "lost_max": max(total["lost_by_one"], default=0), "rings_hold": hold,
            "lost": total["lost"], "restarts": sum(s["restarts"] for s in after), "lost_in_restart": sum(s["lost_in_restart"] for s in after),
            "restart_ms_median": round(statistics.median(times), 1),
            "restart_ms_p99": round(times[min(len(times) - 1, len(times) * 99 // 100)], 1),
            "pcid_descriptors_first": memory[0][0], "pcid_descriptors_last": memory[-1][0],
            "pcid_rss_kib_first": memory[0][1], "pcid_rss_kib_last": memory[-1][1]}
