"""From a Pattern to its TilePlan: the passes, in order."""
