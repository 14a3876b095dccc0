"""Which calls are measured whose keys are chosen, or given, at run time."""

from __future__ import annotations

from attncc.ir.schedule import Shape
from attncc.report.choices import FLEX, FLEX_FUNCTION
from bench.cases import Case

Params = tuple[tuple[str, int], ...]

#: Beyond this length `create_block_mask` is not asked: it evaluates every pair.
FUNCTION_LIMIT = 16384
#: What makes a density of about 5, 10 and 20 %: a share of the blocks, and one in so many columns and diagonals.
BLOCK_SHARES = (0.025, 0.051, 0.106)
LINE_SHARES = ((400, 300), (240, 160), (128, 72))
FULL_LENGTHS = (16384, 32768, 65536)


def quick() -> tuple[tuple[Case, ...], ...]:
    """One short prompt at about 10 %; FlexAttention's kernel takes longer to compile than all else to run."""
    return (
        (
            _prompt("block_sparse", 16384, _blocks(16384, 1), (FLEX,)),
            _prompt("vertical_slash", 16384, _lines(16384, 1)),
        ),
    )


def full() -> tuple[tuple[Case, ...], ...]:
    """Groups of cases, those of a group of one shape."""
    return (*(_densities(kv_len) for kv_len in FULL_LENGTHS), _methods(16384), _decoding(32768))


def _densities(kv_len: int) -> tuple[Case, ...]:
    flex = (FLEX, FLEX_FUNCTION) if kv_len <= FUNCTION_LIMIT else (FLEX,)
    # At one density each: a kernel of FlexAttention is compiled for each case.
    asked = ((), flex, ())
    blocks = [_prompt("block_sparse", kv_len, _blocks(kv_len, at), peers) for at, peers in enumerate(asked)]
    lines = [_prompt("vertical_slash", kv_len, _lines(kv_len, at), peers) for at, peers in enumerate(asked)]
    return (*blocks, *lines)


def _methods(kv_len: int) -> tuple[Case, ...]:
    flex = (FLEX, FLEX_FUNCTION)
    return (
        _prompt("hip", kv_len, (("top", 64), ("window", 512)), flex),
        _prompt("moba", kv_len, (), flex),
        _prompt("documents", kv_len, (), flex),
        _prompt("landmark", kv_len, ()),
    )


def _decoding(kv_len: int) -> tuple[Case, ...]:
    shape = Shape(1, 8, 2, 1, kv_len, 128)
    names = ("nsa_selected", "quest", "landmark_retrieval", "moba", "hip")
    return tuple(Case(f"chosen {name}, decode, {kv_len}", name, (), shape, "float32", ()) for name in names)


def _prompt(pattern: str, kv_len: int, params: Params, peers: tuple[str, ...] = ()) -> Case:
    said = "".join(f", {name} {value}" for name, value in params)
    return Case(
        f"chosen {pattern}{said}, {kv_len}", pattern, params, Shape(1, 1, 1, kv_len, kv_len, 128), "float32", peers
    )


def _blocks(kv_len: int, at: int) -> Params:
    return (("top", round(BLOCK_SHARES[at] * kv_len / 64)),)


def _lines(kv_len: int, at: int) -> Params:
    columns, diagonals = LINE_SHARES[at]
    return (("vertical", kv_len // columns), ("slash", kv_len // diagonals))
