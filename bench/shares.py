# SPDX-License-Identifier: BSD-3-Clause
"""What clients cost each other: four that send as fast as they can, then beside one that sends what is refused, and
beside some that never read; and one that reads, alone and beside some that never do."""
import json
import pathlib
import socket
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "test"))
import scheme_client  # noqa: E402
from rig import Failure, Rig, medians, say  # noqa: E402

SENDERS = 4
SLEEPERS = 8
GEN_RATE = 100000


def be_a_bad_client(root, name, kind):
    """Until it is killed: sends frames that are refused, as fast as they are taken; or opens for reading, and sleeps."""
    if kind == "garbage":
        handle = scheme_client.Handle(root, name, access=scheme_client.WRITE)
        print("open", flush=True)
        while True:
            handle.write(b"\xff" * 13)
    handle = scheme_client.Handle(root, name, access=scheme_client.READ)
    print("open", flush=True)
    socket.socketpair()[0].recv(1)


class Bad:
    """So many bad clients, open and at work until it is left."""

    def __init__(self, rig, kind, count):
        self.children = [subprocess.Popen([sys.executable, __file__, rig.env["SCHEME_ROOT"], "card0_ixgbe", kind],
                                          stdout=subprocess.PIPE, text=True) for _ in range(count)]

    def __enter__(self):
        for child in self.children:
            if child.stdout.readline() != "open\n":
                raise Failure("a bad client could not open the scheme")
        return self

    def __exit__(self, *_):
        for child in self.children:
            child.kill()
            child.wait()
            child.stdout.close()


def senders(rig, seconds, beside):
    """Frames that each of the senders got rid of, in the same time."""
    started = [subprocess.Popen([rig.program("rheinfall"), "--url", rig.url(0), "--quiet", "--json", "--generate", "--one-way",
                                 "--size", "60", "--burst", "1", "--no-promisc", "--duration", str(seconds)], env=rig.env,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) for _ in range(SENDERS)]
    results = [child.communicate()[0] for child in started]
    if any(child.returncode for child in started):
        raise Failure(f"a sender failed beside {beside}")
    return [json.loads(text)["tx_frames"] for text in results]


def sending(rig, options):
    runs = []
    for _ in range(options.repeat):
        alone = senders(rig, options.seconds, "nobody")
        with Bad(rig, "garbage", 1):
            garbage = senders(rig, options.seconds, "garbage")
        with Bad(rig, "sleep", SLEEPERS):
            sleepers = senders(rig, options.seconds, "sleepers")
        fair = sum(alone) / SENDERS
        runs.append({"send_share_min": min(alone) / fair, "send_share_max": max(alone) / fair,
                     # Who sends garbage is one more client, with a share as large as the others'.
                     "send_share_beside_garbage": min(garbage) / (sum(alone) / (SENDERS + 1)),
                     "send_share_beside_sleepers": min(sleepers) / fair})
        say("sending: " + ", ".join(f"{name} {value:.2f}" for name, value in runs[-1].items()))
    return medians(runs)


def reader(rig, seconds):
    return rig.rheinfall(0, "--receive", "--duration", seconds)["rx_frames"]


def reading(rig, options):
    runs = []
    for _ in range(options.repeat):
        alone = reader(rig, options.seconds)
        with Bad(rig, "sleep", SLEEPERS):
            beside = reader(rig, options.seconds)
        runs.append({"read_share_beside_sleepers": beside / alone})
        say(f"reading: beside sleepers {beside / alone:.2f} of alone")
    return medians(runs)


def bench(folder, options):
    with Rig(folder, "sink") as rig:
        result = sending(rig, options)
    with Rig(folder, f"gen:60@{GEN_RATE}") as rig:
        result |= reading(rig, options)
    return {"senders": SENDERS, "sleepers": SLEEPERS, **{name: round(value, 3) for name, value in result.items()}}


if __name__ == "__main__":
    be_a_bad_client(*sys.argv[1:])
