"""The knobs of a Triton kernel, their defaults, and which choices cannot work on a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from attncc.codegen.kernel import Phase
from attncc.codegen.triton.defaults import default, describable, fitted
from attncc.codegen.triton.emit import head_block
from attncc.codegen.triton.phases import LEAST_ROWS, tall
from attncc.device import DeviceModel
from attncc.ir.schedule import BYTES, Knob, KnobValue, Operands, Schedule, SearchSpace
from attncc.ir.tile import Tiling

#: Sides of tiles. Tensor cores want tall ones; threads that multiply float32 themselves have room for small ones only.
TALL, SMALL, SHORT = (32, 64, 128), (16, 32, 64), (16,)

#: Shared memory that one program may have, in KiB; where nothing is known, the least.
SHARED_KIB: Mapping[str, int] = {"sm_80": 163, "sm_89": 99, "sm_90": 227, "sm_100": 227, "sm_120": 99, "gfx942": 64}
LEAST_SHARED_KIB = 64

#: Architectures that keep the query tile in shared memory too, and those that multiply from there, if the tile has so
#: many rows: then one stage more is in use.
QUERY_SHARED_ARCHES = ("sm_80", "sm_89", "sm_90", "sm_100")
SHARED_PRODUCTS_ARCHES, SHARED_PRODUCTS_ROWS = ("sm_90", "sm_100"), 64

#: By Triton itself, or by Gluon, one level below, with and without what keeps exponentials in front of a wait.
LOWERINGS = ("triton", "gluon", "gluon_free")
LOWERED_HEAD_DIMS, LOWERED_ROWS = (64, 128), 64

#: So many programs for each SM of NVIDIA, each of which takes several query tiles; with 0, each takes one.
PERSISTENT = (0, 1, 2)
#: Whether copies, products and softmax have warps of their own; where Triton makes such kernels, for plans whose runs
#: are one loop (`specialized.mergeable`). Elsewhere it refuses, ignores it, or compiles something else (Hopper).
WARP_SPECIALIZE, SPECIALIZED_ARCHES = (0, 1), ("sm_100", "sm_103")

#: The model of a GPU is one of Triton's kernels, all of whose warps do the same.
UNFORESEEN: Mapping[str, tuple[KnobValue, ...]] = {"lowering": LOWERINGS[1:], "warp_specialize": WARP_SPECIALIZE[1:]}

#: Accumulators with which every thread spills, whatever the pattern; fewer where the thread also multiplies, which is
#: what float32 comes to on NVIDIA.
ACCUMULATORS, ACCUMULATORS_MULTIPLYING = 192, 44


def tiling(phase: Phase, schedule: Schedule) -> Tiling:
    """Both sides of a tile are knobs."""
    return Tiling(schedule.number("BLOCK_M"), schedule.number("BLOCK_N"))


def space(operands: Operands, phase: Phase, device: DeviceModel, grain: int | None = None) -> SearchSpace:
    """Every schedule that may fit `device`; the default is one that cross-compiles there without spills.

    BLOCK_M divides `grain`. In a decode where there is one, a tile may be a single position, of all heads that share
    their keys.
    """
    chosen = default(operands, phase, device.arch, gathered=grain is not None)
    choices = _choices(operands, phase, device, grain)
    if grain is not None:
        chosen = fitted(chosen, phase, _heights(phase, operands.dtype != "float32", grain))
    knobs = (
        Knob(name, values, chosen.get(name, values[0]), UNFORESEEN.get(name, ())) for name, values in choices.items()
    )
    return SearchSpace(tuple(knobs), partial(_refusal, operands, device, grain is not None))


def lowering(schedule: Schedule) -> str:
    """Which of LOWERINGS a schedule names; Triton's own where there is no choice."""
    return next((str(value) for name, value in schedule.choices if name == "lowering"), LOWERINGS[0])


def _heights(phase: Phase, wide: bool, grain: int | None) -> tuple[int, ...]:
    if phase == "decode":
        return SHORT if grain is None else (1, *SHORT) if tall(grain) else (1,)
    sides = TALL if wide else SMALL
    if grain is None:
        return sides
    return tuple(side for side in (*(LEAST_ROWS,) * wide, *sides) if grain % side == 0)


def _choices(
    operands: Operands, phase: Phase, device: DeviceModel, grain: int | None
) -> Mapping[str, tuple[KnobValue, ...]]:
    wide = operands.dtype != "float32"
    return {
        "BLOCK_M": _heights(phase, wide, grain),
        "BLOCK_N": TALL if wide else SMALL,
        "num_warps": (2, 4, 8) if phase == "decode" else (4, 8),
        "num_stages": (1, 2) if device.kind == "hip" else (2, 3, 4),
        "loads": ("pointer", "descriptor") if describable(operands, device.arch) else ("pointer",),
        **({"lowering": LOWERINGS} if _lowerable(operands, phase, device, grain) else {}),
        **({"persistent": PERSISTENT} if wide and phase == "prefill" and device.kind == "cuda" else {}),
        **({"warp_specialize": WARP_SPECIALIZE} if _specializable(operands, phase, device, grain) else {}),
    }


