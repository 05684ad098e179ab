# SPDX-License-Identifier: BSD-3-Clause
"""bench/run all: every benchmark into one file, with machine, compiler and commit, and plots of them."""
import importlib
import json
import pathlib
import subprocess

import plots
import rig

ROOT = pathlib.Path(__file__).resolve().parent.parent


def commit():
    done = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--abbrev=40", "--dirty"], capture_output=True, text=True,
                          check=False)
    return done.stdout.strip() or "unknown"


def compiler(folder):
    """What a build folder was made with: the compiler's own first line, and how it is called for one of the files."""
    command = next(entry["command"] for entry in json.loads((folder / "compile_commands.json").read_text())
                   if entry["file"].endswith("ixgbe_rx.c"))
    words = command.split()
    done = subprocess.run([words[0], "--version"], capture_output=True, text=True, check=False)
    return {"version": done.stdout.splitlines()[0] if done.stdout else "unknown",
            "options": " ".join(word for word in words if word.startswith(("-O", "-m", "-std", "-f", "-g")))}


def bench(folder, options):
    to = options.to or ROOT / "build-bench" / "results"
    to.mkdir(parents=True, exist_ok=True)
    plots.check()
    result = {"commit": commit(), "compiler": compiler(folder), "machine": rig.machine()}
    failures = []
    for word in options.words:
        rig.say(f"== {word}")
        try:
            result[word] = importlib.import_module(word).bench(folder, options)
        except rig.Failure as failure:  # the others' hours are not lost
            result[word] = {"failed": str(failure)}
            failures.append(f"{word}: {failure}")
        (to / "bench.json").write_text(json.dumps(result, indent=2) + "\n")
    drawn = plots.draw(result, to)
    if failures:
        raise rig.Failure(f"{to}/bench.json has the rest; failed: " + "; ".join(failures))
    return {"file": str(to / "bench.json"), "plots": [str(path) for path in drawn]}
