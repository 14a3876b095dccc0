"""Can the words of a pattern file end the comment that they are put into?"""

from __future__ import annotations

import ast
import re

from attncc import compiler, device
from attncc.codegen.backend import backends
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import Operands
from attncc.spec import load, lower

HOSTILE = '*/ int evil(void) { return 1; } /* """\nimport os\n""" \\N{no such name} ??/\u2028 %s {0}'
FLOAT = Operands("float32", 64)


def hostile() -> Pattern:
    return lower.lower(load.from_dict({"pattern": "p", "about": HOSTILE, "source": HOSTILE, "mask": "kv <= q"}), {})


def test_c_stays_in_its_comment() -> None:
    schedule = backends()["cpu"].space(FLOAT, "prefill", device.host()).default()
    text = compiler.source(hostile(), FLOAT, "prefill", schedule, "cpu").text
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    assert "evil" in text
    assert "evil" not in code


def test_python_stays_in_its_docstring() -> None:
    schedule = backends()["triton"].space(FLOAT, "prefill", device.named("sm_90")).default()
    module = ast.parse(compiler.source(hostile(), FLOAT, "prefill", schedule, "triton").text)
    assert "evil" in (ast.get_docstring(module) or "")
    assert {name.name for node in module.body if isinstance(node, ast.Import) for name in node.names} == {
        "triton",
        "triton.language",
    }
