"""When does the last program end, if each starts, in launch order, as soon as a slot is free?"""

from __future__ import annotations

import heapq
from typing import Final

import numpy as np
import numpy.typing as npt

#: Beyond so many programs the last ones no longer matter, and work is taken as evenly spread.
SCHEDULED: Final = 20000


def makespan(lengths: npt.NDArray[np.float64], slots: int) -> float:
    """List scheduling of programs of these lengths on so many slots; in the unit of the lengths."""
    if lengths.size > SCHEDULED:
        return max(float(lengths.sum()) / slots, float(lengths.max()))
    free = [0.0] * slots
    for length in lengths.tolist():
        heapq.heapreplace(free, free[0] + length)
    return max(free)
