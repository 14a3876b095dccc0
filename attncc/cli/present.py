"""The hardware in front of us that `--device` means; PyTorch is asked, so this is imported only where kernels run."""

from __future__ import annotations

import torch

from attncc import device
from attncc.calls import model_of
from attncc.device import DeviceModel
from attncc.errors import NoGpu


def present(place: str) -> DeviceModel:
    """The device for `auto` (a GPU if there is one), `cpu` or `cuda`. Raises NoGpu."""
    if place == "cpu" or (place == "auto" and not torch.cuda.is_available()):
        return device.host()
    if not torch.cuda.is_available():
        raise NoGpu()
    return model_of(torch.device("cuda"))
