"""Do the commands about plans say what plans say?"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from attncc.models.plan import ModelSizes
from attncc.models.plan_find import find, read, shipped
from tests.cli.run import attncc


def test_every_shipped_plan_is_listed() -> None:
    run = attncc("plan", "list", "--json")
    assert run.status == 0
    assert tuple(row["plan"] for row in json.loads(run.out)) == shipped()


def test_a_plan_is_shown_as_text_and_for_a_model(tmp_path: Path) -> None:
    run = attncc("plan", "show", "tidal_decode")
    (tmp_path / "shown.yaml").write_text(run.out)
    assert read(tmp_path / "shown.yaml") == find("tidal_decode")
    rows = json.loads(attncc("plan", "show", "tidal_decode", "--model", "32,32,8", "--json").out)
    assert [(row["phase"], row["layers"]) for row in rows] == [
        ("prefill", "0..31"), ("decode", "0..1"), ("decode", "2"), ("decode", "3..12"), ("decode", "13"),
        ("decode", "14..31"),
    ]  # fmt: skip
    assert rows[2]["runs"] == "tidal_decode top=256; keeps its choice as best_keys; itself dense"
    assert rows[3]["runs"] == "tidal_decode top=256; takes over best_keys"


def test_tables_become_plan_files(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "heads.tsv", np.eye(4), delimiter="\t")
    run = attncc("plan", "import", str(tmp_path / "heads.tsv"), "--sparsity", "0.75", "--out", str(tmp_path / "p.yaml"))
    assert (run.status, run.out) == (0, "")
    table = read(tmp_path / "p.yaml").table(ModelSizes(4, 4, 4))
    assert [[head.prefill.pattern is None for head in row] for row in table.heads] == np.eye(4, dtype=bool).tolist()
    (tmp_path / "table.json").write_text('[{"0": ["stream_llm", 4, 64, 1]}]')
    run = attncc("plan", "import", str(tmp_path / "table.json"))
    assert run.status == 0
    assert "a_shape_4_64: {pattern: a_shape, params: {sink: 4, window: 64}}" in run.out


def test_wrong_requests_get_a_sentence(tmp_path: Path) -> None:
    for arguments, said in [
        (("show", "duo"), "unknown plan 'duo'"),
        (("show", "hip", "--model", "32,6,4"), "6 query heads are no multiple of 4 KV heads"),
        (("show", "hip", "--model", "32"), "give three positive integers LAYERS,HQ,HKV"),
        (("import", str(tmp_path / "table.csv")), "neither a table of MInference"),
        (("import", str(tmp_path / "none.tsv")), "No such file"),
    ]:
        run = attncc("plan", *arguments)
        assert run.status == 2
        assert said in run.err
