"""What the operating system says about the CPU: its name, its features, the cores this process may use."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Processor:
    """`features` are spelled as in Linux's flags; empty where they are not known. `cores` counts physical cores."""

    name: str
    features: frozenset[str]
    cores: int


def processor() -> Processor:
    """The CPU this process runs on."""
    if not CPUINFO.exists():
        return Processor(platform.processor() or platform.machine(), frozenset(), os.cpu_count() or 1)
    return parse(CPUINFO.read_text(), os.sched_getaffinity(0))


def parse(listing: str, usable: set[int]) -> Processor:
    """The CPU described by the text of /proc/cpuinfo, counting only the cores that have a thread in `usable`."""
    threads = [_fields(paragraph) for paragraph in listing.split("\n\n") if "processor" in paragraph]
    first = threads[0] if threads else {}
    cores = {
        (thread.get("physical id"), thread.get("core id", thread["processor"]))
        for thread in threads
        if int(thread["processor"]) in usable
    }
    name = first.get("model name") or platform.machine()
    return Processor(name, frozenset(first.get("flags", "").split()), max(1, len(cores)))


def _fields(paragraph: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in paragraph.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
