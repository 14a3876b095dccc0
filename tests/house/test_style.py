"""Do the files keep the rules of STYLE.md that a program can check?"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.house.tree import ROOT, definitions, module_name, modules, parsed, sources, texts

FILE_LINES, FUNCTION_LINES = 300, 60

VAGUE = {"manager", "helper", "helpers", "util", "utils", "common", "handler", "engine", "context", "info", "impl"}

#: `attncc library info` is a command of the contract.
ALLOWED_NAMES = {("attncc.cli.commands.library", "info")}

#: The errors are one list, read like the last chapter of a manual.
LISTS = {"attncc/errors.py"}

#: In two halves each, so that this file does not name them either.
ELSEWHERE = re.compile(
    "|".join(["/wo" + "rk/", "/opt/wh" + "eels", "/ro" + "ot/", "pypi" + r"\.org", "pythonho" + "sted"])
)
UNFINISHED = re.compile(r"\b(TO" + "DO|FIX" + r"ME)\b")


def place(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def words(name: str) -> set[str]:
    """`KernelInfo` and `kernel_info` are the words kernel and info."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def reraises(handler: ast.ExceptHandler) -> bool:
    """Cleaning up after anything at all is fine when the mistake goes on its way."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def test_first_line_says_which_question_the_file_answers() -> None:
    silent = [str(p.relative_to(ROOT)) for p in sources() if p.stat().st_size and not ast.get_docstring(parsed(p))]
    assert not silent


def test_files_are_short() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    long = [
        f"{place(path, lines)} lines"
        for path, lines in lengths.items()
        if lines > FILE_LINES and str(path.relative_to(ROOT)) not in LISTS
    ]
    assert not long, "split them where the question splits"


def test_functions_are_short() -> None:
    long = [
        f"{place(path, node.lineno)}: {node.name}"
        for path in modules()
        for node in definitions(path)
        if not isinstance(node, ast.ClassDef) and (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES
    ]
    assert not long


def test_names_are_words_with_a_meaning() -> None:
    vague = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules()
        for name in [path.stem, *(node.name for node in definitions(path))]
        if words(name) & VAGUE and (module_name(path), name) not in ALLOWED_NAMES
    ]
    assert not vague


def test_no_wide_nets() -> None:
    wide = []
    for path in modules():
        for node in ast.walk(parsed(path)):
            match node:
                case ast.ExceptHandler(type=None | ast.Name(id="Exception" | "BaseException")) if not reraises(node):
                    wide.append(f"{place(path, node.lineno)}: catches everything")
                case ast.Name(id="Any"):
                    wide.append(f"{place(path, node.lineno)}: Any")
                case _:
                    pass
    assert not wide


def test_exemptions_give_a_reason() -> None:
    """Behind the code that is waived: `noqa: CODE - reason`."""
    bare = re.compile(r"#\s*(noqa(: [A-Z0-9, ]+)?|type: ignore(\[[a-z, -]+\])?)\s*$")
    lines = [(path, number, line) for path in sources() for number, line in numbered(path)]
    assert not [place(path, number) for path, number, line in lines if bare.search(line)]


def test_no_file_names_a_machine_or_is_unfinished() -> None:
    lines = [(path, number, line) for path in texts() for number, line in numbered(path)]
    found = [place(path, n) for path, n, line in lines if ELSEWHERE.search(line) or UNFINISHED.search(line)]
    assert not found


def numbered(path: Path) -> list[tuple[int, str]]:
    return list(enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1))
