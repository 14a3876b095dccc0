"""How does calibration text get in, and how is it cut?"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from attncc.errors import CalibrationUnusable
from attncc.models.assign.candidates import SHORTEST


class Tokenizer(Protocol):
    """What is asked of a tokenizer of Transformers."""

    def __call__(self, text: str) -> dict[str, list[int]]: ...


def texts(path: Path, tokenizer: Tokenizer | None, length: int, count: int, vocabulary: int) -> tuple[Tensor, ...]:
    """At most `count` texts of `length` tokens from the file, evenly spread over it, int64 [1, length] each.

    The file is text for the `tokenizer`, or an array of tokens (.npy): one row of them, or one for each text. Raises
    CalibrationUnusable: it cannot be read, is too short, or holds tokens that are not below `vocabulary`.
    """
    if length < SHORTEST:
        raise CalibrationUnusable(path, f"{length} tokens are too few to tell patterns apart; give {SHORTEST} or more")
    rows = _array(path) if path.suffix == ".npy" else [_tokens(path, tokenizer)]
    found = [row[start : start + length] for row in rows for start in range(0, len(row) - length + 1, length)]
    if not found:
        longest = max((len(row) for row in rows), default=0)
        raise CalibrationUnusable(path, f"it has {longest:,} tokens in a row, and a text is to have {length:,}")
    if any(int(row.min()) < 0 or int(row.max()) >= vocabulary for row in found):
        raise CalibrationUnusable(
            path, f"it has tokens that the model does not know; they must be below {vocabulary:,}"
        )
    chosen = sorted(
        {index * len(found) // count for index in range(count)} if count < len(found) else range(len(found))
    )
    return tuple(torch.from_numpy(found[index].astype(np.int64))[None] for index in chosen)


def _array(path: Path) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise CalibrationUnusable(path, str(error)) from error
    if found.ndim not in (1, 2) or found.dtype.kind not in "iu":
        raise CalibrationUnusable(
            path, f"it holds {found.dtype} {list(found.shape)}; give integers in one or two dimensions"
        )
    return list(np.atleast_2d(found))


def _tokens(path: Path, tokenizer: Tokenizer | None) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    if tokenizer is None:
        raise CalibrationUnusable(path, "the model has no tokenizer; give an array of its tokens (.npy)")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CalibrationUnusable(path, error.strerror or "the system refuses") from error
    except UnicodeDecodeError as error:
        raise CalibrationUnusable(path, "it is not text in UTF-8") from error
    return np.array(tokenizer(text)["input_ids"], np.int64)
