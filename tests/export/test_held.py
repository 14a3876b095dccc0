"""Is the kernel that serves a call the one tuned for it, else the nearest, else the built-in one, else a poorer one?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from attncc import device
from attncc.device import DeviceModel
from attncc.export.runtime.held import Held, serving

BUILT_IN = Held(
    "causal",
    "triton",
    "sm_90",
    "bfloat16",
    64,
    "prefill",
    "",
    0,
    "",
    (("BLOCK_M", 64),),
    "causal_forward",
    "built_in.py",
)
H100, H200, A100 = (device.named(name) for name in ("H100", "H200", "A100"))
CLASS = "h32 q4096 kv4096"


def tuned(model: DeviceModel, file: str, group: int = 4, shape_class: str = CLASS) -> Held:
    return replace(BUILT_IN, hardware=model.hardware, group=group, shape_class=shape_class, file=file, arch=model.arch)


OLDEST = replace(BUILT_IN, arch="sm_80", file="oldest.py")
HELD = (
    OLDEST,
    BUILT_IN,
    tuned(H100, "h100.py"),
    tuned(H200, "h200.py"),
    tuned(H200, "longer.py", shape_class="h32 q16384 kv16384"),
    tuned(A100, "a100.py"),
)


@pytest.mark.parametrize(
    ("model", "group", "shape_class", "file"),
    [
        (H100, 4, CLASS, "h100.py"),
        (H200, 4, CLASS, "h200.py"),
        (H200, 4, "h32 q16384 kv16384", "longer.py"),
        (H200, 4, "h32 q32768 kv32768", "longer.py"),
        (H100, 4, "h32 q32768 kv32768", "longer.py"),
        (H100, 1, CLASS, "built_in.py"),
        (H100, 4, "h1 q64 kv1048576", "built_in.py"),
        (device.named("H100PCIe"), 4, CLASS, "h100.py"),
        (A100, 4, CLASS, "a100.py"),
        (device.named("L4"), 4, CLASS, "oldest.py"),
        (device.named("B200"), 4, CLASS, "oldest.py"),
    ],
)
def test_the_nearest_kernel_serves(model: DeviceModel, group: int, shape_class: str, file: str) -> None:
    found = serving(HELD, model, group, shape_class)
    assert found is not None
    assert found.file == file


def test_a_gpu_of_another_maker_is_served_by_none() -> None:
    assert serving(HELD, device.named("MI300X"), 4, CLASS) is None


@pytest.mark.parametrize(
    ("arch", "file"),
    [("avx512_bf16+amx", "avx512"), ("avx512", "avx512"), ("avx2", "portable"), ("portable", "portable")],
)
def test_a_cpu_gets_the_richest_instructions_that_it_has(arch: str, file: str) -> None:
    held = [replace(BUILT_IN, backend="cpu", arch=one, file=one) for one in ("portable", "avx512")]
    found = serving(held, DeviceModel("cpu", "some", arch, 2, present=False), 1, CLASS)
    assert found is not None
    assert found.file == file
