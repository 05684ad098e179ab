# SPDX-License-Identifier: BSD-3-Clause
"""What doc/nicsim-registers.md and its like say that a card has is what it has."""
import pathlib
import re

DOC = pathlib.Path(__file__).parents[1] / "doc"
PAGE = DOC / "nicsim-registers.md"
CARDS = {"x540": "X540", "x550": "X550", "82599": "82599"}


def page():
    """(address, count, stride): (cards, state, mapped)."""
    rows = {}
    for line in PAGE.read_text().splitlines():
        match = re.match(r"\| 0x(\w+)(?: \+ (\d+) × 0x(\w+))? \| [^|]* \| ([^|]*) \| ([^|]*) \| [^|]* \| ([^|]*) \|$", line)
        assert match or not line.startswith("| 0x"), line
        if match:
            at, count, stride, cards, state, mapped = match.groups()
            key = int(at, 16), int(count or 1), int(stride or "4", 16)
            assert key not in rows, line
            rows[key] = set(cards.strip().split(", ")) if cards.strip() else set(CARDS.values()), state, mapped
    return rows


def listed(run, card):
    """(address, count, stride): what nicsim says of it."""
    rows = {}
    code, text = run.call("nicsim", "registers", card)
    assert code == 0
    for line in text.splitlines():
        at, count, stride, what = re.fullmatch(r"0x(\w+)(?: (\d+) times, 0x(\w+) apart)?: (.*)", line).groups()
        rows[int(at, 16), int(count or 1), int(stride or "4", 16)] = what
    return rows


def plausible(key, text, state):
    """A page's word for a register that nicsim describes so."""
    assert state in ("exact", "partial", "held", "constant", "never counts", "alias")
    assert (state == "alias") == ("by another address" in text), key
    # What acts is not said to be dead, what is dead not to act.
    assert state not in ("held", "constant", "never counts") or not text.endswith("acts"), key
    assert state != "constant" or "not writable" in text, key
    assert state != "never counts" or text.endswith("cleared by reading"), key


def test_each_register_is_on_the_page(run):
    told = page()
    for card, name in CARDS.items():
        has = listed(run, card)
        assert set(has) == {key for key, (cards, _, _) in told.items() if name in cards}
        for key, text in has.items():
            state = told[key][1]
            plausible(key, text, state)
    assert listed(run, "82599-kx4") == listed(run, "82599")


def test_those_of_the_82574l(run):
    rows = {}
    for line in (DOC / "nicsim-registers-82574l.md").read_text().splitlines():
        match = re.match(r"\| 0x(\w+)(?: \+ (\d+) × 0x(\w+))? \| [^|]* \| ([^|]*) \| [^|]* \|$", line)
        assert match or not line.startswith("| 0x"), line
        if match:
            at, count, stride, state = match.groups()
            rows[int(at, 16), int(count or 1), int(stride or "4", 16)] = state
    has = listed(run, "82574l")
    assert set(has) == set(rows)
    for key, text in has.items():
        plausible(key, text, rows[key])


def test_what_is_mapped(run):
    """The pages that --doorbells mapped shares: doc/nicsim.md."""
    counters = {key for key, text in listed(run, "x540").items() if text.endswith("cleared by reading")}
    for key, (_, state, mapped) in page().items():
        if key[0] >> 12 not in (0x1, 0x6, 0x7, 0xd):
            assert mapped == "as trapped", key
        elif key in counters or mapped == "not cleared":
            assert mapped == "not cleared", key
        else:
            assert mapped == ("next look" if state in ("exact", "partial") else "any bit"), key


def test_a_card_that_there_is_not(run):
    program = run.start("nicsim", "registers", "x541")
    assert program.wait() == 2
    assert "one of x540, x550, 82599" in program.text


def test_those_of_the_rtl8168(run):
    page = {}
    for line in (DOC / "nicsim-registers-rtl8168.md").read_text().splitlines():
        match = re.match(r"\| 0x(\w+) \| (\d) \| [^|]* \| ([^|]*) \| [^|]* \|$", line)
        assert match or not line.startswith("| 0x"), line
        if match:
            page[int(match[1], 16), int(match[2])] = match[3]
    lists = {}
    for card in "rtl8168", "rtl8168c", "rtl8161":
        code, text = run.call("nicsim", "registers", card)
        assert code == 0
        lists[card] = {(int(at, 16), int(size)): what for at, size, what in re.findall(r"^0x(\w+) of (\d) bytes?: (.*)$", text, re.M)}
        assert set(lists[card]) == set(page)
    for key, text in lists["rtl8168"].items():
        plausible(key, text, page[key])
    assert [lists[card][0x40, 4].split()[0] for card in lists] == ["0x28b00000", "0x3c200000", "0x28b00000"]
