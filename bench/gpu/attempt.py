"""What comes of a call that may be refused, or that may take the GPU with it?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import torch
from triton.errors import TritonError

from attncc.errors import AttnccError

Made = TypeVar("Made")

#: What attncc, PyTorch, its compiler and Triton raise where a call cannot be made.
REFUSALS: Final = (AttnccError, RuntimeError, NotImplementedError, TritonError)


class GpuLost(Exception):
    """The GPU answers nothing any more in this process: what is left is for the next one."""


def attempted(work: Callable[[], Made]) -> Made | str:
    """What `work` makes, or in one line why it makes nothing. Raises GpuLost."""
    try:
        return work()
    except torch.AcceleratorError as error:
        raise GpuLost(line(error)) from error
    except REFUSALS as error:
        return line(error)


def line(error: BaseException) -> str:
    """The kind of an error and the first line of what it says."""
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
