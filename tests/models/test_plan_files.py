"""Is a wrong plan file refused with all of its mistakes, each at its place?"""

from __future__ import annotations

from pathlib import Path

import pytest

from attncc.errors import PlanFileError, PlanFileUnreadable
from attncc.models.plan_file import PLAN, check
from attncc.models.plan_find import find, read
from attncc.spec.origin import Origin

HEAD = "plan: mine\n"
USES = "uses: {near: sliding_window, best: {pattern: quest, share: pages}, same: {reuse: pages}}\n"
EMPTY = "rules: []\n"
EMPTY = "rules: []\n"
RULES = "rules:\n  - {both: near}\n"


def said(text: str) -> list[str]:
    """Place and sentence of each mistake."""
    try:
        check(Origin("f", text), Path())
    except PlanFileError as error:
        return [f"{each.line}:{each.column}: {each.sentence}" for each in error.diagnostics]
    return []


def test_a_file_without_mistakes() -> None:
    assert not said(HEAD + USES + RULES)
    assert not said(HEAD + "rules: []\n")


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", ["1:1: the file is empty; a plan needs at least 'plan' and 'rules'"]),
        ("kv <= q", ["1:1: a plan file is a table of keys, as in 'plan: streaming'"]),
        (HEAD, ["1:1: the key 'rules' is missing"]),
        (HEAD + RULES, ["3:12: unknown use 'near'; known: dense"]),
        (HEAD + USES + "rules: near\n", ["3:8: 'rules' holds a list, one rule an item, as in '- {layers: all, both: "]),
        (HEAD + "rule: []\nrules: []\n", ["2:1: unknown key 'rule'; did you mean 'rules'?"]),
        (HEAD + "scope: heads\nrules: []\n", ["2:8: unknown scope 'heads'; known: kv, q"]),
        (
            HEAD + USES + "rules:\n  - {layers: some, both: near}\n  - {heads: [1, 3..2], both: near}\n",
            ["4:14: 'some' is none of all, 3, -1, 0..5", "5:17: '3..2' is none of all"],
        ),
        (
            HEAD + USES + "rules:\n  - {layers: 3}\n  - {both: near, decode: near}\n",
            ["4:5: a rule says 'prefill' or 'decode'", "5:5: a rule says 'prefill' or 'decode'"],
        ),
        (
            HEAD + "uses:\n  a: slidin_window\n  b: {pattern: a_shape, params: {windw: 3, sink: -1}}\nrules: []\n",
            [
                "3:6: unknown pattern 'slidin_window', and no such file; did you mean 'sliding_window'?",
                "4:34: pattern 'a_shape' has no parameter 'windw'; did you mean 'window'?",
                "4:50: 'sink' must be an integer, 0 or more",
            ],
        ),
        (
            HEAD + "uses:\n  dense: causal\n  a: {share: x}\n  b: {pattern: quest, reuse: x}\nrules: []\n",
            [
                "3:3: 'dense' means something already",
                "4:3: 'a' needs either a 'pattern' or a choice to 'reuse'",
                "5:3: 'b' needs either a 'pattern' or a choice to 'reuse'",
            ],
        ),
        (
            HEAD
            + "uses:\n  a: {pattern: a_shape, share: x, refresh: 4}\n  b: {pattern: quest, attend_all: true}\n"
            + EMPTY,
            [
                "3:32: pattern 'a_shape' chooses nothing at run time, so there is no 'share'",
                "3:44: pattern 'a_shape' chooses nothing at run time, so there is no 'refresh'",
                "4:35: only a use with 'share' chooses for others",
            ],
        ),
        (
            HEAD + "uses: {same: {reuse: pages}}\nrules: []\n",
            ["2:8: no use shares 'pages'; shared are: none"],
        ),
        (
            HEAD + "uses: {a: {pattern: quest, share: x}, b: {pattern: quest, share: x}, c: {reuse: x}}\nrules: []\n",
            ["2:70: more than one use shares 'x'; shared are: x, x"],
        ),
        (
            HEAD + "uses: {a: {pattern: quest, share: x}, c: {reuse: x, refresh: 4}}\nrules: []\n",
            ["2:39: with 'reuse' pattern, parameters and refresh are those of the use that shares"],
        ),
        (
            HEAD + "model: {layers: 0, q_heads: 6, kv_heads: 4}\nrules: []\n",
            ["2:8: q_heads must be a multiple of kv_heads; 6 is none of 4", "2:17: this must be an integer, 1 or more"],
        ),
        (HEAD + "model: {layers: 2}\nrules: []\n", ["2:8: 'model' has no 'q_heads'", "2:8: 'model' has no 'kv_heads'"]),
        (
            HEAD + "uses: {a: &x quest, b: *x}\nrules: []\n",
            ["2:11: anchors and aliases ('&', '*') are not"],
        ),
        (HEAD + "rules: []\n---\nplan: two\n", ["3:1: one file holds one plan; a second document begins here"]),
    ],
)
def test_mistakes_and_their_places(text: str, sentences: list[str]) -> None:
    found = said(text)
    assert len(found) == len(sentences), found
    for sentence, expected in zip(found, sentences, strict=True):
        assert sentence.startswith(expected), sentence


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PlanFileUnreadable, match=r"cannot read the plan file .*: it is not a file"):
        read(tmp_path)
    with pytest.raises(PlanFileUnreadable, match="No such file"):
        find(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"plan: \xff\n")
    with pytest.raises(PlanFileError, match="this is not text; plan files are UTF-8"):
        read(tmp_path / "bytes.yaml")
    (tmp_path / "long.yaml").write_bytes(b" " * (PLAN.characters + 1))
    with pytest.raises(PlanFileUnreadable, match="which no plan needs"):
        read(tmp_path / "long.yaml")


def test_more_values_than_a_plan_has() -> None:
    assert "more than 100,000 values; this is not a plan file" in said(HEAD + "rules: [" + "[]," * 60_000 + "]\n")[0]
