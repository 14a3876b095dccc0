"""How does a kernel that hangs on a GPU end? By an alarm that ends its process, since nothing else would come back."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: Comparing a kernel, and a sample of it, take milliseconds; compiling is not counted.
LAUNCH_SECONDS: Final = 20.0


@contextmanager
def limited(kind: str, seconds: float = LAUNCH_SECONDS) -> Iterator[None]:
    """Ends this process if the launches on a device of this `kind` take longer; on a CPU those who wait see to that."""
    if kind == "cpu":
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def rang(status: int) -> bool:
    """Whether this exit status of a process is an alarm's."""
    return status == -signal.SIGALRM
