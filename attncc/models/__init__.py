"""Attention kernels inside models: plans, and what runs them."""
