"""The kernel library: keys, concurrency, crashes, damage."""
