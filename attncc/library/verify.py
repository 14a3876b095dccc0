"""Is an entry what it says? Its kernel's source is generated again here, from its pattern and schedule, and compared.

Nothing of what is checked runs: a pattern file is data, and so is a schedule.
"""

from __future__ import annotations

from attncc import passes
from attncc.codegen.backend import backends
from attncc.codegen.kernel import KernelSource
from attncc.errors import AttnccError
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import Operands
from attncc.library import hardware
from attncc.library.entry import LibraryEntry
from attncc.library.key import shape_class, space_digest
from attncc.spec import load, lower
from attncc.spec.check import check
from attncc.spec.origin import Origin


def refusal(entry: LibraryEntry) -> str | None:
    """Why this attncc does not make of `entry` the kernel that was tuned; None if it does, byte for byte."""
    try:
        pattern = pattern_of(entry)
    except AttnccError as error:
        return f"its pattern cannot be read: {str(error).splitlines()[0]}"
    if pattern is None:
        return f"it carries no pattern file, and no pattern called '{entry.key.pattern}' comes with attncc"
    if pattern.digest() != entry.key.meaning:
        return f"its pattern means {pattern.digest()} here, the entry is for {entry.key.meaning}"
    return _of_call(entry) or _of_schedule(entry, pattern)


def pattern_of(entry: LibraryEntry) -> Pattern | None:
    """The pattern that the entry carries, else the one that comes with attncc under its name. Raises what reading a
    pattern file raises."""
    if entry.document:
        spec = check(Origin(f"<{entry.key.pattern}>", entry.document))
    elif entry.key.pattern in load.shipped():
        spec = load.find(entry.key.pattern)
    else:
        return None
    return lower.lower(spec, dict(entry.params))


def source_of(entry: LibraryEntry, pattern: Pattern) -> KernelSource:
    """The source that this attncc generates for the entry."""
    key, writer = entry.key, backends()[entry.key.backend]
    plan = passes.run(pattern, writer.tiling(key.phase, entry.schedule))
    return writer.emit(plan, Operands(key.dtype, key.head_dim), key.phase, entry.schedule)


def _of_call(entry: LibraryEntry) -> str | None:
    key, shape = entry.key, entry.shape
    if (shape_class(shape), shape.head_dim, shape.group) != (key.shape_class, key.head_dim, key.group):
        return f"its key says '{key.shape_class}' d{key.head_dim} x{key.group}, its call is of another class"
    if key.backend not in backends():
        return f"there is no backend '{key.backend}' here"
    if hardware.read(key.hardware) is None:
        return f"'{key.hardware}' is no name of hardware"
    return None


def _of_schedule(entry: LibraryEntry, pattern: Pattern) -> str | None:
    key, there = entry.key, hardware.read(entry.key.hardware)
    assert there is not None, "the name of the hardware was read before"
    space = backends()[key.backend].space(Operands(key.dtype, key.head_dim), key.phase, there.model(), pattern.grain())
    if space_digest(space) != key.space or not space.holds(entry.schedule):
        return "this attncc chooses from other schedules there"
    try:
        digest = source_of(entry, pattern).digest()
    except AttnccError as error:
        return f"this attncc generates no kernel for it: {str(error).splitlines()[0]}"
    return (
        None if digest == entry.source else f"the source generated here is {digest}, the one tuned was {entry.source}"
    )
