"""The small functions that generated Triton modules share, each printed only where it is called."""

from __future__ import annotations

FLOOR_DIV = '''\
@triton.jit
def floor_div(a, b: tl.constexpr):
    """a / b rounded towards minus infinity, for b > 0; `//` rounds towards 0."""
    return tl.where(a % b < 0, a // b - 1, a // b)
'''

FLOOR_MOD = '''\
@triton.jit
def floor_mod(a, b: tl.constexpr):
    """a - b * floor(a / b), for b > 0; `%` has the sign of a."""
    return tl.where(a % b < 0, a % b + b, a % b)
'''

TANH = '''\
@triton.jit
def tanh(x):
    """Hyperbolic tangent, within two units in the last place; by a polynomial where 1 - exp would cancel."""
    size = tl.abs(x)
    far = 1.0 - 2.0 / (tl.exp2(size * (2.0 * LOG2E)) + 1.0)
    x2 = x * x
    near = 1.0 + x2 * (-0.3333314086 + x2 * (0.1332582207 + x2 * (-0.0530422053 + x2 * 0.0172354774)))
    return tl.where(size < 0.5, x * near, tl.where(x < 0, -far, far))
'''

SOFTMAX_STEP = '''\
@triton.jit
def softmax_step(score, factor, row_max, row_sum):
    """Weights of one tile, what earlier sums are to be rescaled by, and the row maxima and sums so far.

    score * factor is in units of log 2, factor > 0. A row that has met no key has the maximum -inf; subtracting that
    would make NaN.
    """
    new_max = tl.maximum(row_max, tl.max(score, 1) * factor)
    shift = tl.where(new_max == float("-inf"), 0.0, new_max)
    weight = tl.exp2(score * factor - shift[:, None])
    rescale = tl.exp2(row_max - shift)
    return weight, rescale, new_max, row_sum * rescale + tl.sum(weight, 1)
'''

KEYS_BEFORE = '''\
@triton.jit
def keys_before(entries, count, key, size: tl.constexpr):
    """How many keys of a list are less than `key`. Its `count` entries ascend; entry u stands for `size` keys from
    u * size on.

    Each round looks at 128 entries at once, so that one to three rounds do.
    """
    unit = tl.maximum(key, 0) // size if size > 1 else key
    below = 0
    left = count
    while left > 0:
        pace = left // 128 + 1
        probe = below + (tl.arange(0, 128) + 1) * pace - 1
        found = tl.load(entries + probe, mask=probe < below + left, other=0)
        passed = tl.sum(((probe < below + left) & (found < unit)).to(tl.int32), 0) * pace
        below += passed
        left = tl.minimum(pace - 1, left - passed)
    if size > 1:
        partly = tl.load(entries + below, mask=below < count, other=-1) == unit
        below = below * size + tl.where(partly, tl.maximum(key, 0) % size, 0)
    return below
'''

CONTAINS = '''\
@triton.jit
def contains(entries, count, unit):
    """Which of the units are among the `count` ascending entries of a list."""
    below = tl.zeros_like(unit)
    left = count
    while left > 0:
        half = (left + 1) // 2
        below += tl.where(tl.load(entries + below + half - 1) < unit, half, 0)
        left -= half
    return (tl.load(entries + below, mask=below < count, other=0) == unit) & (below < count)
'''

#: In the order in which they are printed.
FUNCTIONS = {
    "floor_div": FLOOR_DIV,
    "floor_mod": FLOOR_MOD,
    "tanh": TANH,
    "keys_before": KEYS_BEFORE,
    "contains": CONTAINS,
    "softmax_step": SOFTMAX_STEP,
}
