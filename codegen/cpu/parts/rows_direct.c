static inline const float *key_row(struct block *block, const element *from, int slot) {
    (void)block, (void)slot;
    return from;
}

static inline const float *value_row(struct block *block, const element *from, int slot) {
    (void)block, (void)slot;
    return from;
}
