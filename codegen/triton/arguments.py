"""The arguments of a kernel, in their order, and what a call must pass for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

TENSORS = ("query", "key", "value", "out")
AXES = ("batch", "head", "row")
SIZES = ("q_len", "kv_len", "group")

#: Parts of the name of an argument that say what it is; the rest is the name of a list or of an input.
LIST_POINTERS = ("entries_ptr", "start_ptr", "count_ptr")
LIST_SIZES = ("list_batch_stride", "list_heads", "list_rows")
TOKEN_POINTER, TOKEN_SIZES = "tokens_ptr", ("tokens_batch_stride", "tokens_head_stride", "tokens_heads")
HEAD_POINTER = "by_head_ptr"

#: Heads of a batch, asked for where the grid does not tell them.
Q_HEADS = "q_heads"

#: Asked for where the grid has the query tiles of all heads in an order of their own: how many of each head other
#: launches have taken. And where each program takes several: query tiles of a head, heads whose tiles start side by
#: side, tiles in all.
TILES_BEFORE, WALK_SIZES = "tiles_before", ("tiles", "together", "items")

#: `element` is a pointer to the dtype of query.
Kind: TypeAlias = Literal["element", "float32", "int32", "int64", "size", "scale"]

KINDS: tuple[tuple[str, Kind], ...] = (
    ("lse_ptr", "float32"),
    ("slope_ptr", "float32"),
    (f"_{HEAD_POINTER}", "float32"),
    ("_entries_ptr", "int32"),
    ("_count_ptr", "int32"),
    (f"_{TOKEN_POINTER}", "int32"),
    ("_start_ptr", "int64"),
    ("_ptr", "element"),
    ("scale", "scale"),
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a kernel asks for besides query, key and value.

    `slopes`: the ALiBi slope of each head. `lists`, `tokens` and `heads` name what `attncc.lists.Given` holds.
    `grouped`: one program takes the heads of a KV head. `ordered`: query tiles start in the order of
    `attncc.codegen.triton.order`, each in a program of its own; `persistent`: each program takes several of them.
    """

    slopes: bool = False
    lists: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    grouped: bool = False
    ordered: bool = False
    persistent: bool = False

    @staticmethod
    def of(arguments: Sequence[str]) -> Wanted:
        """What a kernel with these arguments asks for."""
        return Wanted(
            "slope_ptr" in arguments,
            _named(arguments, LIST_POINTERS[0]),
            _named(arguments, TOKEN_POINTER),
            _named(arguments, HEAD_POINTER),
            Q_HEADS in arguments and not {TILES_BEFORE, *WALK_SIZES} & set(arguments),
            TILES_BEFORE in arguments,
            WALK_SIZES[0] in arguments,
        )

    def arguments(self) -> tuple[str, ...]:
        """The arguments of the kernel."""
        return (
            *(f"{tensor}_ptr" for tensor in TENSORS),
            "lse_ptr",
            *self.pointers(),
            *(f"{tensor}_{axis}_stride" for tensor in TENSORS for axis in AXES),
            *self.sizes(),
            "scale",
        )

    def pointers(self) -> tuple[str, ...]:
        """Arguments that point to slopes, lists and inputs."""
        return (
            *(["slope_ptr"] if self.slopes else []),
            *(f"{name}_{pointer}" for name in self.lists for pointer in LIST_POINTERS),
            *(f"{name}_{TOKEN_POINTER}" for name in self.tokens),
            *(f"{name}_{HEAD_POINTER}" for name in self.heads),
        )

    def sizes(self) -> tuple[str, ...]:
        """Arguments that would otherwise make another binary when they happen to be 1 or a multiple of 16."""
        return (
            *(f"{name}_{size}" for name in self.lists for size in LIST_SIZES),
            *(f"{name}_{size}" for name in self.tokens for size in TOKEN_SIZES),
            *SIZES,
            *([Q_HEADS] if self.grouped or self.ordered or self.persistent else []),
            *([TILES_BEFORE] if self.ordered else []),
            *(WALK_SIZES if self.persistent else ()),
        )


def kind(argument: str) -> Kind:
    """What an argument is; strides are sizes."""
    return next((found for ending, found in KINDS if argument.endswith(ending)), "size")


def _named(arguments: Sequence[str], ending: str) -> tuple[str, ...]:
    return tuple(name.removesuffix(f"_{ending}") for name in arguments if name.endswith(f"_{ending}"))
