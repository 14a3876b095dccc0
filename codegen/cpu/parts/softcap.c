/* tanh by way of 2 ** power - 1 for the power 2 log2(e) |x|; small arguments keep their relative accuracy. */
static inline vec tanh_lanes(vec x) {
    const vec power = -larger(splat(-40.0f), where(x < 0.0f, x, -x) * splat(2.0f * LOG2_E));
    const vec fraction = power - floor_lanes(power);
    vec slope = splat(2.074557741e-04f);
    slope = slope * fraction + splat(1.271005739e-03f);
    slope = slope * fraction + splat(9.650650945e-03f);
    slope = slope * fraction + splat(5.549656507e-02f);
    slope = slope * fraction + splat(2.402271382e-01f);
    slope = slope * fraction + splat(6.931471721e-01f);
    const vec whole = exp2_lanes(floor_lanes(power));
    const vec less_one = whole * fraction * slope + (whole - splat(1.0f));
    const vec size = less_one / (less_one + splat(2.0f));
    return where(x < 0.0f, -size, size);
}
