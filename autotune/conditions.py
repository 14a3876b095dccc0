"""Under which conditions is a GPU measured? Clocks, power, throttling and other users, as its driver tells them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

#: Bits of the driver's reasons for a lower clock, in its own order; an idle GPU and chosen clocks are no reason here.
THROTTLING: Final[Mapping[int, str]] = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
}
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
    """The conditions of the GPU with this index; None where no NVIDIA driver answers, or not for this GPU."""
    # Absent on machines without NVIDIA's packages.
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        device = pynvml.nvmlDeviceGetHandleByIndex(index)
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


def reasons(bits: int) -> tuple[str, ...]:
    """Why the clock is lower than it could be."""
    return tuple(name for bit, name in THROTTLING.items() if bits & bit)
