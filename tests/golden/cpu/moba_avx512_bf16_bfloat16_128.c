/* moba: For each query its own chunk of keys and the chunks whose mean key it likes best.

   cpu, decode, bfloat16, head_dim 128; written by attncc 0.1.0. To write it again:
       attncc show moba --stage cpu --dtype bfloat16 --set chunk=512 --set top=3

   mask: kv <= q and (q, kv // chunk) in chunks
   with chunk = 512, top = 3
   source: MoBA (arXiv 2502.13189)
   digest: 9cfe7d8f48acad46
   schedule: isa=avx512_bf16 rows=4 block_n=128 split=512

   query and out are [batch, q_heads, q_len, HEAD_DIM], key and value [batch, kv_heads, kv_len, HEAD_DIM], of any
   strides with a contiguous last dimension; lse is float32 [batch, q_heads, q_len], in natural units. Query head
   h reads KV head h // (q_heads // kv_heads). Positions count from 0 to kv_len - 1; the last query is at the last.
   Lists hold ascending units of keys, one list for each row of queries that share a choice; of the keys of a run
   over a list, only those in the list are visited. Query head h reads list head h * list_heads // q_heads.
   One task takes one query position, with ROWS heads that share a KV head, through its part of the keys that it
   sees: scores of BLOCK_N keys, their softmax, their share of the values. The parts are joined at the end. */

#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef __AVX512BF16__
#error "compile with -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512bf16"
#endif

/* Sizes of the tiles, in memory and in registers. */
enum {
    HEAD_DIM = 128,
    PADDED_DIM = 128,
    ROWS = 1,
    ROWS_AT_ONCE = 1,
    KEYS = 4,
    BLOCK_N = 128,
    COLUMN_VECS = 4,
    SPLIT = 512,
    AHEAD = 16
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

enum { LANES = 16 };
typedef float vec __attribute__((vector_size(64), may_alias));
typedef int32_t ivec __attribute__((vector_size(64), may_alias));

static inline vec splat(float x) { return _mm512_set1_ps(x); }

static inline vec load(const float *from) { return _mm512_loadu_ps(from); }

static inline void store(float *to, vec x) { _mm512_storeu_ps(to, x); }

/* The second operand where either is NaN. */
static inline vec larger(vec a, vec b) { return _mm512_max_ps(a, b); }

static inline vec where(ivec keep, vec then, vec otherwise) {
    return _mm512_mask_blend_ps(_mm512_movepi32_mask((__m512i)keep), otherwise, then);
}

static inline float sum_lanes(vec x) { return _mm512_reduce_add_ps(x); }

/* The sums of the lanes of four vectors. */
static inline void sum_four(float *to, const vec x[4]) {
    const __m512 a = _mm512_add_ps(_mm512_unpacklo_ps(x[0], x[1]), _mm512_unpackhi_ps(x[0], x[1]));
    const __m512 b = _mm512_add_ps(_mm512_unpacklo_ps(x[2], x[3]), _mm512_unpackhi_ps(x[2], x[3]));
    const __m512 quarters = _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x44), _mm512_shuffle_ps(a, b, 0xee));
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(quarters), _mm512_extractf32x8_ps(quarters, 1));
    _mm_storeu_ps(to, _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1)));
}

static inline float max_lanes(vec x) { return _mm512_reduce_max_ps(x); }

/* 2 ** x for x in [0, 1). */
static inline vec exp2_fraction(vec x) {
    vec sum = splat(7.826797018e-02f);
    sum = sum * x + splat(2.263076823e-01f);
    sum = sum * x + splat(6.954243475e-01f);
    return sum * x + splat(1.0f);
}

/* 2 ** x, split at floor(x); NaN stays NaN, and what is too small becomes 0. */
static inline vec exp2_lanes(vec x) {
    const vec fraction = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    return _mm512_scalef_ps(exp2_fraction(fraction), x);
}

static inline int64_t lesser(int64_t a, int64_t b) { return a < b ? a : b; }

