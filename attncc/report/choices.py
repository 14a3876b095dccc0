"""The tables of patterns that choose keys at run time, or are given them: what choosing costs beside attending."""

from __future__ import annotations

from collections.abc import Sequence

from attncc.report.blocks import NOTHING, Cells, Table
from attncc.report.record import Choice, Footprint, Record, Timing, Workload

#: The parts of a choice that are timed: attncc's dense causal kernel at the same shape, choosing, attending; the
#: BlockMask of the same blocks, attending with it, and the BlockMask by `create_block_mask`.
DENSE, SELECTION, ATTENTION = "dense", "selection", "attention"
FLEX_LISTS, FLEX, FLEX_FUNCTION = "flex set-up", "flex", "create_block_mask"

LEGEND = " ".join(
    (
        "Keys resemble their neighbours, positions are rotated in, and a few keys are liked by every query; density is",
        "counted in the lists: pairs kept of all causal pairs. The bound is density times the dense time, so 1.00 x",
        "would be a choice for free and an attention that wastes nothing. Lists are compared with their entries alone.",
        "FlexAttention is given the blocks that the same lists touch, and looks the sets up in tables; its set-up is",
        "the BlockMask from the lists, or `create_block_mask`, compiled, from the mask as a function.",
    )
)


def choices(record: Record) -> Table:
    """What attncc takes to choose and to attend, held against its own dense kernel."""
    headers = ("workload", "dense ms", "density", "selection ms", "attention ms", "of the bound", "selection share")
    return Table((*headers, "lists / entries", "error"), [_own(one) for one in record.choices])


def against_flex(record: Record) -> Table:
    """FlexAttention with the same blocks, where it was asked."""
    asked = [one for one in record.choices if timing_of(one, FLEX) or timing_of(one, FLEX_FUNCTION)]
    headers = ("workload", "selection ms", "attention ms", "Flex set-up ms", "create_block_mask ms", "Flex ms", "Flex")
    return Table((*headers, "error"), [_flex(one) for one in asked])


def footprints(found: Sequence[Footprint]) -> Table:
    """What the lists of long calls occupy."""
    headers = ("pattern", "tokens", "heads", "entries", "lists", "one index per tile", "chosen in")
    return Table(headers, [_footprint(one) for one in found])


def timing_of(choice: Choice, part: str) -> Timing | None:
    """The timing of one part, if it was asked for."""
    return next((timing for timing in choice.timings if timing.peer == part), None)


def micros(choice: Choice, part: str) -> float | None:
    """Microseconds of one part; None where it has none."""
    timing = timing_of(choice, part)
    return timing.micros if timing else None


def density(choice: Choice) -> float:
    """Pairs kept of all causal pairs."""
    return choice.workload.kept_pairs / causal_pairs(choice.workload)


def causal_pairs(work: Workload) -> int:
    """The (query, key) pairs of all heads and batches with kv <= q."""
    shape = work.shape
    first = shape.kv_len - shape.q_len
    return shape.batch * shape.q_heads * (shape.q_len * first + shape.q_len * (shape.q_len + 1) // 2)


def of_bound(choice: Choice) -> float | None:
    """(selection + attention) / (density * dense)."""
    dense, attention = micros(choice, DENSE), micros(choice, ATTENTION)
    if dense is None or attention is None:
        return None
    return ((micros(choice, SELECTION) or 0) + attention) / (density(choice) * dense)


def selection_share(choice: Choice) -> float | None:
    """Selection / (selection + attention); None for what is not chosen."""
    selection, attention = micros(choice, SELECTION), micros(choice, ATTENTION)
    return None if selection is None or attention is None else selection / (selection + attention)


def _own(choice: Choice) -> Cells:
    attention = timing_of(choice, ATTENTION)
    return (
        choice.workload.name,
        *(_milliseconds(choice, part) for part in (DENSE,)),
        f"{density(choice):.1%}",
        *(_milliseconds(choice, part) for part in (SELECTION, ATTENTION)),
        _number(of_bound(choice), "{:.2f} x"),
        _number(selection_share(choice), "{:.1%}"),
        f"{choice.list_bytes / choice.entry_bytes:.2f}" if choice.entry_bytes else NOTHING,
        _number(attention.error if attention else None, "{:.1e}"),
    )


def _flex(choice: Choice) -> Cells:
    flex, attention, found = micros(choice, FLEX), micros(choice, ATTENTION), timing_of(choice, FLEX)
    return (
        choice.workload.name,
        *(_milliseconds(choice, part) for part in (SELECTION, ATTENTION, FLEX_LISTS, FLEX_FUNCTION, FLEX)),
        f"{flex / attention:.2f} x" if flex and attention else NOTHING,
        _number(found.error if found else None, "{:.1e}"),
    )


def _footprint(found: Footprint) -> Cells:
    params = " ".join(f"{name}={value}" for name, value in found.params)
    sizes = (_bytes(found.entry_bytes), _bytes(found.list_bytes), _bytes(found.padded_bytes))
    return (f"{found.pattern} {params}", f"{found.kv_len:,}", str(found.heads), *sizes, f"{found.seconds:.3g} s")


def _milliseconds(choice: Choice, part: str) -> str:
    timing = timing_of(choice, part)
    if timing is None or timing.micros is None:
        return timing.reason or NOTHING if timing else NOTHING
    return f"{timing.micros / 1000:.3g}"


def _number(value: float | None, form: str) -> str:
    return NOTHING if value is None else form.format(value)


def _bytes(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"
