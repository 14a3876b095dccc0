/* One row as float32; the last vector overlaps the one before it where HEAD_DIM is no multiple of LANES. */
static inline const float *widen(float *to, const element *from) {
    for (int d = 0; d < HEAD_DIM; d += LANES) {
        const int at = d + LANES <= HEAD_DIM ? d : HEAD_DIM - LANES;
        store(to + at, load_elements(from + at));
    }
    return to;
}
