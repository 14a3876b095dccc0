"""How much memory do the lists of a very long call take, and how long does it take to choose them?"""

from __future__ import annotations

import time

import torch

import attncc
from attncc.ir.schedule import Shape
from attncc.report.record import Footprint
from bench.problem import SEED
from bench.structured import structured

NAME = "chosen lists, 1048576"
#: The last queries decide for all others, so that the others need not be there; all heads read the keys of one.
LAST, HEADS, KV_LEN, TILE = 64, 32, 2**20, 64
PATTERN, PARAMS = "vertical_slash", (("vertical", 1000), ("slash", 6096))


def measure(kv_len: int = KV_LEN, heads: int = HEADS) -> Footprint:
    """Columns and diagonals of MInference's largest budget, on one thread, in CPU time."""
    torch.set_num_threads(1)
    shape = Shape(1, heads, 1, LAST, kv_len, 128)
    query, key, _ = structured(shape, torch.Generator().manual_seed(SEED))
    pattern = attncc.Pattern.load(PATTERN, **dict(PARAMS))
    start = time.process_time()
    chosen = pattern.select(query, key)
    seconds = time.process_time() - start
    entries = sum(int(one.count.sum()) * one.entries.element_size() for one in chosen.lists.values())
    padded = heads * (kv_len // TILE) * sum(size for _, size in PARAMS) * 4
    return Footprint(PATTERN, PARAMS, kv_len, heads, entries, chosen.nbytes(), padded, seconds)
