"""From a Triton module to a kernel that runs on the GPU of this machine."""

from __future__ import annotations

from typing import assert_never

import torch
import triton
from triton.errors import TritonError

from attncc.codegen.kernel import CompiledKernel, KernelSource
from attncc.codegen.triton.arguments import kind
from attncc.codegen.triton.launch import Launcher, options
from attncc.codegen.triton.module import load
from attncc.device import DeviceModel
from attncc.errors import CompilationFailed, NoGpu, NotCompilable
from attncc.settings import cache_dir


def build(source: KernelSource, device: DeviceModel) -> CompiledKernel:
    """The kernel, compiled for aligned tensors; Triton compiles again by itself at the first call with others.

    Raises NoGpu, CompilationFailed if Triton refuses it, NotCompilable if it needs more shared memory than there is,
    and what `settings.cache_dir` raises.
    """
    if not torch.cuda.is_available():
        raise NoGpu
    launcher = Launcher.of(source, load(source, cache_dir()), device)
    try:
        kernel = launcher.function.warmup(*_typical(launcher), grid=(1, 1, 1), **options(source.schedule))
    except (TritonError, RuntimeError, ValueError) as error:
        raise CompilationFailed(source.pattern, f"triton {triton.__version__}", str(error)) from error
    most = triton.runtime.driver.active.utils.get_device_properties(torch.cuda.current_device())["max_shared_mem"]
    if kernel.metadata.shared > most:
        words = f"it needs {kernel.metadata.shared} bytes of shared memory of {most}; choose a smaller BLOCK_N"
        raise NotCompilable(source.pattern, device.arch, words)
    return launcher


def _typical(launcher: Launcher) -> list[torch.dtype | int | float]:
    """Arguments like those of nearly every call: aligned pointers, strides that are multiples of 16."""
    element = getattr(torch, launcher.source.operands.dtype)
    return [_value(name, element) for name in launcher.wanted.arguments()]


def _value(argument: str, element: torch.dtype) -> torch.dtype | int | float:
    match kind(argument):
        case "element":
            return element
        case "float32":
            return torch.float32
        case "int32":
            return torch.int32
        case "int64":
            return torch.int64
        case "size":
            return 4096
        case "scale":
            return 1.0
        case unknown:
            assert_never(unknown)
