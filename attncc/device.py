"""Hardware models: the machine in front of us, and named GPUs that need not be present."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
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

    `arch` is the instruction set: one of CPU_ARCHES for a CPU; "sm_90", "gfx942" for a GPU. `units` are cores or SMs.
    `name` is for people (folder names under reports/, tables).
    """

    kind: DeviceKind
    name: str
    arch: str
    units: int
    present: bool

    @property
    def hardware(self) -> str:
        """The key of tuned results: kind, arch, units."""
        return f"{self.kind}-{self.arch}-{self.units}"


def _absent(kind: DeviceKind, name: str, arch: str, units: int) -> DeviceModel:
    return DeviceModel(kind, name, arch, units, present=False)


#: GPUs that can be named as a target, with the SMs (or compute units) of their data sheets. Of the models that share an
#: arch, the first stands for the arch when only that is named.
NAMED: Mapping[str, DeviceModel] = {
    "A100": _absent("cuda", "nvidia-a100", "sm_80", 108),
    "L4": _absent("cuda", "nvidia-l4", "sm_89", 58),
    "L40S": _absent("cuda", "nvidia-l40s", "sm_89", 142),
    "RTX4090": _absent("cuda", "nvidia-rtx-4090", "sm_89", 128),
    "H100": _absent("cuda", "nvidia-h100", "sm_90", 132),
    "H200": _absent("cuda", "nvidia-h200", "sm_90", 132),
    "B200": _absent("cuda", "nvidia-b200", "sm_100", 148),
    "RTX5090": _absent("cuda", "nvidia-rtx-5090", "sm_120", 170),
    "MI300X": _absent("hip", "amd-mi300x", "gfx942", 304),
}


@cache
def host() -> DeviceModel:
    """The CPU this process runs on. $ATTNCC_CPU_ARCH names a poorer instruction set to generate for; raises
    UnknownCpuArch, or UnsupportedCpuArch if this CPU lacks it."""
    found = processor()
    arch = _host_arch(found, os.environ.get(ARCH_VARIABLE))
    return DeviceModel("cpu", slug(found.name), arch, found.cores, present=True)


def named(target: str) -> DeviceModel:
    """The GPU called `target` ("H100", "sm_90", "gfx942"; case and punctuation do not matter), as hardware that need
    not be present. Raises UnknownTarget with the nearest name."""
    for name, model in NAMED.items():
        if _plain(target) in (_plain(name), _plain(model.name), _plain(model.arch)):
            return model
    raise UnknownTarget(target, [*NAMED, *dict.fromkeys(model.arch for model in NAMED.values())])


def nvidia(name: str, major: int, minor: int, units: int) -> DeviceModel:
    """The NVIDIA GPU with this marketing name, compute capability and number of SMs, present here."""
    return DeviceModel("cuda", slug(name), f"sm_{major}{minor}", units, present=True)


def amd(name: str, gcn_arch: str, units: int) -> DeviceModel:
    """The AMD GPU with this marketing name, arch ("gfx942:sramecc+:xnack-") and compute units, present here."""
    return DeviceModel("hip", slug(name), gcn_arch.partition(":")[0], units, present=True)


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
