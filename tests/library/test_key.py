"""Is a key the same wherever it should be, and different wherever it must be?"""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attncc.ir.schedule import Knob, SearchSpace, Shape
from attncc.library.key import DECIDING, power_of_two, shape_class, space_digest
from attncc.library.record import Record, read_key, write_key
from tests.library.samples import KEY


def test_digest_never_changes_between_versions() -> None:
    assert KEY.digest() == "219b9dbc5b72e34e7ab328f9324211af9d3a1edcfe7c045e9425e9199e5679f8"


def test_a_name_decides_nothing() -> None:
    renamed = replace(KEY, pattern="my_shape")
    assert renamed == KEY
    assert renamed.digest() == KEY.digest()
    assert not renamed.differences(KEY)


def test_only_the_name_decides_nothing() -> None:
    assert {field.name for field in fields(KEY)} - set(DECIDING) == {"pattern"}


@pytest.mark.parametrize("name", DECIDING)
def test_every_other_field_decides(name: str) -> None:
    fields_of_key = write_key(KEY)
    options = {"dtype": "float32", "phase": "decode"}
    fields_of_key[name] = 7 if isinstance(fields_of_key[name], int) else options.get(name, "other")
    changed = read_key(Record(fields_of_key))
    assert changed != KEY
    assert changed.digest() != KEY.digest()
    assert changed.differences(KEY) == (name,)


@given(st.integers(1, 2**40))
def test_power_of_two_is_the_next_one(number: int) -> None:
    power = power_of_two(number)
    assert power & (power - 1) == 0
    assert power // 2 < number <= power


def test_lengths_of_a_class_share_it() -> None:
    def of(q_len: int, kv_len: int, batch: int = 1) -> str:
        return shape_class(Shape(batch, 32, 8, q_len, kv_len, 64))

    assert of(4096, 4096) == of(2049, 3000) == "h32 q4096 kv4096"
    assert of(4096, 4096) != of(2048, 4096)
    assert of(1, 7) == of(1, 64) != of(1, 65)
    assert of(1, 7, batch=2) == of(1, 7, batch=100) != of(1, 7)


def test_space_digest_follows_knobs_choices_and_defaults() -> None:
    def digest(*choices: int, name: str = "block_m", default: int = 64) -> str:
        return space_digest(SearchSpace((Knob(name, choices, default),)))

    assert digest(32, 64) == digest(32, 64)
    assert (
        len({digest(32, 64), digest(64, 32), digest(32, 64, 128), digest(32, 64, name="n"), digest(64, 32, default=32)})
        == 5
    )
