"""`python -m tests.golden.rewrite`, or `make golden`: writes the golden files and says which ones changed."""

from __future__ import annotations

from tests.golden.cases import CASES, FOLDER, Golden, GoldenPlan


def rewrite(case: Golden | GoldenPlan) -> bool:
    """Writes one file; true if it reads differently than before."""
    text = case.text()
    if case.path.exists() and case.path.read_text(encoding="utf-8") == text:
        return False
    case.path.parent.mkdir(parents=True, exist_ok=True)
    case.path.write_text(text, encoding="utf-8")
    return True


def main() -> None:
    changed = [case for case in CASES if rewrite(case)]
    for case in changed:
        print(f"wrote {case.path.relative_to(FOLDER.parent.parent)}")
    print(f"{len(changed)} of {len(CASES)} golden files changed")


if __name__ == "__main__":
    main()
