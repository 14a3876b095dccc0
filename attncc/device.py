"""Hardware models: the machine in front of us, and named GPUs that need not be present."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal, TypeAlias

from attncc.cpuinfo import Processor, processor
from attncc.errors import UnknownCpuArch, UnknownTarget, UnsupportedCpuArch

DeviceKind: TypeAlias = Literal["cpu", "cuda", "hip"]

ARCH_VARIABLE = "ATTNCC_CPU_ARCH"

AVX2 = frozenset({"avx2", "fma", "f16c"})
AVX512 = AVX2 | {"avx512f", "avx512bw", "avx512dq", "avx512vl"}
AVX512_BF16 = AVX512 | {"avx512_bf16"}

#: CPU instruction sets, richest first, with the features (as Linux spells them) that each one needs.
CPU_ARCHES: Mapping[str, frozenset[str]] = {
    "avx512_bf16+amx": AVX512_BF16 | {"amx_tile", "amx_bf16"},
    "avx512_bf16": AVX512_BF16,
    "avx512": AVX512,
    "avx2": AVX2,
    "portable": frozenset(),
}


@dataclass(frozen=True, slots=True)
class DeviceModel:
    """What kernels are generated and tuned for: what the hardware is, not what it is called.

    `arch` is the instruction set: one of CPU_ARCHES for a CPU; "sm_90", "gfx942" for a GPU. `units` are cores or SMs;
    `l2_mib` and `memory_gb` are 0 where nobody said. `name` is for people (folder names under reports/, tables).
    """

    kind: DeviceKind
    name: str
    arch: str
    units: int
    present: bool
    l2_mib: int = 0
    memory_gb: int = 0

    @property
    def hardware(self) -> str:
        """The key of tuned results: kind, arch, units, and for a GPU its second level of cache and its memory."""
        memory = f"-{self.l2_mib}mib-{self.memory_gb}gb" if self.memory_gb else ""
        return f"{self.kind}-{self.arch}-{self.units}{memory}"


def _absent(kind: DeviceKind, name: str, arch: str, units: int, l2_mib: int, memory_gb: int) -> DeviceModel:
    return DeviceModel(kind, name, arch, units, False, l2_mib, memory_gb)


#: GPUs that can be named as a target: the SMs (or compute units) and the memory of their data sheets, and the second
#: level of cache that their drivers report. Of those that share an arch, the first stands for the arch when only that
#: is named.
NAMED: Mapping[str, DeviceModel] = {
    "A100": _absent("cuda", "nvidia-a100", "sm_80", 108, 40, 80),
    "L4": _absent("cuda", "nvidia-l4", "sm_89", 58, 48, 24),
    "L40S": _absent("cuda", "nvidia-l40s", "sm_89", 142, 96, 48),
    "RTX4090": _absent("cuda", "nvidia-rtx-4090", "sm_89", 128, 72, 24),
    "H100": _absent("cuda", "nvidia-h100", "sm_90", 132, 50, 80),
    "H100PCIe": _absent("cuda", "nvidia-h100-pcie", "sm_90", 114, 50, 80),
    "H200": _absent("cuda", "nvidia-h200", "sm_90", 132, 60, 141),
    "GH200": _absent("cuda", "nvidia-gh200", "sm_90", 132, 60, 96),
    "B200": _absent("cuda", "nvidia-b200", "sm_100", 148, 126, 180),
    "RTX5090": _absent("cuda", "nvidia-rtx-5090", "sm_120", 170, 96, 32),
    "MI300X": _absent("hip", "amd-mi300x", "gfx942", 304, 4, 192),
}

#: Drivers report a little less memory than data sheets; a GPU with another size differs by more.
ALIKE = 0.1


@cache
def host() -> DeviceModel:
    """The CPU this process runs on, named with its instruction set: machines of one marketing name differ in it.
    $ATTNCC_CPU_ARCH names a poorer instruction set to generate for; raises UnknownCpuArch, or UnsupportedCpuArch if
    this CPU lacks it."""
    found = processor()
    arch = _host_arch(found, os.environ.get(ARCH_VARIABLE))
    return DeviceModel("cpu", f"{slug(found.name)}-{slug(arch)}", arch, found.cores, present=True)


def named(target: str) -> DeviceModel:
    """The GPU called `target` ("H100", "sm_90", "gfx942"; case and punctuation do not matter), as hardware that need
    not be present. Raises UnknownTarget with the nearest name."""
    for name, model in NAMED.items():
        if _plain(target) in (_plain(name), _plain(model.name), _plain(model.arch)):
            return model
    raise UnknownTarget(target, [*NAMED, *dict.fromkeys(model.arch for model in NAMED.values())])


def nvidia(name: str, major: int, minor: int, units: int, l2_mib: int = 0, memory_gb: int = 0) -> DeviceModel:
    """The NVIDIA GPU with this marketing name, compute capability, number of SMs and memory, present here."""
    return _recognised(DeviceModel("cuda", slug(name), f"sm_{major}{minor}", units, True, l2_mib, memory_gb))


def amd(name: str, gcn_arch: str, units: int, l2_mib: int = 0, memory_gb: int = 0) -> DeviceModel:
    """The AMD GPU with this marketing name, arch ("gfx942:sramecc+:xnack-"), compute units and memory, present here."""
    return _recognised(DeviceModel("hip", slug(name), gcn_arch.partition(":")[0], units, True, l2_mib, memory_gb))


def distance(one: DeviceModel, other: DeviceModel) -> float:
    """How unlike two GPUs are: the sum of the logarithms of the ratios of what is known of both; infinite for another
    instruction set."""
    if (one.kind, one.arch) != (other.kind, other.arch):
        return math.inf
    sizes = ((one.units, other.units), (one.l2_mib, other.l2_mib), (one.memory_gb, other.memory_gb))
    return sum(abs(math.log(mine / its)) for mine, its in sizes if mine and its)


def _recognised(found: DeviceModel) -> DeviceModel:
    """`found` with the sizes of the known model that it is, so that both have one key; else as it is."""
    known = min(NAMED.values(), key=lambda model: distance(found, model))
    same = known.arch == found.arch and known.units == found.units
    if not (same and found.memory_gb and abs(found.memory_gb / known.memory_gb - 1) <= ALIKE):
        return found
    return replace(found, l2_mib=known.l2_mib, memory_gb=known.memory_gb)


def slug(name: str) -> str:
    """A marketing name as a folder name: "Intel(R) Xeon(R) Gold 6448Y CPU @ 2.10GHz" gives "intel-xeon-gold-6448y"."""
    bare = re.sub(r"\((r|tm|c)\)|@.*|\b(cpu|processor|\d+-core)\b", " ", name.lower())
    return re.sub(r"[^a-z0-9]+", "-", bare).strip("-") or "unknown"


def _host_arch(found: Processor, wanted: str | None) -> str:
    usable = [arch for arch, features in CPU_ARCHES.items() if features <= found.features]
    if not wanted:
        return usable[0]
    if wanted not in CPU_ARCHES:
        raise UnknownCpuArch(ARCH_VARIABLE, wanted, list(CPU_ARCHES))
    if wanted not in usable:
        raise UnsupportedCpuArch(ARCH_VARIABLE, wanted, usable)
    return wanted


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
