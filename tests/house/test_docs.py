"""Is what the documents say still so: their examples, their links, the commands they name?"""

from __future__ import annotations

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
        for found in re.finditer(rf"^```{language}\n(.*?)^```$", document.read_text(encoding="utf-8"), re.M | re.S):
            yield document, found[1]


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
def test_python_examples_run(tmp_path: Path) -> None:
    """Those of one document in one go, from top to bottom, where its pattern files lie."""
    for document in DOCUMENTS:
        for number, (_, text) in enumerate(found for found in blocks("yaml") if found[0] == document):
            name = re.search(r"^pattern: (\w+)", text, re.M)
            (tmp_path / f"{name[1] if name else number}.yaml").write_text(text, encoding="utf-8")
        program = "\n".join(text for found, text in blocks("python") if found == document)
        run = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{program}"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, f"{document.name}\n{run.stderr[-4000:]}"


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
