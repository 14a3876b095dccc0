/* Products of KEYS keys with all queries, into KEYS rows of block->score: 2 x 2 tiles of 16 keys and 16 queries. Keys
   are read where they lie; copied first where rows after the last may not be read, or where rows are no whole tiles. */
static inline void score_keys(struct block *block, int at, int last RUN_PARAMETERS) {
    FIND_KEYS
    const element *next = (const element *)((const char *)key + 16 * bytes);
    for (int lane = 0; lane < block->height; lane += 32) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        for (int d = 0; d < HEAD_DIM; d += 32) {
            LOAD_TILE(4, key + d, bytes);
            LOAD_TILE(6, block->query[d / 2] + lane, sizeof block->query[0]);
            _tile_dpbf16ps(0, 4, 6);
            LOAD_TILE(7, block->query[d / 2] + lane + 16, sizeof block->query[0]);
            _tile_dpbf16ps(1, 4, 7);
            LOAD_TILE(5, next + d, bytes);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
        STORE_TILE(0, block->score[lane / 16][at], 64);
        STORE_TILE(1, block->score[lane / 16 + 1][at], 64);
        STORE_TILE(2, block->score[lane / 16][at + 16], 64);
        STORE_TILE(3, block->score[lane / 16 + 1][at + 16], 64);
    }
}
