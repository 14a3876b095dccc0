"""Are the figures of the named GPUs those that their makers state, and is a GPU known by what it is?"""

from __future__ import annotations

import math

import pytest

from attncc.autotune.gpus import BOARDS, UNITS, figures
from attncc.codegen.triton.knobs import SHARED_KIB
from attncc.device import NAMED, DeviceModel, amd, distance, host, named, nvidia
from attncc.errors import NoModel

#: Dense 16-bit TFLOPS with float32 sums, from the data sheets.
PEAKS = {
    "A100": 312, "L4": 121, "L40S": 362, "RTX4090": 165.2, "H100": 989.4, "H100PCIe": 756, "H200": 989.4, "GH200": 990,
    "B200": 2250, "RTX5090": 209.5, "MI300X": 1307.4,
}  # fmt: skip


def test_every_named_gpu_has_figures_with_a_source() -> None:
    assert BOARDS.keys() == NAMED.keys() == PEAKS.keys()
    assert {model.arch for model in NAMED.values()} == UNITS.keys()
    assert all(board.source for board in BOARDS.values())
    assert all(figures(model).of == model.name for model in NAMED.values())


@pytest.mark.parametrize("name", PEAKS)
def test_rates_units_and_clock_give_the_peak_of_the_data_sheet(name: str) -> None:
    found = BOARDS[name].matrix_flops * NAMED[name].units * BOARDS[name].gigahertz / 1e3
    assert found == pytest.approx(PEAKS[name], rel=0.02)


def test_a_program_has_as_much_shared_memory_here_as_in_the_backend() -> None:
    assert {arch: unit.program_bytes // 1024 for arch, unit in UNITS.items()} == dict(SHARED_KIB)


@pytest.mark.parametrize(
    ("found", "known"),
    [
        (nvidia("NVIDIA H100 80GB HBM3", 9, 0, 132, 50, 79), "H100"),
        (nvidia("NVIDIA H100 PCIe", 9, 0, 114, 50, 79), "H100PCIe"),
        (nvidia("NVIDIA H200", 9, 0, 132, 60, 139), "H200"),
        (nvidia("NVIDIA GH200 480GB", 9, 0, 132, 60, 94), "GH200"),
        (nvidia("NVIDIA L40S", 8, 9, 142, 96, 44), "L40S"),
        (amd("AMD Instinct MI300X", "gfx942:sramecc+:xnack-", 304, 4, 191), "MI300X"),
    ],
)
def test_a_gpu_that_is_present_has_the_key_of_the_same_gpu_named(found: DeviceModel, known: str) -> None:
    assert found.hardware == named(known).hardware
    assert found.present
    assert not named(known).present


def test_keys_of_all_named_gpus_differ() -> None:
    assert len({model.hardware for model in NAMED.values()}) == len(NAMED)


def test_an_unknown_gpu_is_taken_for_the_one_most_like_it() -> None:
    assert figures(nvidia("NVIDIA H20", 9, 0, 78, 60, 95)).of == "nvidia-gh200"
    assert figures(nvidia("NVIDIA A10", 8, 6, 72, 6, 22)).of == "nvidia-l4"
    assert nvidia("NVIDIA H20", 9, 0, 78, 60, 95).hardware == "cuda-sm_90-78-60mib-95gb"


def test_no_gpu_is_like_one_of_another_architecture() -> None:
    assert distance(named("A100"), named("H100")) == math.inf
    assert distance(named("H100"), named("H100")) == 0 < distance(named("H100"), named("H200"))


def test_a_cpu_has_no_figures() -> None:
    with pytest.raises(NoModel, match="no figures to predict times on"):
        figures(host())
