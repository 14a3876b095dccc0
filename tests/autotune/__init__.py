"""The tuner, without a compiler: toy kernels and recorded times."""
