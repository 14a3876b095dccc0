"""Can two schedules be told apart? Not if chance explains the difference, nor if nobody would notice it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from statistics import median
from typing import Final

from attncc.ir.schedule import Schedule
from attncc.library.entry import Timing

#: Schedules whose times differ by less are the same for whoever calls them.
TIE: Final = 1.02
#: The standard error of the mean of the middle half of n samples is 1.09 deviations over the root of n, a deviation
#: 1.4826 median absolute deviations.
MIDDLE_ERROR: Final = 1.09 * 1.4826
#: Who asks after every round allows for so many times what chance explains.
DOUBT: Final = 2.2
#: Among 2, 3, ... equal ones the first and the last are further apart than so many standard errors of a difference in
#: one case of a hundred: Tukey's studentized range over the root of two.
RANGES: Final = (2.57, 2.91, 3.11, 3.25, 3.37, 3.45, 3.53, 3.59, 3.65)


def apart(best: Timing, other: Timing, among: int, doubt: float = 1.0) -> bool:
    """Whether `other` is slower than `best`, the fastest of `among` that were timed in the same rounds.

    Who asks after every round is deceived more often than who asks once, and allows for so many times the chance as
    `doubt`.
    """
    return other.ratio > best.ratio * (TIE + doubt * chance(best, other, among))


def chance(one: Timing, other: Timing, among: int) -> float:
    """By what share two times of equal schedules may differ by chance, when they are the extremes `among` so many.

    Each spread holds the control's noise too, which the two share and which cancels between them: what is left of both
    is the mean of their squares. Of the control itself nothing is known but that its ratio is 1.
    """
    errors = [_error(timing) for timing in (one, other) if timing.micros != timing.control]
    noise = math.sqrt(sum(error * error for error in errors) / max(1, len(errors)))
    return RANGES[min(max(among, 2), len(RANGES) + 1) - 2] * noise


def _error(timing: Timing) -> float:
    """The standard error of a ratio, as a share of it; 0 for a modelled time."""
    if timing.samples < 2:
        return 0.0
    # The spread of a few is less than that of many.
    deviation = timing.spread / timing.micros * timing.samples / (timing.samples - 1)
    return MIDDLE_ERROR * deviation / math.sqrt(timing.samples)


def pooled(timings: Mapping[Schedule, Timing]) -> dict[Schedule, Timing]:
    """The same with no spread below the usual one: few samples may agree by chance, those of all lanes do not."""
    shares = [timing.spread / timing.micros for timing in timings.values() if timing.micros != timing.control]
    usual = median(shares) if shares else 0.0
    return {lane: replace(timing, spread=max(timing.spread, usual * timing.micros)) for lane, timing in timings.items()}
