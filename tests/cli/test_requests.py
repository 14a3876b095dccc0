"""Is every wrong request answered by one sentence and the status of the contract, never by a traceback?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.run import attncc

WRONG = {
    "no such command": (("dance",), "dance"),
    "no such option": (("show", "causal", "--colour"), "--colour"),
    "no such stage": (("show", "causal", "--stage", "paint"), "paint"),
    "misspelt pattern": (("show", "a_shap"), "a_shape"),
    "misspelt parameter": (("show", "a_shape", "--set", "windw=3"), "window"),
    "parameter without a number": (("show", "a_shape", "--set", "window=wide"), "window=512"),
    "parameter out of range": (("show", "a_shape", "--set", "window=-1"), "window"),
    "short shape": (("show", "causal", "--shape", "1,2,3"), "six"),
    "zero in a shape": (("show", "causal", "--shape", "1,1,1,0,64,64"), "positive"),
    "more keys than there are": (("show", "causal", "--shape", f"1,1,1,1,{10**20},64"), "nine digits"),
    "uneven heads": (("show", "causal", "--shape", "1,3,2,64,64,64"), "multiple"),
    "head_dim without kernels": (("show", "causal", "--stage", "cpu", "--shape", "1,1,1,8,8,65"), "multiples of 8"),
    "tuning a head_dim without kernels": (("tune", "causal", "--shape", "1,2,2,8,8,7"), "multiples of 8"),
    "neither PNG nor SVG": (("show", "causal", "--image", "picture.foo"), ".png or .svg"),
    "unknown dtype": (("show", "causal", "--stage", "cpu", "--dtype", "int8"), "bf16"),
    "unknown target": (("show", "causal", "--stage", "triton", "--target", "h1000"), "H100"),
    "library entry that is not there": (("library", "info", "nothing"), "nothing"),
    "pruning everything by accident": (("library", "prune"), "--pattern"),
    "merging from nowhere": (("library", "merge", "nowhere"), "nowhere"),
    "tuning nothing": (("tune",), "PATTERN"),
    "unknown strategy": (("tune", "causal", "--strategy", "luck"), "descent"),
    "unreadable budget": (("tune", "causal", "--budget", "much"), "90s"),
    "no budget at all": (("tune", "causal", "--budget", "0"), "90s"),
}


@pytest.mark.parametrize(("arguments", "said"), WRONG.values(), ids=WRONG.keys())
def test_wrong_requests_get_a_sentence(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    outcome = attncc(*arguments, *(("--library", str(tmp_path / "kept")) if arguments[0] == "library" else ()))
    assert outcome.status == 2
    assert said in outcome.err
    assert not outcome.out


def test_mistakes_in_a_file_are_shown_in_place(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("pattern: mine\nabout: x\nsource: y\nmask: kv <= qq\n", encoding="utf-8")
    outcome = attncc("show", str(path))
    assert outcome.status == 2
    assert f"{path}:4:13" in outcome.err
    assert "^^" in outcome.err


def test_a_folder_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    outcome = attncc("show", "causal", "--image", str(in_the_way / "picture.png"))
    assert outcome.status == 1
    assert "file" in outcome.err


def test_a_reader_that_leaves_early_gets_no_traceback() -> None:
    command = f"{sys.executable} -m attncc show causal --stage cpu | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, env=os.environ)
    assert "Traceback" not in done.stderr


def test_help_names_every_command() -> None:
    said = attncc("--help").out
    for name in ("tune", "show", "verify", "report", "library", "doctor", "patterns"):
        assert name in said


@pytest.mark.parametrize(
    "command", ["show causal", "show causal --stage cpu", "doctor", "patterns", "library list", "--help"]
)
def test_looking_needs_no_torch(command: str) -> None:
    arguments = [sys.executable, "-X", "importtime", "-m", "attncc", *command.split()]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert done.returncode == 0, done.stderr[-800:]
    assert not {"torch", "triton", "matplotlib"} & imported
