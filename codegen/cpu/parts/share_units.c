/* Which of the next keys of the row, by number, belong to this split. */
struct share {
    int64_t first, stop;
};

/* A split has whole units of keys, and so from, to and seen count units. */
static inline struct share share_of(struct block *block, int64_t keys) {
    const int64_t units = (keys + UNIT - 1) / UNIT;
    const int64_t first = greater(block->from - block->seen, 0), stop = lesser(block->to - block->seen, units);
    block->seen += units;
    return (struct share){first * UNIT, lesser(stop * UNIT, keys)};
}
