"""Does an exported package compute the same as attncc, bit for bit, where there is no attncc?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

import attncc
from attncc import compiler, device
from attncc.codegen.kernel import Phase
from attncc.export.runtime.held import listing, serving
from attncc.ir.schedule import Operands
from attncc.library.entry import LibraryEntry
from attncc.spec import load, lower
from tests.export.conftest import CHANGED, TUNED
from tests.export.fresh import Fresh

Call = tuple[str, tuple[Tensor, Tensor, Tensor], dict[str, Tensor | float]]

EVERY_CALL = """
import importlib.util, sys, torch, ours
from torch._subclasses.fake_tensor import FakeTensorMode
assert importlib.util.find_spec("attncc") is None
found = []
for name, tensors, named in torch.load(sys.argv[1]):
    tensors = [tensor.requires_grad_() for tensor in tensors]
    out, lse = getattr(ours, f"{name}_with_lse")(*tensors, **named)
    gradients = torch.autograd.grad((out * out).sum() + lse.sum(), tensors)
    assert torch.equal(getattr(ours, name)(*tensors, **named), out)
    found.append([out.detach(), lse.detach(), *gradients])
    with FakeTensorMode() as mode:
        fakes = [mode.from_tensor(tensor) for tensor in tensors]
        told = {key: mode.from_tensor(one) if isinstance(one, torch.Tensor) else one for key, one in named.items()}
        fake_out, fake_lse = getattr(ours, f"{name}_with_lse")(*fakes, **told)
    assert (fake_out.shape, fake_out.stride(), fake_lse.dtype) == (out.shape, out.stride(), lse.dtype)
torch.save(found, sys.argv[2])
layer = ours.layers.AShape()
assert not list(layer.parameters()) and torch.equal(layer(*tensors), ours.a_shape(*tensors))
try:
    ours.a_shape(*(tensor.half() for tensor in tensors))
except Exception as error:
    print(error)
"""

WITHOUT_COMPILER = """
import os, warnings
from ours._ops import PATTERNS
from ours.runtime.ref import dense
os.environ["CC"] = "no-such-compiler"
query, (key, value) = torch.randn(1, 40, 60, 32), torch.randn(2, 1, 2, 900, 32)
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    out = ours.a_shape(query, key, value)
    ours.a_shape(query[:, :, :1], key, value)
exact, _ = dense.attention(PATTERNS["a_shape"], query, key, value, 32**-0.5)
assert (out - exact).abs().max() < 1e-5
(warning,) = warned
print(warning.message)
"""


def drawn() -> Iterator[Call]:
    """A chunk of ragged length, a step of decoding with a scale, rows that lie apart; a choice of keys."""
    generator = torch.Generator().manual_seed(0)

    def normal(*sizes: int) -> Tensor:
        return torch.randn(*sizes, generator=generator)

    chunk = (normal(2, 4, 150, 32), normal(2, 2, 300, 32), normal(2, 2, 300, 32))
    yield "a_shape", chunk, {}
    yield "a_shape", (chunk[0][:, :, :1], *chunk[1:]), {"scale": 0.3}
    apart = (tensor.transpose(1, 2).contiguous().transpose(1, 2) for tensor in chunk)
    yield "a_shape", (next(apart), next(apart), next(apart)), {}
    yield (
        "locret",
        (normal(1, 4, 1, 32), normal(1, 2, 300, 32), normal(1, 2, 300, 32)),
        {"importance": normal(1, 2, 1, 300)},
    )


@pytest.fixture
def tuned(library: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """attncc with the library that the package was exported from."""
    monkeypatch.setenv("ATTNCC_LIBRARY", str(library))
    compiler.forget()
    yield
    monkeypatch.undo()
    compiler.forget()


@pytest.mark.usefixtures("tuned")
def test_every_call_gives_the_same_bits(fresh: Fresh, tmp_path: Path) -> None:
    calls, path = list(drawn()), tmp_path / "found.pt"
    torch.save(calls, tmp_path / "calls.pt")
    said = fresh.run(EVERY_CALL + WITHOUT_COMPILER, str(tmp_path / "calls.pt"), str(path), cwd=tmp_path)
    missing, slow = said.splitlines()
    assert missing.startswith("this package has no kernel of 'a_shape' for float16 with head_dim 32 on ")
    assert missing.endswith(": it has kernels for float32 with head_dim 32; export it with what is missing")
    assert slow.startswith("no C compiler found (tried no-such-compiler)")
    for (name, tensors, named), found in zip(calls, torch.load(path), strict=True):
        leaves = [tensor.requires_grad_() for tensor in tensors]
        pattern = attncc.Pattern.load(name, **(CHANGED if name == "locret" else {}))
        out, lse = attncc.attention(*leaves, pattern, return_lse=True, **named)
        expected = [out, lse, *torch.autograd.grad((out * out).sum() + lse.sum(), leaves)]
        assert all(map(torch.equal, found, expected)), name


def test_the_tuned_schedule_went_in(package: Path, entry: LibraryEntry) -> None:
    rows = json.loads((package / "ours/kernels/kernels.json").read_text())
    (row,) = [row for row in rows if row["hardware"]]
    assert (row["hardware"], row["group"], row["shape_class"]) == (
        device.host().hardware, TUNED.group, entry.key.shape_class,
    )  # fmt: skip
    pattern, operands = lower.lower(load.find("a_shape")), Operands("float32", 32)
    source = compiler.source(pattern, operands, "prefill", entry.schedule, "cpu")
    assert (package / "ours/kernels" / row["file"]).read_text() == source.text
    (decision,) = json.loads((package / "ours/PROVENANCE.json").read_text())["tuned"]
    assert (decision["kind"], decision["micros"], decision["made_with"]) == ("measured", 5.0, dict(entry.made_with))


def test_its_own_test_passes(fresh: Fresh, package: Path) -> None:
    script = "import sys, pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '-k', 'a_shape']))"
    assert "4 passed" in fresh.run(script, cwd=package)


def test_it_is_typed_and_installable(fresh: Fresh) -> None:
    (metadata,) = fresh.packages.glob("ours-*.dist-info/METADATA")
    words = metadata.read_text()
    assert "Requires-Dist: torch>=2.10" in words
    assert "attncc" not in "".join(line for line in words.splitlines() if line.startswith("Requires-Dist"))
    assert (fresh.packages / "ours/py.typed").exists()
    assert (fresh.packages / "ours/LICENSE").read_text().lstrip().startswith("Apache License")


@pytest.mark.parametrize("name", ["H100", "H200", "A100"])
@pytest.mark.parametrize("phase", ["prefill", "decode"])
def test_a_gpu_gets_the_kernel_that_attncc_would_give_it(package: Path, name: str, phase: Phase) -> None:
    model, folder = device.named(name), package / "ours/kernels"
    held = [one for one in listing(folder) if (one.pattern, one.backend, one.phase) == ("a_shape", "triton", phase)]
    found = serving(held, model, 4, "h32 q4096 kv4096")
    assert found is not None
    pattern, operands = lower.lower(load.find("a_shape")), Operands("float32", 32)
    schedule = compiler.built_in(pattern, operands, phase, model)
    assert found.source(folder) == compiler.source(pattern, operands, phase, schedule, "triton")
