"""From a TilePlan to source a person can read, and from source to something that runs; one folder per backend."""

if __name__ != "attncc.codegen":
    raise ImportError(f"{__name__!r} is a folder of attncc, not a package of its own: import attncc.codegen")
