/* The natural logarithm of 1 + x for x in [0, 1], with an error of 2e-7 of itself. */
static inline vec log1p_lanes(vec x) {
    vec sum = splat(5.105825800e-03f);
    sum = sum * x + splat(-2.899195639e-02f);
    sum = sum * x + splat(7.738073838e-02f);
    sum = sum * x + splat(-1.359060024e-01f);
    sum = sum * x + splat(1.907130958e-01f);
    sum = sum * x + splat(-2.483394546e-01f);
    sum = sum * x + splat(3.331793432e-01f);
    sum = sum * x + splat(-4.999943569e-01f);
    sum = sum * x + splat(9.999999652e-01f);
    return sum * x;
}

/* The logarithm of x, a normal positive number, to the base 2. */
static inline vec log2_lanes(vec x) {
    const ivec bits = (ivec)x;
    const vec fraction = (vec)((bits & 0x7fffff) | 0x3f800000) - splat(1.0f);
    return __builtin_convertvector((bits >> 23) - 127, vec) + log1p_lanes(fraction) * splat(LOG2_E);
}
