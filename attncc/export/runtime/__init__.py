"""What the kernels of this package are called by: modules of attncc, and some in place of those that stayed behind."""
