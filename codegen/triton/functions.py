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

#: In the order in which they are printed.
FUNCTIONS = {"floor_div": FLOOR_DIV, "floor_mod": FLOOR_MOD, "tanh": TANH, "softmax_step": SOFTMAX_STEP}
