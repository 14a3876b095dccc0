"""What a GPU's figures were made with: all that can change a time, beside what is said of the machine around it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from attncc import compiler, device
from attncc.calls import model_of
from attncc.device import DeviceModel
from attncc.errors import NoGpu
from attncc.report.environment import environment
from bench.gpu.clock import Place
from bench.gpu.cost import Card, card

#: What figures of one record have in common.
DECIDING = ("GPU", "driver", "CUDA", "cuDNN", "toolchain", "timed", "attncc", "torch")
#: What is planned for where there is no GPU.
ASSUMED = "H100"


def model() -> DeviceModel:
    """The GPU of this machine. Raises NoGpu."""
    if not torch.cuda.is_available():
        raise NoGpu
    return model_of(torch.device("cuda"))


def present_or_assumed() -> DeviceModel:
    """The GPU of this machine, else the one that is planned for."""
    return model() if torch.cuda.is_available() else device.named(ASSUMED)


def free(found: DeviceModel) -> Card:
    """What is known of the GPU of this machine, with the memory that is free now."""
    there, _ = torch.cuda.mem_get_info()
    known = card(found)
    return Card(known.name, known.flops, min(known.bytes, there))


def made_with(found: DeviceModel, place: Place) -> tuple[tuple[str, str], ...]:
    """(name, value) pairs, the same order every time."""
    properties = torch.cuda.get_device_properties(0)
    return (
        ("GPU", properties.name),
        ("GPU memory", f"{properties.total_memory / 2**30:.1f} GiB"),
        ("driver", driver()),
        ("CUDA", torch.version.cuda or "none"),
        ("cuDNN", str(torch.backends.cudnn.version() or "none")),
        ("toolchain", compiler.backend_of(found).toolchain(found)),
        ("timed", str(place.policy)),
        *environment(),
    )


def unlike(kept: Sequence[tuple[str, str]], now: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """In which names that can change a kernel's time two records differ; nothing where one is empty."""
    before, after = dict(kept), dict(now)
    return tuple(name for name in DECIDING if before and before.get(name) != after.get(name))


def driver() -> str:
    """The version of NVIDIA's driver, where its library tells."""
    # Absent on machines without NVIDIA's packages.
    try:
        import pynvml
    except ImportError:
        return "unknown"
    try:
        pynvml.nvmlInit()
        return str(pynvml.nvmlSystemGetDriverVersion())
    except pynvml.NVMLError:
        return "unknown"
