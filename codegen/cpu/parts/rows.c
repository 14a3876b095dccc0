/* What is left of one row of a list. */
struct row {
    const int32_t *first, *stop;
};

/* The row of a list that is meant for a batch, a query head and a row of queries. */
static struct row row_of(const struct call *call, const struct list *list, int64_t batch, int64_t head, int64_t row) {
    const int64_t owner = (list->batches == 1 ? 0 : batch) * list->heads + head * list->heads / call->q_heads;
    const int64_t at = owner * list->rows + row;
    const int32_t *first = list->entries + list->start[at];
    return (struct row){first, first + list->count[at]};
}

/* The first entry of a row that is at least `unit`; near entries are found in fewest steps. */
static const int32_t *seek(struct row row, int64_t unit) {
    for (int64_t reach = 1; reach < row.stop - row.first; reach *= 2) {
        if (row.first[reach] >= unit) {
            row.stop = row.first + reach;
            break;
        }
        row.first += reach;
    }
    while (row.first < row.stop) {
        const int32_t *middle = row.first + (row.stop - row.first) / 2;
        if (*middle < unit) {
            row.first = middle + 1;
        } else {
            row.stop = middle;
        }
    }
    return row.first;
}

/* Whether a row has `unit`. Asked for rising units, it forgets what lies before the last. */
static inline int holds(struct row *rest, int64_t unit) {
    if (rest->first < rest->stop && *rest->first < unit) {
        rest->first = seek(*rest, unit);
    }
    return rest->first < rest->stop && *rest->first == unit;
}

/* Keys of a row, numbered as they rise: number i is key (skipped + i) % size of entry (skipped + i) / size. */
struct span {
    const int32_t *entries;
    int64_t skipped, keys;
};

/* The keys of a row from first to end - 1, in units of `size` keys. */
static inline struct span between(struct row row, const int size, int64_t first, int64_t end) {
    row.first = seek(row, floor_div(first, size));
    row.stop = seek(row, floor_div(end + size - 1, size));
    if (first >= end || row.first == row.stop) {
        return (struct span){0};
    }
    const int64_t skipped = greater(first - (int64_t)*row.first * size, 0);
    const int64_t past = greater(((int64_t)row.stop[-1] + 1) * size - end, 0);
    return (struct span){row.first, skipped, (row.stop - row.first) * size - skipped - past};
}
