enum { LANES = 8 };
typedef float vec __attribute__((vector_size(32), may_alias));
typedef int32_t ivec __attribute__((vector_size(32), may_alias));

static inline vec splat(float x) { return _mm256_set1_ps(x); }

static inline vec load(const float *from) { return _mm256_loadu_ps(from); }

static inline void store(float *to, vec x) { _mm256_storeu_ps(to, x); }

/* The second operand where either is NaN. */
static inline vec larger(vec a, vec b) { return _mm256_max_ps(a, b); }

static inline vec where(ivec keep, vec then, vec otherwise) { return _mm256_blendv_ps(otherwise, then, (__m256)keep); }

static inline vec floor_lanes(vec x) { return _mm256_floor_ps(x); }

static inline float sum_lanes(vec x) {
    __m128 sum = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
    return _mm_cvtss_f32(sum) + _mm_cvtss_f32(_mm_movehdup_ps(sum));
}

/* The sums of the lanes of four vectors. */
static inline void sum_four(float *to, const vec x[4]) {
    const __m256 a = _mm256_add_ps(_mm256_unpacklo_ps(x[0], x[1]), _mm256_unpackhi_ps(x[0], x[1]));
    const __m256 b = _mm256_add_ps(_mm256_unpacklo_ps(x[2], x[3]), _mm256_unpackhi_ps(x[2], x[3]));
    const __m256 half = _mm256_add_ps(_mm256_shuffle_ps(a, b, 0x44), _mm256_shuffle_ps(a, b, 0xee));
    _mm_storeu_ps(to, _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1)));
}

static inline float max_lanes(vec x) {
    float most = x[0];
    for (int lane = 1; lane < LANES; lane++) {
        most = fmaxf(most, x[lane]);
    }
    return most;
}

/* 2 ** x, split at floor(x); NaN stays NaN, and what is too small becomes 0. */
static inline vec exp2_lanes(vec x) {
    const vec bounded = larger(splat(-127.0f), x);
    const vec whole = floor_lanes(bounded);
    const ivec power = (ivec)_mm256_cvttps_epi32(whole);
    return exp2_fraction(bounded - whole) * (vec)((power + 127) << 23);
}
