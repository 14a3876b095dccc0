/* tanh by way of exp(2 |x|) - 1, which keeps small arguments exact. */
static inline vec tanh_lanes(vec x) {
    const vec size = where(x < 0.0f, -x, x);
    const vec power = -larger(splat(-40.0f), size * splat(-2.0f * LOG2_E));
    const vec whole = exp2_lanes(floor_lanes(power));
    const vec fraction = power - floor_lanes(power);
    const vec less_one = whole * fraction * exp2_slope(fraction) + (whole - splat(1.0f));
    const vec result = less_one / (less_one + splat(2.0f));
    return where(x < 0.0f, -result, result);
}
