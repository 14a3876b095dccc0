"""Does a file made to hurt get one clear answer, in under a second and a few megabytes?"""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from attncc.errors import AttnccError, PatternFileError, PatternFileUnreadable
from attncc.spec.load import find, from_dict, read

SECONDS, MEGABYTES = 1.0, 32


@pytest.fixture(autouse=True)
def young_heap() -> Iterator[None]:
    """What earlier tests have left in memory is not looked through while a file is read, as in a process of its own."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


HEAD = b"pattern: hostile\n"
DOUBLING = b"let:\n  a0: q + kv\n" + b"".join(b"  a%d: a%d + a%d\n" % (i + 1, i, i) for i in range(60))
CHAIN = b"let:\n  a0: q + kv\n" + b"".join(b"  a%d: a%d - 1\n" % (i + 1, i) for i in range(900))
ALIASES = b"a: &a [x, x]\n" + b"".join(b"%c: &%c [*%c, *%c]\n" % (c + 1, c + 1, c, c) for c in b"abcdefgh")

FILES: Mapping[str, tuple[bytes, str]] = {
    "nested lists": (b"mask: " + b"[" * 16_000, "deep"),
    "nested lists over lines": (b"mask:\n" + b" [\n" * 10_000, "deep"),
    "nested tables": (b"mask: " + b"{a: " * 8_000, "deep"),
    "nested blocks": (b"".join(b" " * i + b"a:\n" for i in range(230)), "deep"),
    "nested dashes": (b"- " * 16_000, "deep"),
    "nested keys": (b"? " * 16_000, "deep"),
    "many values": (b"mask: [" + b"a," * 16_000, "more than 2,000 values"),
    "many keys": (HEAD + b"".join(b"k%d: 1\n" % i for i in range(900)), "more mistakes follow"),
    "aliases that explode": (ALIASES, "anchors and aliases"),
    "a tag": (HEAD + b"mask: !!python/object/apply:os.system [ls]", "tags"),
    "nested parentheses": (HEAD + b"mask: " + b"(" * 32_000, "parentheses"),
    "nested prefixes": (HEAD + b"mask: " + b"not " * 8_000 + b"true", "prefixes"),
    "nested signs": (HEAD + b'mask: "' + b"-" * 32_000 + b'q < 3"', "prefixes"),
    "nested calls": (HEAD + b"mask: " + b"abs(" * 8_000, "parentheses"),
    "a long sum": (HEAD + b"mask: " + b"1+" * 16_000 + b"q < 3", "operations inside one another"),
    "a long min": (HEAD + b"mask: min(" + b"q," * 16_000 + b"q) < 3", "operations inside one another"),
    "a long chain": (HEAD + b"mask: " + b"q<" * 16_000 + b"q", "operations inside one another"),
    "many unknown names": (HEAD + b"mask: min(" + b"(x+y)*(z+w)," * 2_500 + b"q) < 3", "more mistakes follow"),
    "let names that double": (HEAD + DOUBLING + b"mask: a60 < 3", "32-bit integers"),
    "let names in a chain": (HEAD + CHAIN + b"mask: a900 < 3", "operations inside one another"),
    "a huge number": (HEAD + b"params: {window: " + b"9" * 32_000 + b"}\nmask: true", "too large"),
    "a huge number in a mask": (HEAD + b"mask: q < " + b"9" * 32_000, "too large"),
    "a huge factor": (HEAD + b"score: {scale: 1e" + b"9" * 32_000 + b"}\nmask: true", "a number between"),
    "a long name": (HEAD + b"mask: q < " + b"x" * 32_000, "unknown name"),
    "a long pattern name": (b"pattern: " + b"x" * 32_000 + b"\nmask: true", "at most 64"),
    "a long key": (b"x" * 1_000 + b": 1\n", "unknown key"),
    "a megabyte": (HEAD + b"mask: q < " + b"x" * 1_000_000, "larger than"),
    "binary": (bytes(range(256)) * 100, "not text"),
    "nothing but zeros": (bytes(32_000), "not text"),
    "latin-1": ("pattern: é\nmask: true\n".encode("latin-1"), "not text"),
    "utf-16": ("pattern: a\nmask: true\n".encode("utf-16"), "not text"),
    "an escape sequence": (HEAD + b"mask: q < \x1b[2J", "not text"),
    "a quote left open": (HEAD + b'mask: "' + b"x " * 16_000, "not YAML"),
    "an anchor name": (b"mask: &" + b"a" * 32_000, "anchors"),
    "directives": (b"%TAG ! tag:x\n" * 2_000, "in quotes"),
    "comments": (b"# nothing\n" * 3_000, "empty"),
    "empty": (b"", "empty"),
}


@pytest.mark.parametrize("name", FILES)
def test_is_refused_quickly_and_cheaply(name: str, tmp_path: Path) -> None:
    content, sentence = FILES[name]
    path = tmp_path / "hostile.yaml"
    path.write_bytes(content)
    started = time.process_time()
    with pytest.raises((PatternFileError, PatternFileUnreadable)) as caught:
        read(path)
    assert time.process_time() - started < SECONDS
    assert sentence in str(caught.value)
    assert len(str(caught.value)) < 20_000
    assert all(character.isprintable() or character == "\n" for character in str(caught.value))


#: Those that would take the most if nothing bounded them.
HUNGRY = ("nested lists", "aliases that explode", "many unknown names", "let names that double", "a megabyte")


@pytest.mark.parametrize("name", HUNGRY)
def test_takes_little_memory(name: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.yaml"
    path.write_bytes(FILES[name][0])
    tracemalloc.start()
    try:
        with pytest.raises(AttnccError):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < MEGABYTES * 2**20
    finally:
        tracemalloc.stop()


def test_let_names_that_double_within_32_bits() -> None:
    lets = {"a0": "kv <= q", **{f"a{i + 1}": f"a{i} and a{i}" for i in range(60)}}
    with pytest.raises(PatternFileError, match="more than 20,000 parts"):
        from_dict({"pattern": "doubling", "let": lets, "mask": "a60"})


def test_a_path_that_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(PatternFileUnreadable, match="it is not a file"):
        find(tmp_path)
    with pytest.raises(PatternFileUnreadable, match="No such file"):
        find(tmp_path / "absent.yaml")
    with pytest.raises(PatternFileUnreadable, match="it is not a file"):
        read(Path("/dev/zero"))


def test_dictionaries_are_bounded_too() -> None:
    circle: dict[str, object] = {"pattern": "circle"}
    circle["let"] = circle
    shared: object = "x"
    for _ in range(5):
        shared = [shared] * 50
    for wrong in (circle, {"pattern": shared}, {"pattern": object()}, {"mask": "x" * 10_000_000}):
        started = time.process_time()
        with pytest.raises(AttnccError):
            from_dict(wrong)
        assert time.process_time() - started < SECONDS
