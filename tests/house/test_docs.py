"""Is what the documents say still so: their examples, their links, the commands they name?"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from attncc.spec import load, lower
from tests.house.tree import ROOT

DOCUMENTS = [ROOT / name for name in ("README.md", "DESIGN.md", "STYLE.md", "CONTRIBUTING.md", "CHANGELOG.md")]


def blocks(language: str) -> Iterator[tuple[Path, str]]:
    """Every fenced block of a language, with the document it is in."""
    for document in DOCUMENTS:
        for found in re.finditer(r"^```(\w*)\n(.*?)^```$", document.read_text(encoding="utf-8"), re.M | re.S):
            if found[1] == language:
                yield document, found[2]


def mentioned(pattern: str) -> set[str]:
    """What `pattern` captures in code of the documents, inline or fenced."""
    text = "\n".join(document.read_text(encoding="utf-8") for document in DOCUMENTS)
    code = re.findall(r"^```\w*\n.*?^```$|`[^`\n]+`", text, re.M | re.S)
    return {name for snippet in code for name in re.findall(pattern, snippet, re.M)}


def test_pattern_examples_are_patterns(tmp_path: Path) -> None:
    for document, text in blocks("yaml"):
        file = tmp_path / f"{document.stem}.yaml"
        file.write_text(text, encoding="utf-8")
        assert lower.lower(load.read(file), {}).name in text


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_python_examples_run(document: Path, tmp_path: Path) -> None:
    """All of a document in one go, from top to bottom, where its pattern files lie."""
    write_patterns(document, tmp_path)
    program = "\n".join(text for found, text in blocks("python") if found == document)
    run = in_shell(f"{sys.executable} - <<'END'\n{program}\nEND", tmp_path)
    assert run.returncode == 0, run.stderr[-4000:]


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_shown_output_is_real(document: Path, tmp_path: Path) -> None:
    """What stands below `$ command` is what the command prints; an ellipsis stands for lines left out."""
    write_patterns(document, tmp_path)
    for _, session in (found for found in blocks("") if found[0] == document):
        for command, _, shown in (part.partition("\n") for part in session.split("$ ")[1:]):
            if command.startswith("attncc tune"):
                continue
            run = in_shell(command, tmp_path)
            printed = (run.stdout + run.stderr).rstrip("\n")
            for passage in shown.split("  …\n"):
                assert passage.rstrip("\n") in printed, f"$ {command}\n{printed}"


def write_patterns(document: Path, folder: Path) -> None:
    """Writes the pattern files that a document shows into `folder`, under the names of the patterns."""
    for found, text in blocks("yaml"):
        if found == document:
            name = re.findall(r"^pattern: (\w+)", text, re.M)[0]
            (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def in_shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs what a reader would type, with `attncc` being this checkout and a terminal of 80 columns."""
    attncc = f'attncc() {{ {sys.executable} -m attncc "$@"; }}'
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    shell = ["bash", "-c", f"{attncc}\n{command}"]
    return subprocess.run(shell, cwd=folder, env=settings, capture_output=True, text=True, check=False)


def test_links_lead_somewhere() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8")):
            assert target.startswith("https://") or (ROOT / target).exists(), f"{document.name}: {target}"


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    assert mentioned(r"\bmake ([a-z-]+)") <= targets


def test_commands_exist() -> None:
    commands = {path.stem for path in (ROOT / "attncc" / "cli" / "commands").glob("[a-z]*.py")}
    assert mentioned(r"^[`$ ]*attncc ([a-z]+)\b") <= commands


def test_readme_counts_the_patterns() -> None:
    counted = re.search(r"(\d+) shipped", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert counted
    assert int(counted[1]) == len(load.shipped())
