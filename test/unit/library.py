#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What libixgbed promises: that its headers are complete each alone, in C17 and C++17; that it exports what they
declare and nothing else; that each function is named in a man page.

    library.py SOURCE-FOLDER libixgbed.so"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT, LIBRARY = pathlib.Path(sys.argv[1]), sys.argv[2]
HEADERS = ["pci/mem.h", "pci/pci.h", "nic/nic.h", "nic/pool.h", "nic/card.h", "nic/forward.h", "scheme/scheme.h",
           "scheme/ring.h"]
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror", "-fsyntax-only", f"-I{ROOT}"]
COMPILERS = [["gcc", "-std=c17", "-xc"], ["clang", "-std=c17", "-xc"], ["clang++", "-std=c++17", "-xc++"]]
if shutil.which("g++"):
    COMPILERS.append(["g++", "-std=c++17", "-xc++"])
faults = []


def run(*command, text=""):
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def installed():
    """The headers that a folder's meson.build installs."""
    for folder in ("pci", "nic", "scheme"):
        line = re.search(r"install_headers\((.*?), subdir: 'ixgbed/", (ROOT / folder / "meson.build").read_text())
        yield from (f"{folder}/{name}" for name in re.findall(r"'([a-z_]+\.h)'", line[1]))


def declared(header):
    """Functions that the header itself declares: (name, whether they are inline)."""
    with tempfile.NamedTemporaryFile("r") as file:
        run("gcc", "-std=c17", "-xc", f"-I{ROOT}", "-fsyntax-only", "-aux-info", file.name, "-",
            text=f'#include "{header}"\n')
        for line in file:
            found = re.match(rf"/\* \S*{header}:\d+:N[CF] \*/ (extern|static) .*?\b(\w+) \(", line)
            if found and "typedef" not in line:
                yield found[2], found[1] == "static"


for header in HEADERS:
    for compiler in COMPILERS:
        done = run(*compiler, *WARNINGS, "-", text=f'#include "{header}"\n')
        if done.returncode:
            faults.append(f"{header} alone, {' '.join(compiler[:2])}:\n{done.stderr}")

for header in sorted(set(installed()) ^ set(HEADERS)):
    faults.append(f"{header}: installed and not tested here, or the other way round")

pages = {page: page.read_text() for page in (ROOT / "doc").glob("*.3.scd")}
public, functions = set(), set()
for header in HEADERS:
    if not any(f"<{header}>" in text for text in pages.values()):
        faults.append(f"{header}: no man page (doc/*.3.scd) has #include <{header}>")
    for name, inline in declared(header):
        functions.add(name)
        if not inline:
            public.add(name)
        if not any(f"*{name}*(" in text for text in pages.values()):
            faults.append(f"{name}() of {header}: no man page (doc/*.3.scd) names it, as *{name}*(")
if len(public) < 50:
    faults.append(f"only {len(public)} functions found in the headers: this test is broken")

symbols = run("nm", "-D", "--defined-only", "--with-symbol-versions", LIBRARY).stdout.split("\n")
exported = {line.split()[2].split("@")[0] for line in symbols if "@@IXGBED_" in line}
others = [line for line in symbols if line and "IXGBED_" not in line.split()[2]]
for name in sorted(public - exported):
    faults.append(f"{name}() is in a public header and not in lib/libixgbed.map")
for name in sorted(exported - public):
    faults.append(f"{name}() is in lib/libixgbed.map and in no public header")
for line in others:
    faults.append(f"exported without a version: {line}")

print("\n".join(faults) or f"{len(public)} functions, {len(functions) - len(public)} inline, in {len(pages)} pages")
sys.exit(bool(faults))
