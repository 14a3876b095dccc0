"""What does `import attncc` bring, with PyTorch, without it, and in the program `attncc`?"""

from __future__ import annotations

import subprocess
import sys

import pytest

import attncc
from attncc.spec import load

WITHOUT_TORCH = "import sys; sys.modules['torch'] = None\n"


def run(program: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_operators_are_there_after_import() -> None:
    ask = f"all(hasattr(torch.ops.attncc, name) for name in {load.shipped()!r})"
    assert run(f"import attncc, torch; print({ask})") == "True"


def test_pattern_files_can_be_worked_with_where_torch_is_missing() -> None:
    assert (
        run(f"{WITHOUT_TORCH}import attncc\nfrom attncc.spec import load\nprint(load.find('causal').name)") == "causal"
    )


def test_what_needs_torch_says_so() -> None:
    ask = "try: attncc.attention\nexcept ModuleNotFoundError as error: print(error.name)"
    assert run(f"{WITHOUT_TORCH}import attncc\n{ask}") == "torch"


def test_the_program_starts_without_torch() -> None:
    program = [sys.executable, "-X", "importtime", "-m", "attncc", "patterns"]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    assert "| attncc\n" in done.stderr
    assert " torch\n" not in done.stderr


def test_names_of_the_program_are_imported_when_used() -> None:
    program = (
        "import sys; sys.argv[0] = 'attncc'; import attncc; print('torch' in sys.modules)\n"
        "print(attncc.Pattern.load('causal').name, 'torch' in sys.modules)"
    )
    assert run(program).split() == ["False", "causal", "True"]


def test_a_misspelt_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="module 'attncc' has no attribute 'atention'"):
        getattr(attncc, "aten" + "tion")
