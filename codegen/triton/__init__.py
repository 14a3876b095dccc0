"""The Triton backend: kernels for NVIDIA and AMD GPUs."""
