"""Under which conditions is hardware measured? Clocks, power, throttling and other users, as driver and kernel tell."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

#: Bits of the driver's reasons for a lower clock, in its own order; an idle GPU and chosen clocks are no reason here.
THROTTLING: Final[Mapping[int, str]] = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
}
#: At the cap of its power a GPU may run for as long as the work lasts, and calls will find it so too.
LASTING: Final = ("power cap",)
#: A core is slowed down when even the fastest runs below this share of the highest clock that was seen.
SLOWED: Final = 0.8
CORES: Final = Path("/sys/devices/system/cpu")
#: What is said where there is nothing to ask.
ABSENT: Final = (("GPU conditions", "not known: there is no NVIDIA driver to ask"),)


@dataclass(frozen=True, slots=True)
class Conditions:
    """One reading of one GPU. `users` counts the processes that use it, the one that
    measures among them."""

    clock_mhz: int
    memory_mhz: int
    watts: float
    cap_watts: float
    celsius: int
    throttled: tuple[str, ...]
    users: int

    def told(self) -> tuple[tuple[str, str], ...]:
        """In words, to be kept beside a result."""
        return (
            ("clocks MHz", f"{self.clock_mhz} core, {self.memory_mhz} memory"),
            ("power W", f"{self.watts:.0f} of {self.cap_watts:.0f}"),
            ("temperature C", str(self.celsius)),
            ("throttled", ", ".join(self.throttled) or "no"),
            ("processes on it", str(self.users)),
        )


def read(index: int = 0) -> Conditions | None:
    """The conditions of the GPU that this process sees under this index; None where no NVIDIA driver answers, or not
    for this GPU."""
    # Absent on machines without NVIDIA's packages.
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        name = _visible(index)
        by_name = pynvml.nvmlDeviceGetHandleByUUID
        device = pynvml.nvmlDeviceGetHandleByIndex(int(name)) if name.isdigit() else by_name(name)
        return Conditions(
            clock_mhz=pynvml.nvmlDeviceGetClockInfo(device, pynvml.NVML_CLOCK_SM),
            memory_mhz=pynvml.nvmlDeviceGetClockInfo(device, pynvml.NVML_CLOCK_MEM),
            watts=pynvml.nvmlDeviceGetPowerUsage(device) / 1e3,
            cap_watts=pynvml.nvmlDeviceGetEnforcedPowerLimit(device) / 1e3,
            celsius=pynvml.nvmlDeviceGetTemperature(device, pynvml.NVML_TEMPERATURE_GPU),
            throttled=reasons(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(device)),
            users=len(pynvml.nvmlDeviceGetComputeRunningProcesses(device)),
        )
    except pynvml.NVMLError:
        return None


def _visible(index: int) -> str:
    """What the driver calls the GPU with this index: processes may be shown only some, and number them anew."""
    shown = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    return shown[index].strip() if any(shown) and index < len(shown) else str(index)


def reasons(bits: int) -> tuple[str, ...]:
    """Why the clock is lower than it could be."""
    return tuple(name for bit, name in THROTTLING.items() if bits & bit)


def throttled() -> tuple[str, ...]:
    """What slows the GPU down now and will pass."""
    found = read()
    return () if found is None else tuple(reason for reason in found.throttled if reason not in LASTING)


@dataclass(slots=True)
class Cores:
    """Says at each call what has slowed the cores down since the call before, as far as the kernel tells: counters of
    thermal throttling, and the clock of the fastest core. Virtual machines tell neither."""

    folder: Path = CORES
    _throttled: int | None = field(default=None)
    _highest: int = 0

    def __call__(self) -> tuple[str, ...]:
        count = sum(self._numbers("thermal_throttle/core_throttle_count"))
        hot = self._throttled is not None and count > self._throttled
        clock = max(self._numbers("cpufreq/scaling_cur_freq"), default=0)
        self._throttled, self._highest = count, max(self._highest, clock)
        slow = clock < SLOWED * self._highest
        return ("thermal throttling",) * hot + ("lower clock",) * slow

    def _numbers(self, name: str) -> list[int]:
        return [int(file.read_text()) for file in self.folder.glob(f"cpu[0-9]*/{name}")]
