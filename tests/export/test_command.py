"""Is a wrong request one sentence that says what would be right, before anything is written?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.run import attncc

FEW = ("--target", "A100", "--dtype", "float32", "--head-dim", "64")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a_shap",), "unknown pattern 'a_shap', and no such file; did you mean 'a_shape'?"),
        (("a_shape", "--target", "H10"), "unknown target 'H10'; did you mean 'H100'?"),
        (("a_shape", "--format", "wheel"), "'wheel' is not one of 'package', 'hub', 'aot'"),
        (("a_shape", "--name", "attncc"), "'attncc' cannot be the name of a package: it means something else"),
        (("a_shape", "--name", "Two Words"), "'Two Words' cannot be the name of a package: it is no name"),
        (("a_shape", "--head-dim", "7"), "head_dim"),
        (("a_shape", "--set", "windo=3"), "windo"),
        (("a_shape", "--dtype", "int8"), "'int8' is not a dtype"),
        ((), "Missing argument 'PATTERN...'"),
    ],
)
def test_a_wrong_request_is_one_sentence(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    found = attncc("export", *arguments, "--out", str(tmp_path / "out"))
    assert found.status == 2
    assert said in found.err
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_among_other_files(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    found = attncc("export", "causal", "--out", str(tmp_path), *FEW)
    assert found.status == 2
    assert found.err.endswith("is not an empty directory; name one that is empty or does not exist yet\n")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ("pattern: causal\n", "another pattern has the names Causal and causal and causal_with_lse too"),
        ("pattern: layers\n", "a function of the package would have its name, which means something else"),
        (
            "pattern: mine\ninputs:\n  scale: {per: token, about: a scale}\n",
            "its function cannot have an argument called scale",
        ),
    ],
)
def test_names_that_mean_something_else_are_refused(declared: str, said: str, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mask = "kv <= q and scale[q] == scale[kv]" if "scale" in declared else "kv <= q"
    mine.write_text(f"{declared}about: Another one.\nsource: none\nmask: {mask}\n")
    found = attncc("export", "causal", str(mine), "--out", str(tmp_path / "out"), *FEW)
    assert found.status == 2
    assert "cannot be exported: " in found.err
    assert said in found.err


def test_words_of_a_pattern_file_cannot_end_a_string(tmp_path: Path) -> None:
    mine, out = tmp_path / "mine.yaml", tmp_path / "out"
    about = json.dumps('Three """ quotes, a \\ and a | too.')
    mine.write_text(f"pattern: mine\nabout: {about}\nsource: none\nmask: kv <= q\n")
    assert attncc("export", str(mine), "--out", str(out), *FEW, "--name", "ours").status == 0
    for file in (out / "ours").rglob("*.py"):
        compile(file.read_text(), str(file), "exec")


def test_a_pattern_of_ones_own_is_exported_with_its_parameters(tmp_path: Path) -> None:
    mine = tmp_path / "near.yaml"
    mine.write_text(
        "pattern: near\nabout: The last keys.\nsource: none\nparams:\n  reach: {default: 9, min: 1, about: keys}\n"
        "mask: kv <= q and q - kv < reach\n"
    )
    out = tmp_path / "out"
    found = attncc("export", str(mine), "causal", "--set", "reach=5", "--out", str(out), "--name", "ours", *FEW)
    assert found.status == 0, found.err
    assert found.out.startswith(f"{out}: ")
    provenance = json.loads((out / "ours" / "PROVENANCE.json").read_text())
    assert [(one["pattern"], one["params"]) for one in provenance["patterns"]] == [
        ("near", {"reach": 5}),
        ("causal", {}),
    ]
    assert provenance["patterns"][0]["document"] == mine.read_text()


def test_the_same_request_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert attncc("export", "causal", "--out", str(tmp_path / name), *FEW).status == 0
    first, second = (
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }
        for name in ("one", "two")
    )
    assert first == second
    assert str(tmp_path).encode() not in b"".join(first.values())