static inline int64_t greater(int64_t a, int64_t b) { return a > b ? a : b; }

/* Division that rounds down; the divisor is positive. */
static inline int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

typedef uint16_t element; /* bfloat16: the upper half of a float32 */
typedef element element_lanes __attribute__((vector_size(2 * LANES)));

/* Rounds to nearest, ties to even; NaN stays NaN. */
static inline void store_elements(element *to, vec x) {
    const ivec bits = (ivec)x;
    const ivec rounded = bits + 0x7fff + (bits >> 16 & 1);
    const ivec kept = (ivec)where(x == x, (vec)rounded, splat(NAN));
    const element_lanes halves = __builtin_convertvector(kept >> 16, element_lanes);
    memcpy(to, &halves, sizeof halves);
}

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
    struct list chunks_list;
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

/* The query rows of one position that share a KV head, ROWS at a time, and the block of keys they will take in. */
struct block {
    _Alignas(64) element query[ROWS][PADDED_DIM], weight[ROWS][BLOCK_N + LANES];
    float score[ROWS][BLOCK_N + LANES]; /* after weigh_scores: weights */
    float acc[ROWS][PADDED_DIM];
    float row_max[ROWS], row_sum[ROWS], rescale[ROWS];
    const element *value_row[BLOCK_N + KEYS];
    const element *key, *value;
    int32_t position[BLOCK_N + LANES];
    struct row chunks_list;
    const struct call *call;
    int64_t key_stride, value_stride, q, head, batch;
    /* The split has the keys number `from` to `to` - 1 of those that the row sees. */
    int64_t from, to, seen;
    /* From score to exponent of 2. */
    float factor;
    int count;
};

/* Products of KEYS keys with all query rows, into the columns of block->score from `at` on. */
static inline void score_keys(struct block *block, int at, const element *const key[KEYS]) {
    for (int first = 0; first < ROWS; first += ROWS_AT_ONCE) {
        vec sum[ROWS_AT_ONCE][KEYS] = {0};
#pragma GCC unroll 8
        for (int d = 0; d < HEAD_DIM; d += 32) {
            const __mmask32 columns = HEAD_DIM - d < 32 ? (1u << (HEAD_DIM - d) % 32) - 1 : 0xffffffff;
            __m512i part[KEYS];
#pragma GCC unroll 4
            for (int k = 0; k < KEYS; k++) {
                part[k] = _mm512_maskz_loadu_epi16(columns, key[k] + d);
            }
#pragma GCC unroll 4
            for (int r = 0; r < ROWS_AT_ONCE; r++) {
                const __m512i query = _mm512_load_si512(block->query[first + r] + d);
#pragma GCC unroll 4
                for (int k = 0; k < KEYS; k++) {
                    sum[r][k] = _mm512_dpbf16_ps(sum[r][k], (__m512bh)part[k], (__m512bh)query);
                }
            }
        }
#pragma GCC unroll 4
        for (int r = 0; r < ROWS_AT_ONCE; r++) {
            sum_four(block->score[first + r] + at, sum[r]);
        }
    }
}

/* Turns the scores of the block into weights: row_max, row_sum and rescale follow the running softmax. */
static void weigh_scores(struct block *block) {
    const vec factor = splat(block->factor);
    for (int r = 0; r < ROWS; r++) {
        for (int i = block->count; i % LANES != 0; i++) {
            block->score[r][i] = MASKED;
        }
        const float before = block->row_max[r];
        vec peak = splat(before);
        for (int i = 0; i < block->count; i += LANES) {
            peak = larger(peak, load(block->score[r] + i));
        }
        const float row_max = max_lanes(peak);
        const vec shift = splat(row_max) * factor;
        vec sum = splat(0.0f);
        for (int i = 0; i < block->count; i += LANES) {
            const vec weight = exp2_lanes(load(block->score[r] + i) * factor - shift);
            sum += weight;
            store(block->score[r] + i, weight);
        }
        const vec rescale = exp2_lanes(splat(before - row_max) * factor);
        block->rescale[r] = rescale[0];
        block->row_sum[r] = block->row_sum[r] * rescale[0] + sum_lanes(sum);
        block->row_max[r] = row_max;
    }
}

