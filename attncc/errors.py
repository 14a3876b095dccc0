"""What can go wrong: one class per mistake, each with its sentence."""

from __future__ import annotations


class AttnccError(Exception):
    """Something the user can put right. `str(error)` is the whole message; the CLI prints it without a traceback.

    `exit_status` is 2 when the request was wrong, 1 when the request was right but the work failed.
    """

    exit_status = 2


class MaskTooComplex(AttnccError):
    """The set library could not put the tiles of a mask into closed form within its budget."""

    def __init__(self, pattern: str, reason: str) -> None:
        super().__init__(
            f"pattern '{pattern}': the mask has no closed-form tiles ({reason}); simplify the mask, or split it into "
            "fewer conditions"
        )
