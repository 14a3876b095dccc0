/* vertical_slash: The columns and diagonals that the last queries look at, chosen at run time for each head. A
   tile of queries sees what any of its rows sees along a diagonal. The source's kernel also takes keys up to the
   end of its steps of 64, and where the budget is smaller than what is always in, leaves open which of it stays;
   here all of it stays.

   cpu, prefill, float32, head_dim 64; written by attncc 0.1.0. To write it again:
       attncc show vertical_slash --stage cpu --dtype float32 --set vertical=1000 --set slash=6096 --set first=30
       --set near=100 --set last=64 --set tile=64 --set dense_below=0 --set minference_exact=0

   mask: kv <= q and (kv_len < dense_below or kv in columns or q // tile * tile - kv in diagonals)
   with vertical = 1000, slash = 6096, first = 30, near = 100, last = 64, tile = 64, dense_below = 0,
        minference_exact = 0
   source: MInference (arXiv 2407.02490)
   digest: 5e4f7a28cd06fb86
   schedule: isa=avx2 block_m=64 block_n=96

   query and out are [batch, q_heads, q_len, HEAD_DIM], key and value [batch, kv_heads, kv_len, HEAD_DIM], of any
   strides with a contiguous last dimension; lse is float32 [batch, q_heads, q_len], in natural units. Query head
   h reads KV head h // (q_heads // kv_heads). Positions count from 0 to kv_len - 1; the last query is at the last.
   Lists hold ascending units of keys, one list for each row of queries that share a choice; of the keys of a run
   over a list, only those in the list are visited. Query head h reads list head h * list_heads // q_heads.
   Query tiles are aligned to absolute positions. One task takes one query tile of one head through the runs of
   keys that it sees: scores of BLOCK_N keys, their softmax, their share of the values. */

#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef __AVX2__
#error "compile with -mavx2 -mfma -mf16c"
#endif

/* Sizes of the tiles, in memory and in registers. */
enum {
    HEAD_DIM = 64,
    PADDED_DIM = 64,
    BLOCK_M = 64,
    BLOCK_N = 96,
    KEYS = 6,
    QUERY_VECS = 2,
    STRIP = 16,
    ROWS = 6,
    COLUMN_VECS = 2
};

#define LOG2_E 1.4426950408889634f
#define LN_2 0.6931471805599453f
/* What row_max starts from, and the score of a key that the mask leaves out. */
#define LOWEST -1e30f
#define MASKED -1e36f

/* A scale of 0 must not make masked scores weigh something. */
#define LEAST_SCALE 1e-30f

/* Fewer scores than this are faster on one thread. */
#define PARALLEL_SCORES 65536

enum { LANES = 8 };
typedef float vec __attribute__((vector_size(32), may_alias));
typedef int32_t ivec __attribute__((vector_size(32), may_alias));

static inline vec splat(float x) { return _mm256_set1_ps(x); }

static inline vec load(const float *from) { return _mm256_loadu_ps(from); }

static inline void store(float *to, vec x) { _mm256_storeu_ps(to, x); }

/* The second operand where either is NaN. */
static inline vec larger(vec a, vec b) { return _mm256_max_ps(a, b); }

static inline vec where(ivec keep, vec then, vec otherwise) { return _mm256_blendv_ps(otherwise, then, (__m256)keep); }

static inline vec floor_lanes(vec x) { return _mm256_floor_ps(x); }

/* 2 ** x for x in [0, 1). */
static inline vec exp2_fraction(vec x) {
    vec sum = splat(1.879318648e-03f);
    sum = sum * x + splat(8.990995096e-03f);
    sum = sum * x + splat(5.581867596e-02f);
    sum = sum * x + splat(2.401592715e-01f);
    sum = sum * x + splat(6.931517388e-01f);
    return sum * x + splat(1.0f);
}

/* 2 ** x, split at floor(x); NaN stays NaN, and what is too small becomes 0. */
static inline vec exp2_lanes(vec x) {
    const vec bounded = larger(splat(-127.0f), x);
    const vec whole = floor_lanes(bounded);
    const ivec power = (ivec)_mm256_cvttps_epi32(whole);
    return exp2_fraction(bounded - whole) * (vec)((power + 127) << 23);
}

static inline int64_t lesser(int64_t a, int64_t b) { return a < b ? a : b; }

