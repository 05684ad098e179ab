# SPDX-License-Identifier: BSD-3-Clause
"""What nicsim --strict said of a driver, against the page that lists what drivers do: doc/strict.md."""
import re

import lab


def rows(driver):
    """What the page says of a driver: patterns. In its words "…" stands for anything."""
    found = []
    for line in (lab.ROOT / "doc/strict.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) > 3 and driver in cells[2].split(", "):
            found += [".*".join(map(re.escape, words.split("…"))) for words in re.findall("`([^`]+)`", cells[1])]
    return found


def unlisted(card, driver):
    """What a nicsim printed after the lines in which it began, and the page does not list of the driver."""
    said = [line for line in card.lines if not re.search(" on .*, wire ", line)]
    return [line for line in said
            if not any(re.fullmatch(f"nicsim: .*: strict: {row}", line) for row in rows(driver))]
