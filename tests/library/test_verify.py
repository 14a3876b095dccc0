"""Is an entry that is not what it says refused, and named, without anything of it having run?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from attncc.device import DeviceModel, named
from attncc.library.entry import LibraryEntry
from attncc.library.verify import pattern_of, refusal
from tests.library.real import DEVICE, SHAPE, real

HONEST = real()


@pytest.mark.parametrize("device", [DEVICE, named("H100"), named("MI300X")])
@pytest.mark.parametrize("name", ["causal", "sliding_window", "a_shape", "vertical_slash", "block_table"])
def test_honest_entries_are_taken(name: str, device: DeviceModel) -> None:
    assert refusal(real(name, device=device)) is None


def test_the_pattern_that_comes_with_attncc_stands_in_for_a_missing_one() -> None:
    assert refusal(replace(HONEST, document="")) is None


def test_a_pattern_of_ones_own_travels_with_its_entry() -> None:
    renamed = replace(HONEST.key, pattern="my_window")
    mine = replace(HONEST, key=renamed, document=HONEST.document.replace("sliding_window", "my_window", 1))
    pattern = pattern_of(mine)
    assert pattern is not None
    assert pattern.name == "my_window"


KEY = HONEST.key
WRONG: dict[str, tuple[LibraryEntry, str]] = {
    "source": (replace(HONEST, source="0" * 16), "the source generated here is"),
    "meaning": (replace(HONEST, params=(("window", 3),)), "its pattern means"),
    "pattern": (replace(HONEST, document="", key=replace(KEY, pattern="nowhere")), "no pattern called 'nowhere'"),
    "document": (replace(HONEST, document="!!python/object:os.system x"), "its pattern cannot be read"),
    "class": (replace(HONEST, shape=replace(SHAPE, kv_len=9999)), "of another class"),
    "backend": (replace(HONEST, key=replace(KEY, backend="../../x")), "no backend"),
    "hardware": (replace(HONEST, key=replace(KEY, hardware="../../x")), "no name of hardware"),
    "space": (replace(HONEST, key=replace(KEY, space="0")), "from other schedules"),
    "schedule": (replace(HONEST, schedule=HONEST.schedule.replace("block_m", 33)), "from other schedules"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_match_is_refused(wrong: str) -> None:
    entry, sentence = WRONG[wrong]
    said = refusal(entry)
    assert said is not None
    assert sentence in said
