"""By what must the parts of modelled times be multiplied to give measured ones? Plain least squares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from attncc.autotune.model import DATASHEET, PARTS, Weights

#: How much the fit is held to the data sheet: as much as so many trials that agree with it in every part.
PULL: Final = 0.5
#: Fewer trials than parts tell nothing.
FEWEST_TRIALS: Final = 2 * len(PARTS)


def fitted(parts: Sequence[Sequence[float]], micros: Sequence[float]) -> Weights:
    """Weights, none negative, for which the weighted parts of each trial come near its measured microseconds: least
    squares of the relative errors. DATASHEET where there are too few trials."""
    if len(micros) < FEWEST_TRIALS:
        return DATASHEET
    relative = np.array(parts) / np.array(micros)[:, None]
    share = relative.mean(0)
    rows = np.concatenate([relative, np.diag(share) * PULL**0.5])
    wanted = np.concatenate([np.ones(len(micros)), share * PULL**0.5])
    return Weights(tuple(_not_negative(rows, wanted).tolist()), len(micros))


def _not_negative(rows: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Least squares; a weight that comes out negative is 0, and the others are found again."""
    found = np.zeros(rows.shape[1])
    kept = np.flatnonzero(np.abs(rows).sum(0) > 0)
    while kept.size:
        solved = np.linalg.lstsq(rows[:, kept], wanted, rcond=None)[0]
        if (solved >= 0).all():
            found[kept] = solved
            break
        kept = kept[solved > 0]
    return found
