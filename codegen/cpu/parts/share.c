/* Which of the next keys of the row, by number, belong to this split. */
struct share {
    int64_t first, stop;
};

static inline struct share share_of(struct block *block, int64_t keys) {
    const struct share share = {greater(block->from - block->seen, 0), lesser(block->to - block->seen, keys)};
    block->seen += keys;
    return share;
}
