"""The slopes of ALiBi."""

from __future__ import annotations


def slopes(q_heads: int) -> tuple[float, ...]:
    """One slope for each query head: 2^(-8/n), 2^(-16/n), ... for n heads, n a power of two.

    For other counts, those of the next smaller power of two, then every second one of the next larger: the rule of the
    authors' code (Press et al., arXiv 2108.12409).
    """
    whole = 1 << (q_heads.bit_length() - 1)
    first = [2.0 ** (-8.0 * (at + 1) / whole) for at in range(whole)]
    return (*first, *(2.0 ** (-4.0 * (2 * at + 1) / whole) for at in range(q_heads - whole)))
