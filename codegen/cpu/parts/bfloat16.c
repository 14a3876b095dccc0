typedef uint16_t element; /* bfloat16: the upper half of a float32 */
typedef element element_lanes __attribute__((vector_size(2 * LANES)));

static inline vec load_elements(const element *from) {
    element_lanes halves;
    memcpy(&halves, from, sizeof halves);
    return (vec)(__builtin_convertvector(halves, ivec) << 16);
}

/* Rounds to nearest, ties to even; NaN stays NaN. */
static inline void store_elements(element *to, vec x) {
    const ivec bits = (ivec)x;
    const ivec rounded = bits + 0x7fff + (bits >> 16 & 1);
    const ivec kept = (ivec)where(x == x, (vec)rounded, splat(NAN));
    const element_lanes halves = __builtin_convertvector(kept >> 16, element_lanes);
    memcpy(to, &halves, sizeof halves);
}
