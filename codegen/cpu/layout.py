"""Where lines of generated C break: as clang-format would break them, at 120 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

WIDTH = 120

#: The indentation of a function's statements.
INDENT = 4

#: The columns up to a function's parameters that leave them no other place than behind its name.
LONGEST_PROTOTYPE = 90


def listed(opening: str, items: Sequence[str], closing: str, column: int = 0) -> str:
    """`opening` up to its parenthesis, the items with commas, and `closing`; further lines align with the first item.

    The caller indents all lines by `column`.
    """
    lines = [opening + items[0]]
    ends = [*(["," for _ in items[1:]]), closing]
    for item, before, end in zip(items[1:], ends, ends[1:], strict=False):
        lines[-1] += before
        if column + len(lines[-1]) + 1 + len(item) + len(end) > WIDTH:
            lines.append(" " * len(opening) + item)
        else:
            lines[-1] += f" {item}"
    return "\n".join(lines) + closing


def filled(text: str, fields: Mapping[str, str]) -> str:
    """`text` with fields replaced; a line that holds nothing but an empty field goes."""
    lines: list[str] = []
    for line in text.splitlines():
        field = next((field for field in fields if line.strip() == field), None)
        if field is None:
            lines.append(line)
        elif fields[field]:
            indent = line[: -len(field)]
            lines.extend(part if part.startswith("#") else indent + part for part in fields[field].splitlines())
    return "\n".join(lines) + "\n"


def guarded(function: str) -> str:
    """`function`, kept from clang-format where an expression of the plan has no place to break."""
    if all(len(line) <= WIDTH for line in function.splitlines()):
        return function
    return f"/* clang-format off */\n{function}/* clang-format on */\n"


def prototyped(function: str, name: str) -> str:
    """`function`, kept from clang-format where its name is so long that the first parameters could stand elsewhere."""
    if function.index(f" {name}(") + len(name) <= LONGEST_PROTOTYPE:
        return guarded(function)
    return f"/* clang-format off */\n{function}/* clang-format on */\n"


def constants(numbers: Mapping[str, int]) -> str:
    """An anonymous enum, on one line if it fits."""
    return enumeration("enum", [f"{name} = {value}" for name, value in numbers.items()])


def enumeration(kind: str, items: Sequence[str]) -> str:
    """An enum, on one line if it fits."""
    line = f"{kind} {{ {', '.join(items)} }};"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{kind} {{", *(f"    {item}," for item in items[:-1]), f"    {items[-1]}", "};"])