static inline int64_t greater(int64_t a, int64_t b) { return a > b ? a : b; }

/* Division that rounds down; the divisor is positive. */
static inline int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

static const ivec LANE = {0, 1, 2, 3, 4, 5, 6, 7};

static inline ivec spread(int64_t x) { return (ivec){0} + (int32_t)x; }

typedef float element;

static inline vec load_elements(const element *from) { return load(from); }

static inline void store_elements(element *to, vec x) { store(to, x); }

/* Ascending units for every row of queries that share a choice: row [batch or 0, list head, row] is count[...] entries,
   from start[...] on. */
struct list {
    const int32_t *entries;
    const int64_t *start;
    const int32_t *count;
    int64_t batches, heads, rows;
};

/* One call: query and out are [batch, q_heads, q_len, HEAD_DIM], key and value [batch, kv_heads, kv_len, HEAD_DIM],
   lse [batch, q_heads, q_len]; out and lse are contiguous. Strides count elements, in the order batch, head, row. */
struct call {
    const element *query, *key, *value;
    element *out;
    float *lse;
    int64_t batch, q_heads, kv_heads, q_len, kv_len;
    int64_t query_stride[3], key_stride[3], value_stride[3];
    int64_t threads;
    double scale;
    struct list diagonals_list;
    struct list columns_list;
};

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

/* What remains to be checked of the mask, by kind of run. */
enum mask { FULL, KV_LE_Q };

/* Which keys of a run are visited at all, by kind of run. */
enum only { ANY, ONLY_A };

/* A query tile and the block of keys it is about to take in; lives on the stack of its thread. */
struct block {
    _Alignas(64) float query[BLOCK_M / STRIP][HEAD_DIM][STRIP];
    float score[BLOCK_M / STRIP][BLOCK_N + KEYS][STRIP]; /* after weigh_scores: weights */
    float acc[BLOCK_M][PADDED_DIM];
    float row_max[BLOCK_M], row_sum[BLOCK_M], rescale[BLOCK_M];
    const float *value_row[BLOCK_N];
    const element *key, *value;
    const struct call *call;
    int32_t position[BLOCK_N];
    struct row diagonals_list, columns_list, diagonals_rest;
    int64_t key_stride, value_stride, q_first, head, batch;
    float factor; /* from score to exponent of 2 */
    int rows, count;
};