def _lowerable(operands: Operands, phase: Phase, device: DeviceModel, grain: int | None) -> bool:
    """Whether there are kernels one level below Triton as well; a warpgroup has 64 rows, which must see one choice."""
    made = device.arch == "sm_90" and operands.dtype != "float32" and operands.head_dim in LOWERED_HEAD_DIMS
    return made and phase == "prefill" and (grain is None or grain % LOWERED_ROWS == 0)


def _specializable(operands: Operands, phase: Phase, device: DeviceModel, grain: int | None) -> bool:
    """Whether warps can have work of their own."""
    made = device.arch in SPECIALIZED_ARCHES and operands.dtype != "float32" and operands.head_dim in LOWERED_HEAD_DIMS
    return made and phase == "prefill" and grain is None


def _unlowerable(operands: Operands, device: DeviceModel, schedule: Schedule) -> str | None:
    """Why a schedule has no Gluon kernel of its own."""
    block_m, block_n = schedule.number("BLOCK_M"), schedule.number("BLOCK_N")
    if block_m not in (64, 128) or block_n < 64:
        return "Gluon kernels take 64 or 128 queries, and 64 or 128 keys in a step"
    if schedule.number("num_warps") != block_m // 16 or schedule["loads"] != "descriptor":
        return "Gluon kernels have four warps for 64 queries, and load by descriptors"
    if schedule.switch("persistent"):
        return "Gluon kernels have a program for each query tile"
    tiles = block_m + 2 * block_n * schedule.number("num_stages")
    shared = tiles * operands.head_dim * BYTES[operands.dtype] / 1024
    most = SHARED_KIB[device.arch]
    return f"needs {shared:.0f} KiB of shared memory, {device.arch} has {most}" if shared >= most else None


def _refusal(operands: Operands, device: DeviceModel, gathered: bool, schedule: Schedule) -> str | None:
    if lowering(schedule) != LOWERINGS[0]:
        return _unlowerable(operands, device, schedule)
    shared = shared_bytes(operands, device, gathered, schedule) / 1024
    most = SHARED_KIB.get(device.arch, LEAST_SHARED_KIB)
    if shared * max(1, schedule.switch("persistent")) > most:
        programs = "two programs need" if schedule.switch("persistent") > 1 else "needs"
        return f"{programs} {shared:.0f} KiB of shared memory, {device.arch} has {most}"
    if schedule.switch("warp_specialize") and (reason := _unspecializable(schedule)) is not None:
        return reason
    multiplying = operands.dtype == "float32" and device.kind == "cuda"
    held, fit = _accumulators(operands, device, schedule), ACCUMULATORS_MULTIPLYING if multiplying else ACCUMULATORS
    if held > fit:
        return f"would spill: {held:.0f} accumulators a thread, {fit} fit"
    return None


def _unspecializable(schedule: Schedule) -> str | None:
    """Why warps cannot have work of their own, or too few registers for it."""
    if schedule["loads"] != "descriptor":
        return "warps that copy load by descriptors"
    if schedule.number("num_warps") != schedule.number("BLOCK_M") // 16:
        return "warps of their own for the softmax are four for 64 queries"
    if schedule.switch("persistent"):
        return "a loop that warps share out gave wrong results inside another one (triton-lang/triton 8311)"
    return None


def shared_bytes(operands: Operands, device: DeviceModel, gathered: bool, schedule: Schedule) -> int:
    """At least: key and value tiles, once for each stage in use, the query tile where it lies there too, and weights
    that warps exchange. Of keys that a list gathers, fewer tiles are under way if threads share an entry of it."""
    block_m, arch = schedule.number("BLOCK_M"), device.arch
    direct = arch in SHARED_PRODUCTS_ARCHES and operands.dtype != "float32" and block_m >= SHARED_PRODUCTS_ROWS
    stages = schedule.number("num_stages") - (device.kind == "cuda" and not direct)
    if gathered and schedule.number("BLOCK_N") < 32 * schedule.number("num_warps"):
        stages = min(stages, 2 if direct else 1)
    rows = 2 * schedule.number("BLOCK_N") * stages + (max(block_m, LEAST_ROWS) if arch in QUERY_SHARED_ARCHES else 0)
    width = head_block(operands.head_dim)
    # Where the output is wider than it is high, warps divide its columns, and each needs the weights of all.
    exchanging = arch in QUERY_SHARED_ARCHES and not direct and operands.dtype != "float32" and width > block_m
    return (rows * width + exchanging * block_m * schedule.number("BLOCK_N")) * BYTES[operands.dtype]


def _accumulators(operands: Operands, device: DeviceModel, schedule: Schedule) -> float:
    """Elements of the score tile and of the output tile that each thread holds."""
    threads = schedule.number("num_warps") * (64 if device.kind == "hip" else 32)
    columns = schedule.number("BLOCK_N") + head_block(operands.head_dim)
    return max(schedule.number("BLOCK_M"), LEAST_ROWS) * columns / threads
