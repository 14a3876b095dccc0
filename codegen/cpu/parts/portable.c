enum { LANES = 4 };
typedef float vec __attribute__((vector_size(16), may_alias));
typedef int32_t ivec __attribute__((vector_size(16), may_alias));
typedef float loose_vec __attribute__((vector_size(16), aligned(4), may_alias));

static inline vec splat(float x) { return (vec){x, x, x, x}; }

static inline vec load(const float *from) { return *(const loose_vec *)from; }

static inline void store(float *to, vec x) { *(loose_vec *)to = x; }

static inline vec where(ivec keep, vec then, vec otherwise) {
    return (vec)((keep & (ivec)then) | (~keep & (ivec)otherwise));
}

/* The second operand where either is NaN. */
static inline vec larger(vec a, vec b) { return where(a > b, a, b); }

static inline vec floor_lanes(vec x) {
    const vec towards_zero = __builtin_convertvector(__builtin_convertvector(x, ivec), vec);
    return towards_zero + __builtin_convertvector(towards_zero > x, vec);
}

static inline float sum_lanes(vec x) { return x[0] + x[1] + (x[2] + x[3]); }

/* The sums of the lanes of four vectors. */
static inline void sum_four(float *to, const vec x[4]) {
    for (int i = 0; i < 4; i++) {
        to[i] = sum_lanes(x[i]);
    }
}

static inline float max_lanes(vec x) { return fmaxf(fmaxf(x[0], x[1]), fmaxf(x[2], x[3])); }

/* 2 ** x, split at floor(x); NaN stays NaN, and what is too small becomes 0. */
static inline vec exp2_lanes(vec x) {
    const vec bounded = larger(splat(-127.0f), x);
    const vec whole = floor_lanes(bounded);
    const ivec power = __builtin_convertvector(whole, ivec);
    return exp2_fraction(bounded - whole) * (vec)((power + 127) << 23);
}
