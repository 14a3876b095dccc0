"""Are clocks, power and throttling told as the driver says, and is it said when nobody can tell?"""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from attncc.autotune import conditions, provenance
from attncc.device import DeviceModel

GPU = DeviceModel("cuda", "test-gpu", "sm_90", 132, present=True)


class NoDriver(Exception):
    """As NVML raises it."""


def driver() -> SimpleNamespace:
    """What is asked of NVML, with answers."""
    return SimpleNamespace(
        NVMLError=NoDriver,
        NVML_CLOCK_SM=1,
        NVML_CLOCK_MEM=2,
        NVML_TEMPERATURE_GPU=0,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetHandleByUUID=lambda name: name,
        nvmlDeviceGetClockInfo=lambda device, which: {1: 1755, 2: 2619}[which],
        nvmlDeviceGetPowerUsage=lambda device: 650_000,
        nvmlDeviceGetEnforcedPowerLimit=lambda device: 700_000,
        nvmlDeviceGetTemperature=lambda device, which: 61,
        nvmlDeviceGetCurrentClocksThrottleReasons=lambda device: 0x24,
        nvmlDeviceGetComputeRunningProcesses=lambda device: ["one", "two"],
    )


def test_what_the_driver_says_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", driver())
    found = conditions.read()
    assert found is not None
    assert dict(found.told()) == {
        "clocks MHz": "1755 core, 2619 memory",
        "power W": "650 of 700",
        "temperature C": "61",
        "throttled": "power cap, software thermal slowdown",
        "processes on it": "2",
    }
    assert ("throttled", "power cap, software thermal slowdown") in provenance.made_with(GPU)


def test_the_gpu_is_the_one_that_the_process_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | int] = []
    told = driver()
    told.nvmlDeviceGetHandleByIndex = told.nvmlDeviceGetHandleByUUID = asked.append
    monkeypatch.setitem(sys.modules, "pynvml", told)
    for shown in ("3,1", "GPU-5f2e", ""):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)
        assert conditions.read() is not None
    assert asked == [3, "GPU-5f2e", 0]


def test_without_a_driver_it_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise NoDriver

    refused = driver()
    refused.nvmlInit = absent
    monkeypatch.setitem(sys.modules, "pynvml", refused)
    assert conditions.read() is None
    assert conditions.ABSENT[0] in provenance.made_with(GPU)


def test_nothing_is_asked_for_a_cpu_or_an_absent_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    for device in (DeviceModel("cpu", "c", "avx2", 2, True), DeviceModel("cuda", "g", "sm_90", 132, False)):
        assert "throttled" not in dict(provenance.made_with(device))
        assert "GPU conditions" not in dict(provenance.made_with(device))


def test_an_idle_clock_is_no_throttling() -> None:
    assert conditions.reasons(0x01) == ()
