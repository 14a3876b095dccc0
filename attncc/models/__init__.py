"""Attention kernels inside models: plans, and what runs them in Transformers."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from attncc.models.plan import Plan

if TYPE_CHECKING:
    from attncc.models.registering import apply, register

__all__ = ["Plan", "apply", "register"]


def __getattr__(name: str) -> object:
    # PyTorch is loaded for those who run models, not for those who read plans.
    if name not in ("apply", "register"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("attncc.models.registering"), name)
