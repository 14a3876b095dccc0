"""From a TilePlan to source a person can read, and from source to something that runs; one folder per backend."""
