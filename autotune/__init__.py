"""Which schedule is fastest here? Proposes, builds in isolation, verifies, races, decides, remembers."""

if __name__ != "attncc.autotune":
    raise ImportError(f"{__name__!r} is a folder of attncc, not a package of its own: import attncc.autotune")
