typedef _Float16 element;

static inline vec load_elements(const element *from) {
    return (vec){(float)from[0], (float)from[1], (float)from[2], (float)from[3]};
}

static inline void store_elements(element *to, vec x) {
    for (int lane = 0; lane < LANES; lane++) {
        to[lane] = (element)x[lane];
    }
}
