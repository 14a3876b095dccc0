"""Which attention calls are measured, and against whom."""

from __future__ import annotations

from dataclasses import dataclass

from attncc.ir.pattern import SOFTMAX
from attncc.ir.schedule import DTYPES, DType, Shape
from attncc.spec import load, lower

ALL = ("attncc", "sdpa causal", "sdpa mask", "flex")


@dataclass(frozen=True, slots=True)
class Case:
    """`name` is unique within a run; `peers` are names in bench.peers.PEERS."""

    name: str
    pattern: str
    params: tuple[tuple[str, int], ...]
    shape: Shape
    dtype: DType
    peers: tuple[str, ...] = ALL


@dataclass(frozen=True, slots=True)
class Mask:
    """A pattern with its parameters and the length it is measured at."""

    label: str
    pattern: str
    params: tuple[tuple[str, int], ...]
    kv_len: int


CAUSAL = Mask("causal", "causal", (), 4096)
WINDOW_8K = Mask("window 1024", "sliding_window", (("window", 1024),), 8192)
WINDOW_32K = Mask("window 1024", "sliding_window", (("window", 1024),), 32768)
A_SHAPE = Mask("A-shape 128+1024", "a_shape", (("sink", 128), ("window", 1024)), 16384)

#: Beyond this length a boolean mask takes longer to read than anyone would wait.
MASK_LIMIT = 8192


def prefill(mask: Mask, dtype: DType, head_dim: int, heads: int) -> Case:
    """One prompt, as many KV heads as query heads."""
    peers = tuple(peer for peer in ALL if peer != "sdpa mask" or mask.kv_len <= MASK_LIMIT)
    shape = Shape(1, heads, heads, mask.kv_len, mask.kv_len, head_dim)
    return Case(f"{mask.label}, {mask.kv_len}, d{head_dim}, {dtype}", mask.pattern, mask.params, shape, dtype, peers)


def decode(dtype: DType, head_dim: int) -> Case:
    """One query against 32K keys, four query heads to a KV head."""
    shape = Shape(1, 8, 2, 1, 32768, head_dim)
    return Case(
        f"decode causal, 32768, d{head_dim}, {dtype}", "causal", (), shape, dtype, ("attncc", "sdpa mask", "flex")
    )


#: `heads` is kept small: one thread meets no more parallelism than one head gives.
def full(heads: int) -> tuple[Case, ...]:
    """Every figure of the README."""
    dtypes: tuple[DType, ...] = ("float32", "bfloat16")
    masks = (CAUSAL, WINDOW_8K, WINDOW_32K, A_SHAPE)
    prompts = [prefill(mask, dtype, dim, heads) for dim in (128, 64) for dtype in dtypes for mask in masks]
    return (*prompts, *(decode(dtype, dim) for dim in (128, 64) for dtype in dtypes))


def fixed() -> list[str]:
    """The shipped patterns that are nothing but a mask and score rules: what all peers can be asked for."""
    bound = (lower.lower(load.find(name), {}) for name in load.shipped())
    return [one.name for one in bound if not (one.selections or one.inputs) and one.combine == SOFTMAX]


def survey() -> tuple[Case, ...]:
    """Every such pattern with its own parameters, one prompt each: two heads of each kind where heads differ."""
    shape, dtypes = Shape(1, 4, 4, 4096, 4096, 128), DTYPES
    return tuple(
        Case(f"{name}, 4096, d128, {dtype}", name, (), shape, dtype, ("attncc", "flex"))
        for dtype in dtypes
        if dtype != "float16"
        for name in fixed()
    )


def quick(heads: int) -> tuple[Case, ...]:
    """A few minutes: the same kinds of call, shorter."""
    masks = (
        Mask("causal", "causal", (), 2048),
        Mask("window 256", "sliding_window", (("window", 256),), 4096),
        Mask("A-shape 64+256", "a_shape", (("sink", 64), ("window", 256)), 4096),
    )
    dtypes: tuple[DType, ...] = ("float32", "bfloat16")
    return (*(prefill(mask, dtype, 128, heads) for dtype in dtypes for mask in masks), decode("float32", 128))
