"""Writes kernels down for those who do not have attncc: as a package, for the Hub, compiled ahead of time."""
