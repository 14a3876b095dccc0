"""Which schedule is fastest here? Proposes, builds in isolation, verifies, races, decides, remembers."""
