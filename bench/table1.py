# SPDX-License-Identifier: BSD-3-Clause
"""bench/run table1: the paper's Table 1. Lines of each driver and of what drivers share, and how many of them touch raw
device memory: lines that declare, form or use a pointer with the annotation __iomem or __dma (pci/mem.h), whose
dereference anywhere else clang refuses (noderef) when it builds. doc/benchmarks.md says what counts."""
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess

import rig

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The folders that drivers share; each folder below nic/ is a driver.
SHARED = {"nic": "the class", "pci": "PCI, registers, DMA", "daemon": "the daemons"}
# Table 1 of the paper: lines, of them unsafe, and the share as it stands there.
PAPER = {"ixgbed (paper)": (901, 68, 7.5), "e1000 (paper)": (421, 117, 27.7), "rtl8168 (paper)": (399, 114, 28.6)}

TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|//[^\n]*|/\*.*?\*/', re.S)
ANNOTATED = re.compile(r"\b__(iomem|dma)\b")
PLAIN = re.compile(r"\*\w+ = \([^()]*\*\)\(uintptr_t\)")
USE = re.compile(r"^(.+?):(\d+):\d+: warning: ")


def without_comments(text):
    """The text with comments blanked out, on the same lines."""
    def blank(match):
        found = match.group()
        return "\n" * found.count("\n") if found.startswith("/") else found
    return TOKEN.sub(blank, text)


def code_lines(text):
    """The numbers of the lines that are neither blank nor only a comment: what cloc calls code."""
    return {number for number, line in enumerate(without_comments(text).split("\n"), 1) if line.strip()}


def named_lines(text):
    """The lines that write the annotation, and all of a function that returns such a pointer."""
    lines = without_comments(text).split("\n")
    found = set()
    inside = False
    for number, line in enumerate(lines, 1):
        annotated = bool(ANNOTATED.search(line))
        if annotated and re.match(r"[a-z].*\b__(iomem|dma) \*\w+\(", line):
            inside = not line.rstrip().endswith(";")  # or else it is declared only
        if annotated or inside and line.strip():
            found.add(number)
        if line.rstrip() == "}":
            inside = False
    return found


def followed_lines(text, touching):
    """Behind a line that makes a plain pointer of such a one: the rest of its function."""
    found = set()
    inside = False
    for number, line in enumerate(without_comments(text).split("\n"), 1):
        inside = (inside or number in touching and bool(PLAIN.search(line))) and line.rstrip() != "}"
        if inside and line.strip():
            found.add(number)
    return found


def used_lines(command, folder):
    """(file, line) of each use of a pointer with the annotation in what a command of the build compiles: clang is told
    that all that is declared with it is deprecated, and warns of each use by its line."""
    words = shlex.split(command)[1:]
    kept = [word for word in words if word.startswith(("-I", "-D", "-std", "-m"))] + [words[-1]]
    done = subprocess.run(
        ["clang", "-fsyntax-only", "-Wno-everything", "-Wdeprecated-declarations", "-Wignored-attributes",
         '-Dnoderef=deprecated("raw")', "-fno-caret-diagnostics", "-fno-color-diagnostics", "-ferror-limit=0", *kept],
        cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise rig.Failure(f"clang does not read {words[-1]}:\n{done.stderr[:400]}")
    return {(os.path.realpath(folder / match.group(1)), int(match.group(2)))
            for match in map(USE.match, done.stderr.splitlines()) if match}


def uses(folder):
    """All of them, over every file of the parts counted, and each of the paths that it is compiled for."""
    if not shutil.which("clang"):
        raise rig.Failure("clang is missing, which finds the uses: apt-get install clang")
    wanted = tuple(str(ROOT / part) + "/" for part in SHARED)
    commands = {entry["command"] for entry in json.loads((folder / "compile_commands.json").read_text())
                if os.path.realpath(folder / entry["file"]).startswith(wanted)}
    with concurrent.futures.ThreadPoolExecutor(rig.CORES) as pool:
        return set().union(*pool.map(lambda command: used_lines(command, folder), commands))


def count(part, deep, used):
    """Of a folder's C files; `deep`: of those below it, too."""
    files = sorted(path for path in (ROOT / part).glob("**/*" if deep else "*") if path.suffix in (".c", ".h"))
    lines, raw = 0, []
    for path in files:
        text = path.read_text(encoding="utf-8")
        code = code_lines(text)
        touching = named_lines(text) | {line for name, line in used if name == str(path.resolve())}
        touching = code & (touching | followed_lines(text, touching))
        lines += len(code)
        raw += [f"{path.relative_to(ROOT)}:{line}" for line in sorted(touching)]
    return {"files": len(files), "lines": lines, "raw": len(raw), "percent": round(100 * len(raw) / lines, 1)}, raw


def bench(folder, options):
    del options
    used = uses(folder)
    drivers = sorted(path.name for path in (ROOT / "nic").iterdir() if path.is_dir())
    rows, where = {}, {}
    for name in drivers:
        rows[name], where[name] = count(f"nic/{name}", True, used)
    shared = {}
    for part in SHARED:
        shared[part], where[part] = count(part, False, used)
    paper = {name: dict(zip(("lines", "raw", "percent"), values)) for name, values in PAPER.items()}
    return {"drivers": rows, "shared": shared, "paper": paper, "raw_lines": where}


def text(result):
    """The table, for people."""
    def row(name, values):
        return f"{name:<28}{values['lines']:>8,}{values['raw']:>8,}{values['percent']:>9.1f} %"
    lines = [f"{'':<28}{'lines':>8}{'raw':>8}{'share':>11}"]
    lines += [row(f"nic/{name}", values) for name, values in result["drivers"].items()]
    lines += [row(f"{part}/ ({SHARED[part]})", values) for part, values in result["shared"].items()]
    lines += [row(name, values) for name, values in result["paper"].items()]
    lines.append("raw: lines that touch raw device memory; in the paper, unsafe lines")
    return "\n".join(lines)
