"""Leaves out of a C file what nothing in it uses: constants, macros and small functions."""

from __future__ import annotations

import re

from attncc.codegen.cpu.layout import constants

COMMENT = re.compile(r"/\*.*?\*/", re.S)
FUNCTION = re.compile(
    r"\Astatic (?:inline |const |__attribute__\(\((?:noinline|always_inline)\)\) )*(?:const |struct )*\w+ \*?(\w+)[ (]"
)
CONSTANT = re.compile(r"\b([A-Z]\w*) = (-?\d+)")
MACRO = re.compile(r"#define (\w+)\b.*\n?")


def prune(text: str) -> str:
    """`text` without unused definitions. Paragraphs are functions: a blank line ends each."""
    while True:
        shorter = _once(text)
        if shorter == text:
            return text
        text = shorter


def _once(text: str) -> str:
    code = COMMENT.sub("", text)
    paragraphs = [_paragraph(paragraph, code) for paragraph in text.split("\n\n")]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def _paragraph(paragraph: str, code: str) -> str:
    bare = COMMENT.sub("", paragraph).strip()
    if (function := FUNCTION.match(bare)) and not _used(function[1], code):
        return ""
    if bare.startswith("enum {") and bare.endswith("};"):
        return _constants(paragraph, code)
    if bare.startswith("#define"):
        return _macros(paragraph, code)
    return paragraph


def _macros(paragraph: str, code: str) -> str:
    kept = MACRO.sub(lambda macro: macro[0] if _used(macro[1], code) else "", paragraph).rstrip("\n")
    return kept if MACRO.search(kept) else ""


def _constants(paragraph: str, code: str) -> str:
    numbers = {name: int(value) for name, value in CONSTANT.findall(paragraph) if _used(name, code)}
    return f"{paragraph[: paragraph.index('enum {')]}{constants(numbers)}" if numbers else ""


def _used(name: str, code: str) -> bool:
    """Besides where it is defined."""
    return len(re.findall(rf"\b{name}\b", code)) > 1
