typedef uint16_t element; /* float16 */

static inline vec load_elements(const element *from) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)from)); }

static inline void store_elements(element *to, vec x) {
    _mm_storeu_si128((__m128i *)to, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
