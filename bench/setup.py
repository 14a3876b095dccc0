"""What a mask costs before its first kernel can run: FlexAttention's BlockMask against the plan of the same pattern."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

from attncc import passes
from attncc.ir.schedule import Shape
from attncc.ir.tile import Tiling
from attncc.report.record import SetUp
from attncc.spec import load, lower

PATTERN = "sliding_window"
#: A BlockMask is built in a process of its own, so that running out of memory or patience is a result as well.
PATIENCE_SECONDS = 420
MEMORY_BYTES = 16 * 2**30

BUILD = """
import resource, sys, time
# A driver of GPUs reserves more addresses than any machine has memory.
if {place!r} == "cpu":
    resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
import torch
from torch.nn.attention.flex_attention import create_block_mask
from attncc.ir.schedule import Shape
from attncc.spec import load, lower
from bench import flex
shape = Shape(1, 1, 1, {kv_len}, {kv_len}, 128)
keep = flex.mask_mod(lower.lower(load.find({pattern!r}), {{}}), shape)
# Compilation itself is not what is measured: short masks of two lengths first, so that the length becomes symbolic.
build = lambda length: create_block_mask(keep, None, None, length, length, device={place!r}, _compile={compiled})
wait = torch.cuda.synchronize if {place!r} == "cuda" else lambda: None
build(1024)
build(1280)
wait()
start = time.perf_counter()
mask = build({kv_len})
wait()
print(time.perf_counter() - start, flex.bytes_of(mask))
"""


def setups(full: bool, place: str = "cpu") -> Iterator[SetUp]:
    """The costs at two lengths (one, for a quick run); masks are made on `cpu` or `cuda`."""
    for kv_len in (16384, 131072) if full else (16384,):
        yield _plan(kv_len)
        yield _analytic(kv_len)
        yield _block_mask(kv_len, place, compiled=True)
        yield _block_mask(kv_len, place, compiled=False)


def _plan(kv_len: int) -> SetUp:
    pattern = lower.lower(load.find(PATTERN), {})
    passes.run.cache_clear()
    start = time.perf_counter()
    passes.run(pattern, Tiling(128, 128))
    # A kernel reads no index memory: the ends of its runs are arithmetic.
    return SetUp("attncc plan", PATTERN, kv_len, time.perf_counter() - start, 0)


def _analytic(kv_len: int) -> SetUp:
    # FlexAttention loads slowly and is not needed for the plan's own figure.
    from bench import flex

    pattern, shape = lower.lower(load.find(PATTERN), {}), Shape(1, 1, 1, kv_len, kv_len, 128)
    start = time.perf_counter()
    mask = flex.block_mask(pattern, shape)
    return SetUp("BlockMask from the plan", PATTERN, kv_len, time.perf_counter() - start, flex.bytes_of(mask))


def _block_mask(kv_len: int, place: str, compiled: bool) -> SetUp:
    peer = f"create_block_mask{' (compiled)' if compiled else ''}"
    script = BUILD.format(memory=MEMORY_BYTES, kv_len=kv_len, pattern=PATTERN, place=place, compiled=compiled)
    try:
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return SetUp(peer, PATTERN, kv_len, None, None, f"not finished after {PATIENCE_SECONDS} s")
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["killed"])[-1].partition(":")[0]
        room = f"within {MEMORY_BYTES >> 30} GiB of memory" if place == "cpu" else "on the GPU"
        return SetUp(peer, PATTERN, kv_len, None, None, f"failed {room} ({said})")
    seconds, size = done.stdout.split()
    return SetUp(peer, PATTERN, kv_len, float(seconds), int(size))
