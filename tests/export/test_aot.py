"""Do modules and cubins that were compiled ahead of time hold what a loader needs?"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import attncc
from attncc import device
from attncc.codegen.kernel import Phase
from attncc.codegen.triton.arguments import Wanted
from attncc.export import cubins
from attncc.export.kernels import Written
from attncc.export.runtime.held import listing
from tests.cli.run import attncc as command
from tests.export.fresh import made

H100 = device.named("H100")

#: What lies before the parameters in that section, for sm_90.
BEFORE_PARAMETERS = 0x210

LOADED = """
import importlib.util, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch, ours
assert importlib.util.find_spec("attncc") is None
module = torch._inductor.aoti_load_package(str(Path(sys.argv[1], "modules/causal_float32_32_cpu.pt2")))
torch.save([module(*tensors) for tensors in torch.load(sys.argv[2])], sys.argv[3])
"""


@pytest.mark.slow
def test_a_module_serves_other_lengths_than_it_was_traced_with(tmp_path: Path) -> None:
    out, calls, found = tmp_path / "aot", tmp_path / "calls.pt", tmp_path / "found.pt"
    few = ("--target", "cpu", "--dtype", "float32", "--head-dim", "32")
    said = command("export", "causal", "--format", "aot", "--out", str(out), "--name", "ours", *few)
    assert said.status == 0, said.err
    sizes = [(2, 4, 2, 150, 300), (1, 6, 1, 77, 77), (1, 1, 1, 1, 90)]
    drawn = [
        (torch.randn(batch, q_heads, q_len, 32), *torch.randn(2, batch, kv_heads, kv_len, 32))
        for batch, q_heads, kv_heads, q_len, kv_len in sizes
    ]
    torch.save(drawn, calls)
    fresh = made(tmp_path / "environment", "torch", "triton", "numpy")
    fresh.run(LOADED, str(out), str(calls), str(found), cwd=tmp_path)
    for tensors, results in zip(drawn, torch.load(found), strict=True):
        assert all(map(torch.equal, results, attncc.attention(*tensors, "causal", return_lse=True)))


@pytest.mark.parametrize("phase", ["prefill", "decode"])
def test_cubins_are_built_from_the_exported_sources(package: Path, phase: Phase) -> None:
    kernels = package / "ours/kernels"
    held = [one for one in listing(kernels) if (one.pattern, one.arch, one.phase) == ("a_shape", "sm_90", phase)]
    written = [Written(one, one.source(kernels), None) for one in held]
    found = cubins.files(written, [H100])
    manifest = json.loads(found["sm_90/manifest.json"])
    (row,) = manifest["kernels"]
    cubin = found[f"sm_90/{row['file']}"]
    assert isinstance(cubin, bytes)
    assert cubin.startswith(b"\x7fELF")
    assert str(kernels).encode() not in cubin
    assert row["sha256"] == hashlib.sha256(cubin).hexdigest()
    assert row["source_sha256"] == hashlib.sha256((kernels / row["source"]).read_bytes()).hexdigest()
    assert (manifest["arch"], row["entry"], row["spill_bytes"]) == ("sm_90", "a_shape_forward", 0)
    assert row["block"] == [32 * row["num_warps"], 1, 1]
    block_m = row["schedule"]["BLOCK_M"]
    tiles = f"(kv_len - 1) // {block_m} - (kv_len - q_len) // {block_m} + 1"
    ordered = ["together", tiles, "q_heads * batch // together"]
    assert row["grid"] == (ordered if phase == "prefill" else [tiles, "q_heads", "batch"])
    names = [one["name"] for one in row["arguments"]]
    assert names == list(Wanted.of(names).arguments())
    assert row["arguments"][0] == {"name": "query_ptr", "type": "*fp32"}
    assert parameter_bytes(cubin, row["entry"]) == sum(map(size_of, row["arguments"])) + 16
    assert not re.search(rb"/[a-z]+/[a-z_./]+\.py", cubin)


def size_of(argument: dict[str, str]) -> int:
    return 8 if argument["type"].startswith("*") else 4


def parameter_bytes(cubin: bytes, entry: str) -> int:
    """Bytes of parameters that the machine code of `entry` takes, by the section in which they are passed."""
    start, size, count, names = *struct.unpack_from("<Q", cubin, 40), *struct.unpack_from("<HHH", cubin, 58)
    sections = [struct.unpack_from("<IIQQQQ", cubin, start + at * size) for at in range(count)]
    for name, _, _, _, _, length in sections:
        label = cubin[sections[names][4] + name :]
        if label.startswith(f".nv.constant0.{entry}\0".encode()):
            return length - BEFORE_PARAMETERS
    raise AssertionError(f"there is no section of parameters of {entry}")


def test_a_kernel_that_does_not_compile_is_one_sentence(package: Path) -> None:
    kernels = package / "ours/kernels"
    one = next(one for one in listing(kernels) if one.arch == "sm_90")
    source = replace(one.source(kernels), text=one.source(kernels).text.replace("tl.store(", "tl.stare("))
    with pytest.raises(attncc.AttnccError, match=r"the kernel of '.*' does not compile for sm_90: "):
        cubins.files([Written(one, source, None)], [H100])


def test_without_a_compiler_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    few = ("--target", "cpu", "--dtype", "float32", "--head-dim", "32")
    said = command("export", "causal", "--format", "aot", "--out", str(tmp_path / "aot"), "--name", "ours", *few)
    words = "no C++ compiler found (tried no-such-compiler); install g++, or name one in $CXX"
    assert said.err == f"attncc: AOTInductor could not compile a module: {words}\n"
    assert said.status == 1
    assert not list(tmp_path.iterdir())
