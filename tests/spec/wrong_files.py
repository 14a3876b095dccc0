"""The wrong files, and `python -m tests.spec.wrong_files`, which writes down what is said about each."""

from __future__ import annotations

from pathlib import Path

from attncc.errors import PatternFileError
from attncc.spec.load import read

FOLDER = Path(__file__).parent / "wrong"
FILES = tuple(sorted(FOLDER.glob("*.yaml")))


def said(path: Path) -> str:
    """The message for the file at `path`, with its name instead of its path; "" if nothing is wrong."""
    try:
        read(path)
    except PatternFileError as error:
        return str(error).replace(str(path), path.name) + "\n"
    return ""


if __name__ == "__main__":
    for file in FILES:
        file.with_suffix(".txt").write_text(said(file), encoding="utf-8")
