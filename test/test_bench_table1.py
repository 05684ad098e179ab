# SPDX-License-Identifier: BSD-3-Clause
"""bench/run table1 counts what touches raw device memory; and that is little, in each driver."""
import json
import os
import shlex
import subprocess
import sys

import pytest

from lab import BUILD, ROOT

sys.path.insert(0, str(ROOT / "bench"))
import table1  # noqa: E402

pytestmark = pytest.mark.once

# Each line says whether it is counted: C code, R code that touches, nothing for none.
SAMPLE = """\
#include "pci/mem.h" // C
/* A comment that is not code.
 */

struct it { // C
	dma_word __dma *words; // R
	int other; // C
}; // C
static const char *text = "/* no comment"; // C
static inline dma_word __dma *at(struct it *it, int i) // R
{ // R
	/* of its own */
	return it->words + i; // R
} // R
static inline int twice(int n) // C
{ // C
	return 2 * n; // C
} // C
static inline unsigned long use(struct it *it) // C
{ // C
	dma_word __dma *word = at(it, twice(1)); // R

	dma_write(at(it, 0), // R
		it->other); // C
	dma_write(word, 1); // R
	return dma_read( // C
		it->words); // R
} // C
static inline unsigned long plain(dma_word __dma *word) // R
{ // C
	const unsigned long *bare = (const unsigned long *)(uintptr_t)word; // R

	return bare[0] + // R
	       bare[1]; // R
} // C
"""


def test_what_counts(tmp_path):
    """Comments and blank lines are no code; lines that declare, form, use or unwrap such a pointer touch."""
    path = tmp_path / "sample.c"
    path.write_text(SAMPLE)
    wanted = {kind: {number for number, line in enumerate(SAMPLE.splitlines(), 1) if f"// {kind}" in line} for kind in "CR"}
    assert table1.code_lines(SAMPLE) == wanted["C"] | wanted["R"]
    used = {line for name, line in table1.used_lines(f"cc -I{ROOT} -c {shlex.quote(str(path))}", tmp_path)
            if name == os.path.realpath(path)}
    touching = table1.named_lines(SAMPLE) | used
    assert table1.code_lines(SAMPLE) & (touching | table1.followed_lines(SAMPLE, touching)) == wanted["R"]


def test_drivers_stay_below_five_per_cent():
    done = subprocess.run([ROOT / "bench" / "run", "table1", "--json", "--build", BUILD], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert set(result["drivers"]) == {path.name for path in (ROOT / "nic").iterdir() if path.is_dir()}
    for name, row in result["drivers"].items():
        assert row["lines"] > 500 and 0 < row["raw"] < 0.05 * row["lines"], f"{name}: {row}"
    # The lines that call an accessor are among them, wherever the pointer stands on the same line.
    counted = set(sum(result["raw_lines"].values(), []))
    for path in (ROOT / "nic").rglob("*.[ch]"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if "dma_read(ring_word(" in line or "mmio_write32(direct" in line:
                assert f"{path.relative_to(ROOT)}:{number}" in counted, line
    table = table1.text(result)
    assert all(f"nic/{name} " in table for name in result["drivers"]) and "7.5 %" in table
