"""Finds the best schedule of a kernel by trying schedules; one file per search strategy."""

if __name__ != "attncc.autotune":
    raise ImportError(f"{__name__!r} is a folder of attncc, not a package of its own: import attncc.autotune")