/* Rounds the weights to bfloat16. An odd last key goes with itself: the weight after its own is zero. */
static void pair_weights(struct block *block) {
    for (int r = 0; r < ROWS; r++) {
        for (int i = 0; i < block->count; i += LANES) {
            const __m256i halves = (__m256i)_mm512_cvtneps_pbh(load(block->score[r] + i));
            _mm256_storeu_si256((__m256i *)(block->weight[r] + i), halves);
        }
    }
    block->value_row[block->count] = block->value_row[block->count - 1];
}

/* Adds the weighted values of the block to acc, in `vecs` vectors of columns from `column` on, two keys at a time. */
static inline __attribute__((always_inline)) void add_values(struct block *block, int column, const int vecs) {
    const __m512i lower = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
    const __m512i upper = _mm512_add_epi32(lower, _mm512_set1_epi32(8));
    vec sum[ROWS][COLUMN_VECS] = {0};
    for (int key = 0; key < block->count; key += 2) {
        const element *even = block->value_row[key] + column, *odd = block->value_row[key + 1] + column;
        __m512i part[COLUMN_VECS];
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v += 2) {
            const int rest = HEAD_DIM - column - v * LANES;
            const __mmask32 columns = rest < 32 ? (1u << rest % 32) - 1 : 0xffffffff;
            const __m512i a = _mm512_maskz_loadu_epi16(columns, even + v * LANES);
            const __m512i b = _mm512_maskz_loadu_epi16(columns, odd + v * LANES);
            part[v] = _mm512_unpacklo_epi16(a, b);
            part[v + 1] = _mm512_unpackhi_epi16(a, b);
        }
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; r++) {
            int32_t pair;
            memcpy(&pair, block->weight[r] + key, sizeof pair);
            const __m512i weights = _mm512_set1_epi32(pair);
#pragma GCC unroll 16
            for (int v = 0; v < vecs; v++) {
                sum[r][v] = _mm512_dpbf16_ps(sum[r][v], (__m512bh)part[v], (__m512bh)weights);
            }
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; r++) {
        const vec rescale = splat(block->rescale[r]);
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v += 2) {
            /* Groups of four columns went to the two sums in turn. */
            float *acc = block->acc[r] + column + v * LANES;
            store(acc, load(acc) * rescale + _mm512_permutex2var_ps(sum[r][v], lower, sum[r][v + 1]));
            acc += LANES;
            store(acc, load(acc) * rescale + _mm512_permutex2var_ps(sum[r][v], upper, sum[r][v + 1]));
        }
    }
}

/* Takes the keys of the block into acc and empties it. */
static void absorb(struct block *block) {
    weigh_scores(block);
    pair_weights(block);
    add_values(block, 0 * LANES, 4);
    add_values(block, 4 * LANES, 4);
    block->count = 0;
}

/* Takes in the `count` keys whose positions follow those of the block; a full block goes into acc. */
static inline __attribute__((always_inline)) void take(struct block *block, int count) {
    int32_t *position = block->position + block->count;
    for (int i = 0; i < count; i += KEYS) {
        const element *key[KEYS];
        for (int k = 0; k < KEYS; k++) {
            const int64_t ahead = position[lesser(i + k + AHEAD, count - 1)], at = position[lesser(i + k, count - 1)];
            for (int d = 0; d < HEAD_DIM; d += 64 / (int)sizeof(element)) {
                __builtin_prefetch(block->key + ahead * block->key_stride + d);
                __builtin_prefetch(block->value + ahead * block->value_stride + d);
            }
            key[k] = block->key + at * block->key_stride;
            block->value_row[block->count + i + k] = block->value + at * block->value_stride;
        }
        score_keys(block, block->count + i, key);
    }
    block->count += count;
    if (block->count == BLOCK_N) {
        absorb(block);
    }
}

