"""How does the tuner survive kernels that crash or hang? Another process runs them, and is replaced when it is lost."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import IO, Final, Self

from attncc.autotune.alarm import LAUNCH_SECONDS, rang
from attncc.autotune.job import Job
from attncc.autotune.request import Answer, Request, Used
from attncc.errors import WorkerLost
from attncc.library.entry import Failure

#: Importing torch on a busy machine.
START_SECONDS: Final = 120.0

#: The worker finds modules where we do. (As PYTHONPATH, a `types.py` beside a user's script would hide Python's own.)
BOOT: Final = "import sys; sys.path[:] = sys.argv[2:]; from attncc.autotune.worker import main; main()"


@dataclass(slots=True)
class _Process:
    """A running worker and the two ends that reach us: its connection and what it writes to the terminal."""

    popen: subprocess.Popen[bytes]
    connection: Connection
    output: IO[bytes]

    def ask(self, request: Request | Job, seconds: float) -> Answer:
        try:
            self.connection.send(request)
            if not self.connection.poll(seconds):
                return Failure("timeout", f"no answer within {seconds:.0f} seconds")
            return _answer(self.connection.recv())
        except (EOFError, ConnectionError):
            return self._loss()

    def kill(self) -> None:
        """Stops the process and whatever compilers it started."""
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, signal.SIGKILL)

    def end(self) -> None:
        """Stops the process and gives back what it held."""
        self.kill()
        self.popen.wait()
        self.connection.close()
        self.output.close()

    def _loss(self) -> Failure:
        """How the process ended, and the last line it wrote."""
        status = self.popen.wait()
        if rang(status):
            return Failure("timeout", f"a launch took more than {LAUNCH_SECONDS:.0f} seconds")
        how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        self.output.seek(0)
        lines = self.output.read().decode(errors="replace").strip().splitlines()
        return Failure("crash", f"{how}: {lines[-1]}" if lines else how)


@dataclass(slots=True)
class Isolated:
    """Another process with a job, from the first request to the end of the `with` block; a lost one is replaced.

    `generation` changes when a process is lost, and with it all that it had prepared.
    """

    job: Job
    generation: int = 0
    _process: _Process | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.rest()

    def ask(self, request: Request, seconds: float) -> Answer:
        """The answer, or a Failure if there is none in time; raises WorkerLost if no process can be started."""
        if self._process is None:
            self._process = _start(self.job)
        try:
            answer = self._process.ask(request, seconds)
        except BaseException:
            # An answer that nobody waits for any longer would be taken for the next one.
            self.rest()
            raise
        if isinstance(answer, Failure) and answer.reason in ("crash", "timeout"):
            self.rest()
        return answer

    def kill(self) -> None:
        """Stops the process, if there is one: a thread that waits for its answer learns that it is lost."""
        if self._process is not None:
            self._process.kill()

    def rest(self) -> None:
        """Ends the process until something is asked again."""
        if self._process is not None:
            self._process.end()
        self._process = None
        self.generation += 1


def _start(job: Job) -> _Process:
    """A worker that knows its job and holds the reference; raises WorkerLost."""
    process = _launch()
    try:
        answer = process.ask(job, START_SECONDS)
    except BaseException:
        process.end()
        raise
    if isinstance(answer, Failure):
        process.end()
        raise WorkerLost(answer.sentence)
    return process


def _launch() -> _Process:
    ours, theirs = socket.socketpair()
    output = tempfile.TemporaryFile()  # noqa: SIM115 - the process owns it and closes it
    with theirs:
        popen = subprocess.Popen(
            [sys.executable, "-P", "-c", BOOT, str(theirs.fileno()), *map(os.path.abspath, sys.path)],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    return _Process(popen, Connection(ours.detach()), output)


def _answer(value: object) -> Answer:
    assert value is None or isinstance(value, float | Failure | Used), f"the worker answered {value!r}"
    return value
