"""The tests of a GPU in runs of a few minutes: `python -m tests.gpu.run --seconds 540 --append`.

Tests run in another process. One that hangs is killed with it and noted, one that crashes is noted, and the others go
on in a fresh process; what is settled is not run again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Final

import click

from tests.gpu.pieces import END, KEPT, SHARE, Book, Outcome

ROOT: Final = Path(__file__).resolve().parents[2]
#: A test that compiles the most takes less; one that launches what hangs takes for ever.
PATIENCE: Final = 180.0
#: With less than this left no process is started.
START: Final = 10.0
POLL: Final = 0.2
#: How pytest ends when all tests have run: passed, failed, or none was left.
ENDED: Final = (0, 1, 5)
BAD: Final = ("failed", "hung", "crashed")


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds of a run, seconds of a test, and what ends both at once."""

    seconds: float
    patience: float
    stop: Event


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Default <reports>/<hardware>/tests.jsonl."
)
@click.option("--reports", type=click.Path(file_okay=False, path_type=Path), default=Path("reports"), show_default=True)
@click.option("--seconds", default=540.0, show_default=True, help="No further test begins after this.")
@click.option("--patience", default=PATIENCE, show_default=True, help="Seconds after which a test hangs.")
@click.option(
    "--workers", default=1, show_default=True, help="Processes at once; compilers take more time than kernels."
)
@click.option("--append", is_flag=True, help="Go on with what the file holds.")
def main(
    paths: Sequence[Path], out: Path | None, reports: Path, seconds: float, patience: float, workers: int, append: bool
) -> None:
    """Run the tests that need a GPU, as far as the time reaches."""
    book = Book((out or beside_the_record(reports)).absolute())
    if not append:
        book.path.unlink(missing_ok=True)
    book.path.parent.mkdir(parents=True, exist_ok=True)
    shares = [Book(book.path, number, workers) for number in range(workers)]
    wanted = [str(path.absolute()) for path in paths]
    stop = Event()
    with ThreadPoolExecutor(workers) as pool:
        running = [pool.submit(run, share, wanted, Limits(seconds, patience, stop)) for share in shares]
        try:
            settled = [one.result() for one in running]
        except BaseException:
            stop.set()
            raise
    outcomes = book.read()
    for one in outcomes.values():
        if one.outcome in BAD:
            click.echo(f"{one.outcome}: {one.test}: {one.said}")
    counts = Counter(one.outcome for one in outcomes.values())
    click.echo(", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "no tests")
    click.echo("all tests are settled" if all(settled) else "time is over: the same command with --append goes on")
    raise SystemExit(any(counts[outcome] for outcome in BAD))


def beside_the_record(reports: Path) -> Path:
    """Where the report of this machine's GPU finds the outcomes."""
    # PyTorch loads only where nobody says where.
    from attncc.cli.present import present
    from attncc.report.tested import TESTS

    return reports / present("auto").name / TESTS


def run(book: Book, paths: Sequence[str], limits: Limits) -> bool:
    """Whether all tests of a share are settled."""
    end = time.time() + limits.seconds
    while not limits.stop.is_set() and (end - time.time() > START or limits.seconds < START):
        before = book.settled()
        status = _one(book, paths, end, limits)
        running = book.running()
        if limits.stop.is_set():
            return False
        if running is not None:
            book.add(Outcome(running, "crashed", said=_how(status)))
        elif status in ENDED:
            return True
        elif time.time() >= end:
            return False
        if book.settled() == before:
            raise click.ClickException(f"pytest runs no test: {_how(status)}")
    return False


def _one(book: Book, paths: Sequence[str], end: float, limits: Limits) -> int:
    """Tests in one process until it ends, or hangs and is killed; its exit status."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "tests.gpu.pieces"]
    command += ["-p", "no:cacheprovider", "--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml")]
    command += paths or [str(ROOT / "tests" / "gpu")]
    # What is not installed may come by PYTHONPATH.
    found = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    share = f"{book.number}/{book.shares}"
    env = {**os.environ, KEPT: str(book.path), END: str(end), SHARE: share, "PYTHONPATH": found}
    process = subprocess.Popen(command, cwd=ROOT, env=env, start_new_session=True)
    try:
        test, since = book.running(), time.monotonic()
        while process.poll() is None and not limits.stop.is_set():
            time.sleep(POLL)
            if book.running() != test or test is None:
                test, since = book.running(), time.monotonic()
            elif time.monotonic() - since > limits.patience:
                os.killpg(process.pid, signal.SIGKILL)
                book.add(Outcome(test, "hung", limits.patience, f"no end after {limits.patience:.0f} s"))
                break
        return -signal.SIGKILL if limits.stop.is_set() else process.wait()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _how(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


if __name__ == "__main__":
    main()
