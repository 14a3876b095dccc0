static inline ivec load_numbers(const int32_t *from) {
    ivec numbers;
    memcpy(&numbers, from, sizeof numbers);
    return numbers;
}

static inline ivec gather(const int32_t *from, ivec at) {
    ivec numbers;
    for (int lane = 0; lane < LANES; lane++) {
        numbers[lane] = from[at[lane]];
    }
    return numbers;
}
