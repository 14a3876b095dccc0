"""Attention kernels inside models: plans, and what runs them in Transformers."""

from __future__ import annotations

from attncc.models.plan import Plan
from attncc.models.register import apply, register

__all__ = ["Plan", "apply", "register"]
