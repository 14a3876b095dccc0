"""The patterns that come with attncc, one YAML file each."""

if __name__ != "attncc.patterns":
    raise ImportError(f"{__name__!r} is a folder of attncc, not a package of its own: import attncc.patterns")
