"""How long from starting Python to the first result of a pattern that was never tuned?"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from attncc.report.record import Cost

FIRST_CALL = """
import time
began = time.perf_counter()
import torch
loaded = time.perf_counter()
import attncc
query, key, value = (torch.randn(1, 4, 1024, 128) for _ in range(3))
attncc.attention(query, key, value, attncc.Pattern.load("a_shape"))
print(loaded - began, time.perf_counter() - loaded)
"""


def costs() -> tuple[Cost, ...]:
    """With an empty kernel cache, which runs the C compiler, and once more from the cache."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o700)
        torch_seconds, compiled = _first_result(folder)
        _, cached = _first_result(folder)
    return (
        Cost("import torch", torch_seconds),
        Cost("from there to the first result of a_shape, C compiler included", compiled),
        Cost("from there to the first result of a_shape, from the kernel cache", cached),
    )


def _first_result(cache: str) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-c", FIRST_CALL],
        env={**os.environ, "ATTNCC_CACHE": cache},
        capture_output=True,
        text=True,
        check=True,
    )
    torch_seconds, ours = done.stdout.split()
    return float(torch_seconds), float(ours)
