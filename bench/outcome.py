"""One timing in one line."""

from __future__ import annotations

from attncc.report.record import Timing


def outcome(timing: Timing) -> str:
    """Milliseconds, their spread and the error, or the reason why there are none."""
    if timing.micros is None:
        return timing.reason or "no time"
    error = "" if timing.error is None else f"  error {timing.error:.1e}"
    return f"{timing.micros / 1000:10.3f} ms  +-{timing.spread or 0:.1%}{error}"
