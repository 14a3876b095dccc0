"""What this machine has that torch is not needed to find: GPUs, the kernel cache, its load."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import util
from pathlib import Path

from attncc import settings
from attncc.errors import AttnccError

AMD_DRIVER = Path("/dev/kfd")


def gpus() -> tuple[str, ...]:
    """The GPUs that their drivers report, by name; asks NVIDIA's management library, so torch stays unloaded."""
    return (*_nvidia(), *(("an AMD GPU",) if AMD_DRIVER.exists() else ()))


def _nvidia() -> Iterator[str]:
    if util.find_spec("pynvml") is None:
        return
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return
    for index in range(pynvml.nvmlDeviceGetCount()):
        name = pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(index))
        yield name.decode() if isinstance(name, bytes) else str(name)


def cache_state() -> str:
    """The directory of built kernels and how much is in it, or why it cannot be used."""
    try:
        folder = settings.cache_dir()
    except AttnccError as error:
        return str(error)
    sizes = [entry.stat().st_size for entry in folder.rglob("*") if entry.is_file()]
    return f"{folder} ({len(sizes)} files, {sum(sizes) / 2**20:.1f} MiB)"


def load() -> str:
    """The load average of the last minute against the cores this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"{os.getloadavg()[0]:.1f} on {usable} cores"
