"""Is what is compiled for absent GPUs kept, compiled once, and told?"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from attncc.report import static
from tests.cli.run import attncc


def test_a_kernel_is_compiled_once_and_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(static, "ARCHES", ("sm_90",))
    monkeypatch.setattr(static, "EVERY_CALL", (("prefill", 64),))
    outcome = attncc("report", "--static", "--only", "causal", "--out", str(tmp_path))
    page, offline = map(Path, outcome.out.splitlines()[-2:])
    for text in (page.read_text(encoding="utf-8"), offline.read_text(encoding="utf-8")):
        assert "wgmma" in text
        assert "0 bytes" in text, "nothing spills"
    ((case, first),) = static.compiled(static.cases(["causal"]), page.parent)
    assert case == static.Case("causal", "sm_90", "prefill", 64)
    assert first.spill_bytes == 0
    assert first.programs > 0

    def never(*_: object) -> None:
        raise AssertionError("what is known is not compiled again")

    monkeypatch.setattr(static, "_compiled", never)
    assert [kept for _, kept in static.compiled(static.cases(["causal"]), page.parent)] == [first]


def test_what_is_no_longer_listed_is_dropped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first, second = (static.Case("causal", "sm_90", "prefill", head_dim) for head_dim in (64, 128))
    rows = [asdict(static.Compiled(case, "", "", "", reason="not built")) for case in (first, second)]
    home = tmp_path / "static"
    home.mkdir()
    (home / static.DATA).write_text(json.dumps({"kernels": rows}), encoding="utf-8")
    monkeypatch.setattr(static, "cases", lambda: [second])
    page, _ = static.write(home)
    assert json.loads((home / static.DATA).read_text(encoding="utf-8")) == json.loads(json.dumps({"kernels": rows[1:]}))
    assert page.read_text(encoding="utf-8").count("| causal") == 1


def test_an_unknown_pattern_is_named(tmp_path: Path) -> None:
    outcome = attncc("report", "--static", "--only", "cuasal", "--out", str(tmp_path))
    assert outcome.status == 2
    assert "causal" in outcome.err
