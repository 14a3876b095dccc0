"""Is everything from a pattern file to generated source possible where PyTorch and Triton are not installed?"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.house.tree import ROOT

GENERATE = """
import sys
sys.modules["torch"] = sys.modules["triton"] = None
from attncc import compiler, device
from attncc.ir.schedule import Operands
from attncc.spec import load, lower
pattern = lower.lower(load.find("causal"), {})
target = device.host() if BACKEND == "cpu" else device.named("sm_90")
from attncc.codegen.backend import backends
schedule = backends()[BACKEND].space(Operands("bfloat16", 64), "prefill", target).default()
print(compiler.source(pattern, Operands("bfloat16", 64), "prefill", schedule, BACKEND).text)
"""


@pytest.mark.parametrize("backend", ["cpu", "triton"])
def test_source_is_generated_without_torch(backend: str) -> None:
    program = f"BACKEND = {backend!r}\n{GENERATE}"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "causal" in run.stdout