/* Which of the next keys of the row, by number, belong to this split. */
struct share {
    int64_t first, stop;
};

static inline struct share share_of(struct block *block, int64_t keys) {
    const struct share share = {greater(block->from - block->seen, 0), lesser(block->to - block->seen, keys)};
    block->seen += keys;
    return share;
}

/* Adds those of the keys first to end - 1 to the block that a row has, as units of `size` keys counted from `base`. */
static inline __attribute__((always_inline)) void visit_list(struct block *block, const struct row row, const int size,
                                                             int64_t base, int64_t first, int64_t end) {
    const struct span span = between(row, size, greater(first, 0) - base, lesser(end, block->call->kv_len) - base);
    const int64_t keys = span.keys;
    const struct share share = share_of(block, keys);
    int64_t at = share.first;
    while (at < share.stop) {
        const int room = BLOCK_N - block->count;
        int count = 0;
        for (; at < share.stop && count < room; at++) {
            const int64_t number = span.skipped + at;
            const int64_t kv = base + (int64_t)span.entries[number / size] * size + number % size;
            block->position[block->count + count] = (int32_t)kv;
            count++;
        }
        take(block, count);
    }
}

static __attribute__((noinline)) void visit_full_over_chunks(struct block *block, int64_t first, int64_t end) {
    visit_list(block, block->chunks_list, 512, 0, first, end);
}

/* The runs of keys that the row sees. */
static void visit_keys(struct block *block) {
    const int64_t q = block->q;
    visit_full_over_chunks(block, 0, q + 1);
}

/* What a split has found for one head: acc and row_sum relative to row_max. */
struct partial {
    float acc[PADDED_DIM];
    float row_max, row_sum;
};

/* Loads the query rows of `heads` heads, zero for those that do not exist. A negative scale becomes a positive one by
   changing the sign of the queries. */
static void load_queries(struct block *block, int heads, const element *from) {
    const element sign = block->call->scale < 0 ? 0x8000 : 0;
    memset(block->query, 0, sizeof block->query);
    for (int r = 0; r < heads; r++) {
        const element *row = from + r * block->call->query_stride[1];
        for (int d = 0; d < HEAD_DIM; d++) {
            block->query[r][d] = row[d] ^ sign;
        }
    }
}
/* One task: one split of the keys that one query position sees, for `heads` heads that share a KV head. */
static void attend(const struct call *call, int64_t batch, int64_t head, int heads, int64_t row, int64_t split,
                   int64_t splits, struct partial *partial) {
    const int64_t kv_head = head / (call->q_heads / call->kv_heads);
    const element *query = call->query + batch * call->query_stride[0] + head * call->query_stride[1];
    struct block block;
    block.call = call;
    block.key = call->key + batch * call->key_stride[0] + kv_head * call->key_stride[1];
    block.value = call->value + batch * call->value_stride[0] + kv_head * call->value_stride[1];
    block.key_stride = call->key_stride[2];
    block.value_stride = call->value_stride[2];
    block.q = call->kv_len - call->q_len + row;
    block.head = head;
    block.batch = batch;
    block.chunks_list = row_of(call, &call->chunks_list, batch, head, block.q - (call->kv_len - call->q_len));
    block.factor = fmaxf(fabsf((float)call->scale), LEAST_SCALE) * LOG2_E;
    block.count = 0;
    load_queries(&block, heads, query + row * call->query_stride[2]);
    memset(block.acc, 0, sizeof block.acc);
    for (int r = 0; r < ROWS; r++) {
        block.row_max[r] = LOWEST;
        block.row_sum[r] = 0.0f;
    }

    block.from = block.to = block.seen = 0;
    if (splits > 1) {
        visit_keys(&block);
    }
    block.from = block.seen * split / splits;
    block.to = splits > 1 ? block.seen * (split + 1) / splits : INT64_MAX;
    block.seen = 0;
    visit_keys(&block);
    if (block.count > 0) {
        absorb(&block);
    }
    for (int r = 0; r < heads; r++) {
        memcpy(partial[r * splits].acc, block.acc[r], sizeof block.acc[r]);
        partial[r * splits].row_max = block.row_max[r] * block.factor;
        partial[r * splits].row_sum = block.row_sum[r];
    }
}

