"""Does the Hub's own loader take an export, where there is no attncc?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import attncc
from tests.cli.run import attncc as command
from tests.export.conftest import FEW
from tests.export.fresh import made

LOADED = """
import importlib.util, sys, torch
from pathlib import Path
from torch import nn
from kernels import LocalLayerRepository, Mode, get_local_kernel, kernelize, use_kernel_forward_from_hub
from kernels import use_kernel_mapping
assert importlib.util.find_spec("attncc") is None
place, tensors = Path(sys.argv[1]), torch.load(sys.argv[2])
kernel = get_local_kernel(place)
assert kernel is get_local_kernel(place)

@use_kernel_forward_from_hub("Attend")
class Attend(nn.Module):
    def forward(self, query, key, value, *, scale=None):
        raise AssertionError("this is replaced")

layer = Attend()
chosen = {"Attend": {"cpu": LocalLayerRepository(repo_path=place, layer_name="AShape")}}
with use_kernel_mapping(chosen, inherit_mapping=False):
    kernelize(layer, mode=Mode.INFERENCE, device="cpu")
assert torch.equal(layer(*tensors), kernel.a_shape(*tensors))
assert kernel._ops.add_op_namespace_prefix("a_shape") == f"{kernel.__name__}::a_shape"
assert "triton" not in sys.modules
torch.save(kernel.a_shape_with_lse(*tensors), sys.argv[3])
"""


def test_the_local_loader_gives_the_same_bits(tmp_path: Path) -> None:
    pytest.importorskip("kernels")
    out, calls, found = tmp_path / "hub", tmp_path / "calls.pt", tmp_path / "found.pt"
    said = command("export", "a_shape", "--format", "hub", "--out", str(out), "--name", "ours", *FEW)
    assert said.status == 0, said.err
    query, (key, value) = torch.randn(2, 4, 150, 32), torch.randn(2, 2, 2, 300, 32)
    torch.save((query, key, value), calls)
    fresh = made(tmp_path / "environment", "torch", "triton", "kernels")
    fresh.run(LOADED, str(out), str(calls), str(found), cwd=tmp_path)
    assert all(map(torch.equal, torch.load(found), attncc.attention(query, key, value, "a_shape", return_lse=True)))
    _builds_differ(out)


def _builds_differ(out: Path) -> None:
    """Each build says what it is for, holds the kernels that it can run, and has operators of its own names."""
    cpu, cuda = (json.loads((out / f"build/torch-{kind}/metadata.json").read_text()) for kind in ("cpu", "cuda"))
    assert (cpu["backend"], cuda["backend"]) == ({"type": "cpu"}, {"type": "cuda"})
    assert cpu["name"] == cuda["name"] == "ours"
    assert cpu["id"] != cuda["id"]
    assert not list((out / "build/torch-cpu/kernels").glob("a_shape_*.py"))
    assert list((out / "build/torch-cuda/kernels").glob("a_shape_*.py"))
    assert list((out / "build/torch-cuda/kernels").glob("a_shape_*.c"))
