"""What became of the tests on a GPU? Read from the outcomes that `tests.gpu.run` keeps beside the record."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from attncc.errors import BenchFileUnreadable
from attncc.report.blocks import Block, Heading, Paragraph, Table

TESTS = "tests.jsonl"
BAD = ("failed", "hung", "crashed", "begun")


def section(home: Path) -> Iterator[Block]:
    """How many tests passed, and the others by name; nothing without a file. Raises BenchFileUnreadable."""
    found = outcomes(home / TESTS)
    if not found:
        return
    counts = Counter(outcome for outcome, _ in found.values())
    yield Heading("Tests on this GPU")
    yield Paragraph(", ".join(f"{count} {outcome}" for outcome, count in counts.items()) + ".")
    bad = [(f"`{test}`", outcome, said) for test, (outcome, said) in found.items() if outcome in BAD]
    if bad:
        yield Table(("test", "", "because"), bad)


def outcomes(path: Path) -> dict[str, tuple[str, str]]:
    """(outcome, reason) of each test, the last one of several. Raises BenchFileUnreadable."""
    if not path.exists():
        return {}
    found: dict[str, tuple[str, str]] = {}
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            one = json.loads(line)
            found[str(one["test"])] = (str(one["outcome"]), str(one["said"]))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BenchFileUnreadable(path, str(error)) from error
    return found
