/* Ascending units for every row of queries that share a choice: row [batch or 0, list head, row] is count[...] entries,
   from start[...] on. */
struct list {
    const int32_t *entries;
    const int64_t *start;
    const int32_t *count;
    int64_t batches, heads, rows;
};
