"""Settings, devices, the compiler and everything a user of PyTorch calls."""