/* Transposes 8 rows of 8 words. */
static inline __attribute__((always_inline)) void transpose(__m256i row[8]) {
    __m256i half[8];
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
        half[i] = _mm256_unpacklo_epi32(row[i], row[i + 1]);
        half[i + 1] = _mm256_unpackhi_epi32(row[i], row[i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
        row[i] = _mm256_unpacklo_epi64(half[i], half[i + 2]);
        row[i + 1] = _mm256_unpackhi_epi64(half[i], half[i + 2]);
        row[i + 2] = _mm256_unpacklo_epi64(half[i + 1], half[i + 3]);
        row[i + 3] = _mm256_unpackhi_epi64(half[i + 1], half[i + 3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        half[i] = _mm256_permute2x128_si256(row[i], row[i + 4], 0x20);
        half[i + 4] = _mm256_permute2x128_si256(row[i], row[i + 4], 0x31);
    }
    memcpy(row, half, sizeof half);
}

/* Products of KEYS keys with all queries, into KEYS rows of block->score. `last` is the last key that exists; the rows
   after it repeat it, and are overwritten or never read. What is read next is fetched line by line meanwhile, since
   many lines at once would keep the keys waiting. */
static inline void score_keys(struct block *block, int at, int last) {
    enum { LINE = 64 / sizeof(element) };
    const float *row[KEYS];
    const element *value[KEYS];
    for (int k = 0; k < KEYS; k++) {
        const int64_t position = block->position[at + (k < last ? k : last)];
        const element *key = block->key + position * block->key_stride;
        row[k] = key;
        value[k] = block->value + position * block->value_stride;
    }
    for (int strip = 0; strip < BLOCK_M / STRIP; strip++) {
        vec sum[KEYS][QUERY_VECS] = {0};
        for (int line = 0; line < HEAD_DIM; line += LINE) {
            for (int k = 0; k < KEYS; k++) {
                __builtin_prefetch(value[k] + line, 0, 2);
            }
            for (int d = line; d < HEAD_DIM && d < line + LINE; d++) {
                const float *query = block->query[strip][d];
#pragma GCC unroll 16
                for (int k = 0; k < KEYS; k++) {
                    const vec key = splat(row[k][d]);
#pragma GCC unroll 4
                    for (int v = 0; v < QUERY_VECS; v++) {
                        sum[k][v] += key * load(query + v * LANES);
                    }
                }
            }
        }
#pragma GCC unroll 16
        for (int k = 0; k < KEYS; k++) {
#pragma GCC unroll 4
            for (int v = 0; v < QUERY_VECS; v++) {
                store(block->score[strip][at + k] + v * LANES, sum[k][v]);
            }
        }
    }
}

/* Turns the scores of the block into weights: row_max, row_sum and rescale follow the running softmax. */
static void weigh_scores(struct block *block) {
    const vec factor = splat(block->factor);
    for (int lane = 0; lane < BLOCK_M; lane += STRIP) {
        float (*score)[STRIP] = block->score[lane / STRIP];
        vec row_max[QUERY_VECS], shift[QUERY_VECS], row_sum[QUERY_VECS];
#pragma GCC unroll 4
        for (int v = 0; v < QUERY_VECS; v++) {
            row_max[v] = load(block->row_max + lane + v * LANES);
        }
        for (int key = 0; key < block->count; key++) {
#pragma GCC unroll 4
            for (int v = 0; v < QUERY_VECS; v++) {
                row_max[v] = larger(row_max[v], load(score[key] + v * LANES));
            }
        }
#pragma GCC unroll 4
        for (int v = 0; v < QUERY_VECS; v++) {
            const int column = lane + v * LANES;
            shift[v] = row_max[v] * factor;
            row_sum[v] = splat(0.0f);
            store(block->rescale + column, exp2_lanes((load(block->row_max + column) - row_max[v]) * factor));
            store(block->row_max + column, row_max[v]);
        }
        for (int key = 0; key < block->count; key++) {
#pragma GCC unroll 4
            for (int v = 0; v < QUERY_VECS; v++) {
                const vec weight = exp2_lanes(load(score[key] + v * LANES) * factor - shift[v]);
                row_sum[v] += weight;
                store(score[key] + v * LANES, weight);
            }
        }
#pragma GCC unroll 4
        for (int v = 0; v < QUERY_VECS; v++) {
            const int column = lane + v * LANES;
            row_sum[v] += load(block->row_sum + column) * load(block->rescale + column);
            store(block->row_sum + column, row_sum[v]);
        }
    }
}

/* Adds the weighted values of the block to `rows` rows of acc, in `vecs` vectors of columns from `column` on. */
static inline __attribute__((always_inline)) void add_values(struct block *block, int first_row, const int rows,
                                                             int column, const int vecs) {
    vec sum[ROWS][COLUMN_VECS] = {0};
    for (int key = 0; key < block->count; key++) {
        const float *value = block->value_row[key] + column;
        const float *weight = block->score[first_row / STRIP][key] + first_row % STRIP;
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            const vec one = splat(weight[r]);
#pragma GCC unroll 16
            for (int v = 0; v < vecs; v++) {
                sum[r][v] += one * load(value + v * LANES);
            }
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
        const vec rescale = splat(block->rescale[first_row + r]);
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++) {
            float *acc = block->acc[first_row + r] + column + v * LANES;
            store(acc, load(acc) * rescale + sum[r][v]);
        }
    }
}

/* Takes the keys of the block into acc and empties it. */
static void absorb(struct block *block) {
    weigh_scores(block);
    for (int column = 0; column < 8 * LANES; column += COLUMN_VECS * LANES) {
        for (int strip = 0; strip < BLOCK_M; strip += STRIP) {
            add_values(block, strip, 6, column, COLUMN_VECS);
            for (int row = strip + 6; row < strip + 16; row += 5) {
                add_values(block, row, 5, column, COLUMN_VECS);
            }
        }
    }
    block->count = 0;
}

/* Puts MASKED in place of the scores that the mask leaves out, for `count` keys that join the block. */
static inline void change_scores(struct block *block, int count, const enum mask mask) {
    for (int lane = 0; lane < BLOCK_M; lane += LANES) {
        const ivec q = spread(block->q_first + lane) + LANE;
        for (int i = 0; i < count; i++) {
            float *place = block->score[lane / STRIP][block->count + i] + lane % STRIP;
            const ivec kv = spread(block->position[block->count + i]);
            const vec score = load(place);
            switch (mask) {
                case FULL:
                    store(place, score);
                    break;
                case KV_LE_Q:
                    store(place, where(kv <= q, score, splat(MASKED)));
                    break;
            }
        }
    }
}

/* Takes in the `count` keys whose positions follow those of the block; a full block goes into acc. */
static inline __attribute__((always_inline)) void take(struct block *block, int count, const enum mask mask) {
    for (int i = 0; i < count; i += KEYS) {
        score_keys(block, block->count + i, count - 1 - i);
    }
    if (mask != FULL) {
        change_scores(block, count, mask);
    }
    for (int i = 0; i < count; i++) {
        const element *value = block->value + block->position[block->count + i] * block->value_stride;
        block->value_row[block->count + i] = value;
    }
    block->count += count;
    if (block->count == BLOCK_N) {
        absorb(block);
    }
}

/* Whether a key is visited at all; asked for rising keys of one run. */
static inline __attribute__((always_inline)) int wanted(struct block *block, int64_t kv, const enum only only) {
    switch (only) {
        case ANY:
            break;
        case ONLY_A:
            return !holds(&block->diagonals_rest, kv - floor_div(block->q_first, 64) * 64);
    }
    return 1;
}

/* Adds those of the keys first to end - 1 to the block that a row has, as units of `size` keys counted from `base`. */
static inline __attribute__((always_inline)) void visit_list(struct block *block, const struct row row, const int size,
                                                             int64_t base, int64_t first, int64_t end,
                                                             const enum mask mask, const enum only only) {
    const struct span span = between(row, size, greater(first, 0) - base, lesser(end, block->call->kv_len) - base);
    const int64_t keys = span.keys;
    block->diagonals_rest = block->diagonals_list;
    int64_t at = 0;
    while (at < keys) {
        const int room = BLOCK_N - block->count;
        int count = 0;
        for (; at < keys && count < room; at++) {
            const int64_t number = span.skipped + at;
            const int64_t kv = base + (int64_t)span.entries[number / size] * size + number % size;
            block->position[block->count + count] = (int32_t)kv;
            count += wanted(block, kv, only);
        }
        take(block, count, mask);
    }
}

static __attribute__((noinline)) void visit_full_over_diagonals(struct block *block, int64_t first, int64_t end) {
    visit_list(block, block->diagonals_list, 1, floor_div(block->q_first, 64) * 64, first, end, FULL, ANY);
}

static __attribute__((noinline)) void visit_kv_le_q_over_diagonals(struct block *block, int64_t first, int64_t end) {
    visit_list(block, block->diagonals_list, 1, floor_div(block->q_first, 64) * 64, first, end, KV_LE_Q, ANY);
}

static __attribute__((noinline)) void visit_full_over_columns_only_a(struct block *block, int64_t first, int64_t end) {
    visit_list(block, block->columns_list, 1, 0, first, end, FULL, ONLY_A);
}

static __attribute__((noinline)) void visit_kv_le_q_over_columns_only_a(struct block *block, int64_t first,
                                                                        int64_t end) {
    visit_list(block, block->columns_list, 1, 0, first, end, KV_LE_Q, ONLY_A);
}

/* Transposes the query rows of the block, so that one vector holds LANES queries; missing rows are zero. A negative
   scale becomes a positive one by changing the sign of the queries. */
static void load_queries(struct block *block, const element *from, int64_t stride) {
    const vec sign = splat(block->call->scale < 0 ? -1.0f : 1.0f);
    for (int lane = 0; lane < BLOCK_M; lane += LANES) {
        for (int row = lane + LANES; row < lane + 2 * LANES && row < block->rows; row++) {
            for (int d = 0; d < HEAD_DIM; d += 64 / (int)sizeof(element)) {
                __builtin_prefetch(from + row * stride + d);
            }
        }
        for (int d = 0; d < HEAD_DIM; d += LANES) {
            const int at = d + LANES <= HEAD_DIM ? d : HEAD_DIM - LANES;
            __m256i row[LANES] = {0};
            for (int i = 0; i < LANES && lane + i < block->rows; i++) {
                row[i] = (__m256i)(load_elements(from + (lane + i) * stride + at) * sign);
            }
            transpose(row);
#pragma GCC unroll 16
            for (int i = 0; i < LANES; i++) {
                store(block->query[lane / STRIP][at + i] + lane % STRIP, (vec)row[i]);
            }
        }
    }
}

static void begin_rows(struct block *block) {
    memset(block->acc, 0, sizeof block->acc);
    for (int row = 0; row < BLOCK_M; row += LANES) {
        store(block->row_max + row, splat(LOWEST));
        store(block->row_sum + row, splat(0.0f));
    }
}

/* Divides acc by row_sum and writes out and lse; a row that met no key gives 0 and -infinity. */
static void finish_rows(struct block *block, element *out, float *lse) {
    for (int row = 0; row < block->rows; row++) {
        const float sum = block->row_sum[row];
        const vec share = splat(sum == 0.0f ? 0.0f : 1.0f / sum);
        for (int d = 0; d < HEAD_DIM; d += LANES) {
            const int at = d + LANES <= HEAD_DIM ? d : HEAD_DIM - LANES;
            store_elements(out + row * HEAD_DIM + at, load(block->acc[row] + at) * share);
        }
        lse[row] = sum == 0.0f ? -INFINITY : (block->row_max[row] * block->factor + log2f(sum)) * LN_2;
    }
}

/* One task: the rows of one query tile of one head, and the runs of keys that they see. */
static void attend(const struct call *call, int64_t batch, int64_t head, int64_t tile) {
    const int64_t q_len = call->q_len, kv_len = call->kv_len;
    const int64_t q_first = greater(tile * BLOCK_M, kv_len - q_len);
    const int64_t q_last = lesser(tile * BLOCK_M + BLOCK_M, kv_len) - 1;
    const int64_t kv_head = head / (call->q_heads / call->kv_heads), row = q_first - (kv_len - q_len);
    const element *query = call->query + batch * call->query_stride[0] + head * call->query_stride[1];
    struct block block;
    block.call = call;
    block.key = call->key + batch * call->key_stride[0] + kv_head * call->key_stride[1];
    block.value = call->value + batch * call->value_stride[0] + kv_head * call->value_stride[1];
    block.key_stride = call->key_stride[2];
    block.value_stride = call->value_stride[2];
    block.q_first = q_first;
    block.head = head;
    block.batch = batch;
    block.factor = fmaxf(fabsf((float)call->scale), LEAST_SCALE) * LOG2_E;
    block.diagonals_list = row_of(call, &call->diagonals_list, batch, head, 0);
    block.columns_list = row_of(call, &call->columns_list, batch, head, 0);
    block.rows = (int)(q_last - q_first + 1);
    block.count = 0;
    load_queries(&block, query + row * call->query_stride[2], call->query_stride[2]);
    begin_rows(&block);
    visit_full_over_diagonals(&block, 0, q_first + 1);
    visit_kv_le_q_over_diagonals(&block, greater(0, q_first + 1), q_last + 1);
    visit_full_over_columns_only_a(&block, 0, q_first + 1);
    visit_kv_le_q_over_columns_only_a(&block, greater(0, q_first + 1), q_last + 1);

    if (block.count > 0) {
        absorb(&block);
    }
    const int64_t place = (batch * call->q_heads + head) * q_len + row;
    finish_rows(&block, call->out + place * HEAD_DIM, call->lse + place);
}

/* Query tiles are tasks, head by head, so that keys and values stay in the cache; in each head those with the most
   keys, the last ones, begin. Returns 0. */
int attncc_vertical_slash(const struct call *call) {
    const int64_t first = floor_div(call->kv_len - call->q_len, BLOCK_M);
    const int64_t tiles = floor_div(call->kv_len - 1, BLOCK_M) - first + 1;
    const int64_t heads = call->batch * call->q_heads;
    const int64_t tasks = tiles * heads;
    const int parallel = call->threads > 1 && call->q_len * call->kv_len * heads > PARALLEL_SCORES;
#pragma omp parallel for schedule(dynamic, 1) num_threads((int)call->threads) if (parallel)
    for (int64_t task = 0; task < tasks; task++) {
        const int64_t owner = task / tiles;
        attend(call, owner / call->q_heads, owner % call->q_heads, first + tiles - 1 - task % tiles);
    }
    return 0;
}
