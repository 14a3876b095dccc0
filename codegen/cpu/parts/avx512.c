enum { LANES = 16 };
typedef float vec __attribute__((vector_size(64), may_alias));
typedef int32_t ivec __attribute__((vector_size(64), may_alias));

static inline vec splat(float x) { return _mm512_set1_ps(x); }

static inline vec load(const float *from) { return _mm512_loadu_ps(from); }

static inline void store(float *to, vec x) { _mm512_storeu_ps(to, x); }

/* The second operand where either is NaN. */
static inline vec larger(vec a, vec b) { return _mm512_max_ps(a, b); }

static inline vec where(ivec keep, vec then, vec otherwise) {
    return _mm512_mask_blend_ps(_mm512_movepi32_mask((__m512i)keep), otherwise, then);
}

static inline vec floor_lanes(vec x) { return _mm512_floor_ps(x); }

static inline float sum_lanes(vec x) { return _mm512_reduce_add_ps(x); }

/* The sums of the lanes of four vectors. */
static inline void sum_four(float *to, const vec x[4]) {
    const __m512 a = _mm512_add_ps(_mm512_unpacklo_ps(x[0], x[1]), _mm512_unpackhi_ps(x[0], x[1]));
    const __m512 b = _mm512_add_ps(_mm512_unpacklo_ps(x[2], x[3]), _mm512_unpackhi_ps(x[2], x[3]));
    const __m512 quarters = _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x44), _mm512_shuffle_ps(a, b, 0xee));
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(quarters), _mm512_extractf32x8_ps(quarters, 1));
    _mm_storeu_ps(to, _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1)));
}

static inline float max_lanes(vec x) { return _mm512_reduce_max_ps(x); }

/* 2 ** x, split at floor(x); NaN stays NaN, and what is too small becomes 0. */
static inline vec exp2_lanes(vec x) {
    const vec fraction = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    return _mm512_scalef_ps(exp2_fraction(fraction), x);
}