/* Joins the splits of one row; a row that met no key gives 0 and -infinity. */
static void join(const struct partial *partial, int64_t splits, element *out, float *lse) {
    float row_max = partial[0].row_max, row_sum = 0.0f;
    float acc[PADDED_DIM] = {0};
    for (int64_t split = 1; split < splits; split++) {
        row_max = fmaxf(row_max, partial[split].row_max);
    }
    for (int64_t split = 0; split < splits; split++) {
        const float weight = exp2f(partial[split].row_max - row_max);
        row_sum += partial[split].row_sum * weight;
        for (int d = 0; d < PADDED_DIM; d += LANES) {
            store(acc + d, load(acc + d) + load(partial[split].acc + d) * splat(weight));
        }
    }
    const vec share = splat(row_sum == 0.0f ? 0.0f : 1.0f / row_sum);
    for (int d = 0; d < HEAD_DIM / LANES * LANES; d += LANES) {
        store_elements(out + d, load(acc + d) * share);
    }
    *lse = row_sum == 0.0f ? -INFINITY : (row_max + log2f(row_sum)) * LN_2;
}

/* Tasks are splits of the keys, for each position and some heads that share a KV head. Returns 1 if there is no
   memory, else 0. */
int attncc_moba(const struct call *call) {
    const int64_t group = call->q_heads / call->kv_heads, chunks = (group + ROWS - 1) / ROWS;
    const int64_t units = call->batch * call->kv_heads * chunks * call->q_len;
    const int64_t wanted = lesser((2 * call->threads + units - 1) / units, call->kv_len / SPLIT);
    const int64_t splits = call->threads > 1 ? greater(wanted, 1) : 1;
    /* Where keys are not split, every task joins its own, and memory does not grow with the rows. */
    const int64_t rows = splits > 1 ? call->batch * call->q_heads * call->q_len : 0;
    struct partial *partials = malloc((size_t)(rows * splits + 1) * sizeof *partials);
    if (partials == NULL) {
        return 1;
    }
    const int parallel = call->threads > 1 && units * call->kv_len > PARALLEL_SCORES;
#pragma omp parallel num_threads((int)call->threads) if (parallel)
    {
#pragma omp for schedule(dynamic, 1)
        for (int64_t task = 0; task < units * splits; task++) {
            const int64_t unit = task / splits, row = unit % call->q_len, owner = unit / call->q_len;
            const int64_t first = owner % chunks * ROWS, kv_head = owner / chunks % call->kv_heads;
            const int64_t batch = owner / chunks / call->kv_heads, head = kv_head * group + first;
            const int heads = (int)lesser(ROWS, group - first);
            if (splits > 1) {
                const int64_t place = ((batch * call->q_len + row) * call->q_heads + head) * splits + task % splits;
                attend(call, batch, head, heads, row, task % splits, splits, partials + place);
                continue;
            }
            struct partial own[ROWS];
            attend(call, batch, head, heads, row, 0, 1, own);
            for (int r = 0; r < heads; r++) {
                const int64_t place = (batch * call->q_heads + head + r) * call->q_len + row;
                join(own + r, 1, call->out + place * HEAD_DIM, call->lse + place);
            }
        }
#pragma omp for
        for (int64_t i = 0; i < rows; i++) {
            const int64_t head = i % call->q_heads, row = i / call->q_heads % call->q_len;
            const int64_t place = (i / call->q_heads / call->q_len * call->q_heads + head) * call->q_len + row;
            join(partials + i * splits, splits, call->out + place * HEAD_DIM, call->lse + place);
        }
    }
    free(partials);
    return 0;
}
