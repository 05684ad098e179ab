# SPDX-License-Identifier: BSD-3-Clause
"""A driver that may crash: kill -9 at random moments under full load in both directions, over two cards joined by a
cable. A generator numbers frames, a mirror sends them back; both keep their handles for a whole round of kills. With
--clients it is other clients of both cards that are killed, while one such pair measures."""
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


def measuring_pair(rig, window, drain):
    """(generator, mirror), with frames that come back; at the end those under way are waited for so many ms."""
    mirror = Client(rig, 1)
    rig.until(lambda: rig.value(1, "promisc").startswith("1"), "the mirror")
    generator = Client(rig, 0, "--generate", "--size", "60,1514", "--window", window, "--drain", drain,
                       "--link-wait", 60)
    rig.until(lambda: rig.stats(0)["rx_frames"] > 0, "frames that come back")
    return generator, mirror


def judge(total, generator, mirror):
    """Ends both and adds up what they measured; the frames lost, or None."""
    result = generator.end()
    if result is None or mirror.end() is None:
        total["client_errors"] += 1
    if result is None:
        return None
    total["frames"] += result["tx_frames"]
    for field in ("corrupted", "duplicated", "reordered"):
        total[field] += result[field]
    return result["lost"]


def one_round(rig, watch, total, kills):
    generator, mirror = measuring_pair(rig, total["window"], 200)
    for _ in range(kills):
        time.sleep(random.uniform(0.06, 0.3))
        total["restart_ms"].append(kill(rig, watch, random.randrange(2)))
    time.sleep(0.3)
    lost = judge(total, generator, mirror)
    if lost is not None:
        total["lost"] += lost
        if kills == 1:
            total["lost_by_one"].append(lost)


# What dies beside the pair: who floods, who reads copies of all frames, who asks for values; each may be stopped first,
# so that it neither reads nor goes. None reads the pair's frames away.
VICTIMS = (
    ("rheinfall", "--generate", "--one-way", "--quiet", "--no-promisc", "--rate", "20000", "--url", "{url}"),
    ("scheme", "cat", "{url}/tap"),
    ("scheme", "cat", "{url}/stats"),
)
AT_ONCE = 4


def start_victim(rig):
    words = [word.format(url=rig.url(random.randrange(2))) for word in random.choice(VICTIMS)]
    return subprocess.Popen([rig.program(words[0]), *words[1:]], env=rig.env, stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill_clients(rig, count):
    """Kills so many, each at a random moment of its life; those that came to their own end do not count."""
    victims, kills = [], 0
    try:
        while kills < count:
            while len(victims) < AT_ONCE:
                victims.append(start_victim(rig))
            time.sleep(random.uniform(0.0, 0.02))
            victim = random.choice(victims)
            if random.random() < 0.2:
                victim.send_signal(signal.SIGSTOP)
                continue
            victims.remove(victim)
            victim.kill()
            kills += victim.wait() == -signal.SIGKILL
    finally:
        for victim in victims:
            victim.kill()
            victim.wait()


def descriptors(pids):
    """Of pcid and the drivers, which may be asked by root alone."""
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)


def client_round(rig, watch, total, pcid, count):
    pids = [pcid, *(watch.pids(card)[-1] for card in range(2))]
    try:
        descriptors(pids)
    except PermissionError:
        pids = [pcid]
    before, again = None, 0  # who asked for values just now may not be quite gone
    while again < 5:
        now = descriptors(pids)
        before, again = now, again + 1 if now == before else 0
        time.sleep(0.05)
    generator, mirror = measuring_pair(rig, total["window"], 5000)  # none is lost
    kill_clients(rig, count)
    lost = judge(total, generator, mirror)
    end = time.monotonic() + PATIENCE
    while descriptors(pids) > before and time.monotonic() < end:
        time.sleep(0.01)
    return {"client_kills": count, "client_lost": lost, "client_descriptors_before": before,
            "client_descriptors_after": descriptors(pids), "client_descriptors_of": len(pids)}


def bench(folder, options):
    random.seed(options.seed)
    with Rig(folder, "cable:survive", "cable:survive", pcid=("--max-deaths", "0")) as rig:
        watch = Watch(rig)
        pcid = next(child.pid for name, child in rig.running if name == "pcid")
        stats = rig.stats(0)
        hold = stats["rx_ring"] + stats["tx_ring"] + BURSTS
        total = {"restart_ms": [], "lost": 0, "lost_by_one": [], "client_errors": 0, "corrupted": 0, "duplicated": 0, "reordered": 0,
                 "frames": 0, "window": hold}
        clients = client_round(rig, watch, total, pcid, options.clients) if options.clients else {}
        memory = []
        while len(total["restart_ms"]) < options.kills:
            kills = ROUNDS[len(memory) % len(ROUNDS)]
            one_round(rig, watch, total, min(kills, options.kills - len(total["restart_ms"])))
            time.sleep(0.1)
            memory.append((len(os.listdir(f"/proc/{pcid}/fd")), status(pcid, "VmRSS")))
            say(f"{len(total['restart_ms'])} kills: {memory[-1][0]} descriptors, {memory[-1][1]} KiB")
        after = [rig.stats(card) for card in range(2)]
        times = sorted(total["restart_ms"])
        result = {
            "kills": len(times), "frames": total["frames"], "client_errors": total["client_errors"],
            "corrupted": total["corrupted"], "duplicated": total["duplicated"], "reordered": total["reordered"],
            **clients,
            "restarts": sum(s["restarts"] for s in after), "lost_in_restart": sum(s["lost_in_restart"] for s in after)}
        if times:
            result.update({
                "lost_max": max(total["lost_by_one"], default=0), "rings_hold": hold, "lost": total["lost"],
                "restart_ms_median": round(statistics.median(times), 1),
                "restart_ms_p99": round(times[min(len(times) - 1, len(times) * 99 // 100)], 1),
                "pcid_descriptors_first": memory[0][0], "pcid_descriptors_last": memory[-1][0],
                "pcid_rss_kib_first": memory[0][1], "pcid_rss_kib_last": memory[-1][1]})
        return result
