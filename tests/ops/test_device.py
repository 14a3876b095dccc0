"""Is hardware recognised for what it is, here and by name?"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from attncc import cpuinfo, device
from attncc.errors import UnknownCpuArch, UnknownTarget, UnsupportedCpuArch

TWO_THREADS_A_CORE = """\
processor\t: 0
model name\t: AMD EPYC 9005 96-Core Processor
physical id\t: 0
core id\t\t: 0
flags\t\t: fpu avx2 fma f16c

processor\t: 1
model name\t: AMD EPYC 9005 96-Core Processor
physical id\t: 0
core id\t\t: 0
flags\t\t: fpu avx2 fma f16c

processor\t: 2
model name\t: AMD EPYC 9005 96-Core Processor
physical id\t: 0
core id\t\t: 1
flags\t\t: fpu avx2 fma f16c
"""


@pytest.fixture(autouse=True)
def ask_again(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("ATTNCC_CPU_ARCH", raising=False)
    device.host.cache_clear()
    yield
    monkeypatch.undo()
    device.host.cache_clear()


def stand_in(monkeypatch: pytest.MonkeyPatch, *features: str) -> None:
    processor = cpuinfo.Processor("Intel(R) Xeon(R) Gold 6448Y CPU @ 2.10GHz", frozenset(features), 8)
    monkeypatch.setattr(device, "processor", lambda: processor)


def test_threads_of_one_core_count_once() -> None:
    found = cpuinfo.parse(TWO_THREADS_A_CORE, {0, 1, 2})
    assert found == cpuinfo.Processor("AMD EPYC 9005 96-Core Processor", frozenset({"fpu", "avx2", "fma", "f16c"}), 2)


def test_only_usable_cores_count() -> None:
    assert cpuinfo.parse(TWO_THREADS_A_CORE, {0, 1}).cores == 1


def test_a_listing_of_another_kind_still_gives_a_cpu() -> None:
    assert cpuinfo.parse("Hardware: something else\n", {0}).cores == 1


@pytest.mark.parametrize("arch", device.CPU_ARCHES)
def test_the_richest_instruction_set_is_chosen(arch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, *device.CPU_ARCHES[arch])
    name = f"intel-xeon-gold-6448y-{device.slug(arch)}"
    assert device.host() == device.DeviceModel("cpu", name, arch, 8, present=True)


def test_a_poorer_instruction_set_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, *device.AVX512)
    monkeypatch.setenv("ATTNCC_CPU_ARCH", "avx2")
    assert device.host().arch == "avx2"


def test_a_richer_one_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, *device.AVX2)
    monkeypatch.setenv("ATTNCC_CPU_ARCH", "avx512")
    with pytest.raises(UnsupportedCpuArch, match="this CPU cannot run; it can run avx2, portable"):
        device.host()


def test_a_misspelt_one_is_corrected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNCC_CPU_ARCH", "avx-512")
    with pytest.raises(UnknownCpuArch, match="did you mean 'avx512'"):
        device.host()


@pytest.mark.parametrize(
    ("target", "name", "arch"),
    [
        ("H100", "nvidia-h100", "sm_90"),
        ("sm_90", "nvidia-h100", "sm_90"),
        ("SM90", "nvidia-h100", "sm_90"),
        ("rtx 4090", "nvidia-rtx-4090", "sm_89"),
        ("nvidia-h200", "nvidia-h200", "sm_90"),
        ("gfx942", "amd-mi300x", "gfx942"),
    ],
)
def test_gpus_are_known_by_name_and_arch(target: str, name: str, arch: str) -> None:
    found = device.named(target)
    assert (found.name, found.arch, found.present) == (name, arch, False)


def test_an_unknown_gpu_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownTarget, match=r"unknown target 'H10'; did you mean 'H100'\? known: A100, L4"):
        device.named("H10")


def test_gpus_that_are_here() -> None:
    assert device.nvidia("NVIDIA H100 80GB HBM3", 9, 0, 132).hardware == "cuda-sm_90-132"
    assert device.amd("AMD Instinct MI300X", "gfx942:sramecc+:xnack-", 304).hardware == "hip-gfx942-304"


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("AMD EPYC 9005 96-Core Processor", "amd-epyc-9005"),
        ("Intel(R) Xeon(R) Processor", "intel-xeon"),
        ("", "unknown"),
    ],
)
def test_names_become_folder_names(name: str, slug: str) -> None:
    assert device.slug(name) == slug
