"""Which patterns this package holds: none here; every export writes its own."""

from __future__ import annotations

from attncc.export.runtime.carried import Carried

EXPORTED: tuple[Carried, ...] = ()
