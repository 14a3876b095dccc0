/* a_shape: Attention sinks plus a causal local window.

   cpu, prefill, bfloat16, head_dim 128; written by attncc 0.1.0. To write it again:
       attncc show a_shape --stage cpu --dtype bfloat16 --set sink=128 --set window=1024

   mask: kv <= q and (kv < sink or q - kv < window)
   with sink = 128, window = 1024
   source: MInference (arXiv 2407.02490); LM-Infinite (arXiv 2308.16137)
   digest: bf981c6e51fe8456
   schedule: isa=avx512_bf16 block_m=64 block_n=192

   query and out are [batch, q_heads, q_len, HEAD_DIM], key and value [batch, kv_heads, kv_len, HEAD_DIM], of any
   strides with a contiguous last dimension; lse is float32 [batch, q_heads, q_len], in natural units. Query head
   h reads KV head h // (q_heads // kv_heads). Positions count from 0 to kv_len - 1; the last query is at the last.
   Query tiles are aligned to absolute positions. One task takes one query tile of one head through the runs of
   keys that it sees: scores of BLOCK_N keys, their softmax, their share of the values. */

#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef __AVX512BF16__
#error "compile with -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512bf16"
#endif

/* Parameters of the pattern. */
enum { SINK = 128, WINDOW = 1024 };

/* Sizes of the tiles, in memory and in registers. */
enum {
    HEAD_DIM = 128,
    PADDED_DIM = 128,
    BLOCK_M = 64,
    BLOCK_N = 192,
    KEYS = 6,
    QUERY_VECS = 4,
    ROWS = 6,
    COLUMN_VECS = 4
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

static const ivec LANE = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static inline ivec spread(int64_t x) { return (ivec){0} + (int32_t)x; }

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
};

/* What remains to be checked of the mask, by kind of run. */
enum mask { FULL, Q_MINUS_KV_LT_WINDOW, KV_LE_Q };

/* A query tile and the block of keys it is about to take in; lives on the stack of its thread. */
struct block {
    _Alignas(64) uint32_t query[PADDED_DIM / 2][BLOCK_M]; /* pairs of columns */
    float score[BLOCK_N + KEYS][BLOCK_M];
    uint32_t weight[BLOCK_N / 2][BLOCK_M], value_pair[BLOCK_N / 2][PADDED_DIM]; /* pairs of keys */
    float acc[BLOCK_M][PADDED_DIM];
    float row_max[BLOCK_M], row_sum[BLOCK_M], rescale[BLOCK_M];
    const element *value_row[BLOCK_N];
    const element *key, *value;
    const struct call *call;
    int64_t key_stride, value_stride, q_first, head, batch;
    float factor; /* from score to exponent of 2 */
    int rows, count;
};

/* Transposes 16 rows of 16 words. */
static inline __attribute__((always_inline)) void transpose(__m512i row[16]) {
    __m512i half[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        half[i] = _mm512_unpacklo_epi32(row[i], row[i + 1]);
        half[i + 1] = _mm512_unpackhi_epi32(row[i], row[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        row[i] = _mm512_unpacklo_epi64(half[i], half[i + 2]);
        row[i + 1] = _mm512_unpackhi_epi64(half[i], half[i + 2]);
        row[i + 2] = _mm512_unpacklo_epi64(half[i + 1], half[i + 3]);
        row[i + 3] = _mm512_unpackhi_epi64(half[i + 1], half[i + 3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        half[i] = _mm512_shuffle_i32x4(row[i], row[i + 4], 0x88);
        half[i + 4] = _mm512_shuffle_i32x4(row[i], row[i + 4], 0xdd);
        half[i + 8] = _mm512_shuffle_i32x4(row[i + 8], row[i + 12], 0x88);
        half[i + 12] = _mm512_shuffle_i32x4(row[i + 8], row[i + 12], 0xdd);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        row[i] = _mm512_shuffle_i32x4(half[i], half[i + 8], 0x88);
        row[i + 4] = _mm512_shuffle_i32x4(half[i + 4], half[i + 12], 0x88);
        row[i + 8] = _mm512_shuffle_i32x4(half[i], half[i + 8], 0xdd);
        row[i + 12] = _mm512_shuffle_i32x4(half[i + 4], half[i + 12], 0xdd);
    }
}

/* Two float32 vectors as one vector of bfloat16 pairs, `even` in the lower halves; rounds to nearest. */
static inline __m512i pair(vec even, vec odd) {
    const __m512i half = _mm512_set1_epi32(0x8000);
    const __m512i lower = _mm512_srli_epi32(_mm512_add_epi32((__m512i)even, half), 16);
    const __m512i upper = _mm512_add_epi32((__m512i)odd, half);
    return _mm512_ternarylogic_epi32(lower, upper, _mm512_set1_epi32((int)0xffff0000), 0xf8);
}

/* Writes 32 columns of two rows as pairs, zero where a column does not exist; columns come out of order, in fours: the
   first of every eight, then the last. */
static inline void interleave(uint32_t *to, const element *even, const element *odd, __mmask32 columns) {
    const __m512i a = _mm512_maskz_loadu_epi16(columns, even), b = _mm512_maskz_loadu_epi16(columns, odd);
    _mm512_storeu_si512(to, _mm512_unpacklo_epi16(a, b));
    _mm512_storeu_si512(to + 16, _mm512_unpackhi_epi16(a, b));
}

/* Brings the columns that `interleave` left out of order back into order. */
static inline void order_columns(float *row) {
    const __m512i first = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
    const __m512i last = _mm512_add_epi32(first, _mm512_set1_epi32(8));
    for (int d = 0; d < PADDED_DIM; d += 32) {
        const vec a = load(row + d), b = load(row + d + 16);
        store(row + d, _mm512_permutex2var_ps(a, first, b));
        store(row + d + 16, _mm512_permutex2var_ps(a, last, b));
    }
}

/* Products of KEYS keys with all queries, into KEYS rows of block->score. `last` is the last key that exists; the rows
   after it repeat it, and are overwritten or never read. */
static inline void score_keys(struct block *block, int at, int last, int64_t first, int64_t step) {
    const element *row[KEYS];
    for (int k = 0; k < KEYS; k++) {
        const int64_t position = first + (k < last ? k : last) * step;
        row[k] = block->key + position * block->key_stride;
    }
    for (int lane = 0; lane < BLOCK_M; lane += QUERY_VECS * LANES) {
        __m512 sum[KEYS][QUERY_VECS] = {0};
        for (int d = 0; d < HEAD_DIM; d += 2) {
            const uint32_t *query = block->query[d / 2] + lane;
#pragma GCC unroll 16
            for (int k = 0; k < KEYS; k++) {
                int32_t columns;
                memcpy(&columns, row[k] + d, sizeof columns);
                const __m512i key = _mm512_set1_epi32(columns);
#pragma GCC unroll 4
                for (int v = 0; v < QUERY_VECS; v++) {
                    const __m512i queries = _mm512_load_si512(query + v * LANES);
                    sum[k][v] = _mm512_dpbf16_ps(sum[k][v], (__m512bh)queries, (__m512bh)key);
                }
            }
        }
#pragma GCC unroll 16
        for (int k = 0; k < KEYS; k++) {
#pragma GCC unroll 4
            for (int v = 0; v < QUERY_VECS; v++) {
                store(block->score[at + k] + lane + v * LANES, sum[k][v]);
            }
        }
    }
}

/* Turns the scores of the block into weights, as bfloat16 pairs of keys: row_max, row_sum and rescale follow the
   running softmax. The block has an even number of keys. */
static void weigh_scores(struct block *block) {
    const vec factor = splat(block->factor);
    for (int lane = 0; lane < BLOCK_M; lane += QUERY_VECS * LANES) {
        vec row_max[QUERY_VECS], shift[QUERY_VECS], row_sum[QUERY_VECS];
        for (int v = 0; v < QUERY_VECS; v++) {
            row_max[v] = load(block->row_max + lane + v * LANES);
        }
        for (int key = 0; key < block->count; key++) {
            for (int v = 0; v < QUERY_VECS; v++) {
                row_max[v] = larger(row_max[v], load(block->score[key] + lane + v * LANES));
            }
        }
        for (int v = 0; v < QUERY_VECS; v++) {
            const int column = lane + v * LANES;
            shift[v] = row_max[v] * factor;
            row_sum[v] = splat(0.0f);
            store(block->rescale + column, exp2_lanes((load(block->row_max + column) - row_max[v]) * factor));
            store(block->row_max + column, row_max[v]);
        }
        for (int key = 0; key < block->count; key += 2) {
            for (int v = 0; v < QUERY_VECS; v++) {
                const int column = lane + v * LANES;
                const vec even = exp2_lanes(load(block->score[key] + column) * factor - shift[v]);
                const vec odd = exp2_lanes(load(block->score[key + 1] + column) * factor - shift[v]);
                row_sum[v] += even + odd;
                _mm512_store_si512(block->weight[key / 2] + column, pair(even, odd));
            }
        }
        for (int v = 0; v < QUERY_VECS; v++) {
            const int column = lane + v * LANES;
            row_sum[v] += load(block->row_sum + column) * load(block->rescale + column);
            store(block->row_sum + column, row_sum[v]);
        }
    }
}

/* Makes the number of keys even, with one that weighs nothing, and lays two rows of values at a time out as pairs. */
static void pair_values(struct block *block) {
    static const element zeros[HEAD_DIM];
    if (block->count % 2 != 0) {
        for (int lane = 0; lane < BLOCK_M; lane += LANES) {
            store(block->score[block->count] + lane, splat(MASKED));
        }
        block->value_row[block->count++] = zeros;
    }
    for (int key = 0; key < block->count; key += 2) {
        const element *even = block->value_row[key], *odd = block->value_row[key + 1];
        for (int d = 0; d < HEAD_DIM; d += 32) {
            const __mmask32 columns = HEAD_DIM - d < 32 ? (1u << (HEAD_DIM - d) % 32) - 1 : 0xffffffff;
            interleave(block->value_pair[key / 2] + d, even + d, odd + d, columns);
        }
    }
}

/* Adds the weighted values of the block to `rows` rows of acc, in `vecs` vectors of columns from `column` on. */
static inline __attribute__((always_inline)) void add_values(struct block *block, int first_row, const int rows,
                                                             int column, const int vecs) {
    __m512 sum[ROWS][COLUMN_VECS] = {0};
    for (int key = 0; key < block->count; key += 2) {
        const uint32_t *value = block->value_pair[key / 2] + column;
        const uint32_t *weight = block->weight[key / 2] + first_row;
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            const __m512i one = _mm512_set1_epi32((int32_t)weight[r]);
#pragma GCC unroll 16
            for (int v = 0; v < vecs; v++) {
                const __m512i values = _mm512_load_si512(value + v * LANES);
                sum[r][v] = _mm512_dpbf16_ps(sum[r][v], (__m512bh)values, (__m512bh)one);
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
    pair_values(block);
    weigh_scores(block);
    for (int column = 0; column < 8 * LANES; column += COLUMN_VECS * LANES) {
        for (int row = 0; row < 54; row += 6) {
            add_values(block, row, 6, column, COLUMN_VECS);
        }
        for (int row = 54; row < 64; row += 5) {
            add_values(block, row, 5, column, COLUMN_VECS);
        }
    }
    block->count = 0;
}

/* Puts MASKED in place of the scores that the mask leaves out, for `count` keys that join the block. */
static inline void change_scores(struct block *block, int count, int64_t first, int64_t step, const enum mask mask) {
    for (int lane = 0; lane < BLOCK_M; lane += LANES) {
        const ivec q = spread(block->q_first + lane) + LANE;
        for (int i = 0; i < count; i++) {
            float *place = block->score[block->count + i] + lane;
            const ivec kv = spread(first + i * step);
            const vec score = load(place);
            switch (mask) {
                case FULL:
                    store(place, score);
                    break;
                case Q_MINUS_KV_LT_WINDOW:
                    store(place, where(q - kv < WINDOW, score, splat(MASKED)));
                    break;
                case KV_LE_Q:
                    store(place, where(kv <= q, score, splat(MASKED)));
                    break;
            }
        }
    }
}

/* Adds the keys first, first + step, ... below end to the block; a full block goes into acc. */
static inline __attribute__((always_inline)) void visit(struct block *block, int64_t first, int64_t end, int64_t step,
                                                        const enum mask mask) {
    while (first < end) {
        const int64_t left = (end - first + step - 1) / step;
        const int room = BLOCK_N - block->count;
        const int count = left < room ? (int)left : room;
        for (int i = 0; i < count; i += KEYS) {
            score_keys(block, block->count + i, count - 1 - i, first + i * step, step);
        }
        if (mask != FULL) {
            change_scores(block, count, first, step, mask);
        }
        for (int i = 0; i < count; i++) {
            const element *value = block->value + (first + i * step) * block->value_stride;
            block->value_row[block->count + i] = value;
        }
        block->count += count;
        if (block->count == BLOCK_N) {
            absorb(block);
        }
        first += count * step;
    }
}

static __attribute__((noinline)) void visit_full(struct block *block, int64_t first, int64_t end, int64_t step) {
    visit(block, first, end, step, FULL);
}

static __attribute__((noinline)) void visit_q_minus_kv_lt_window(struct block *block, int64_t first, int64_t end,
                                                                 int64_t step) {
    visit(block, first, end, step, Q_MINUS_KV_LT_WINDOW);
}

static __attribute__((noinline)) void visit_kv_le_q(struct block *block, int64_t first, int64_t end, int64_t step) {
    visit(block, first, end, step, KV_LE_Q);
}

/* Transposes the query rows of the block in pairs of columns, so that one vector holds LANES queries; missing rows and
   columns are zero. A negative scale becomes a positive one by changing the sign of the queries. */
static void load_queries(struct block *block, const element *from, int64_t stride) {
    const __m512i flip = _mm512_set1_epi32(block->call->scale < 0 ? (int)0x80008000 : 0);
    for (int lane = 0; lane < BLOCK_M; lane += LANES) {
        for (int d = 0; d < HEAD_DIM; d += 32) {
            const __mmask32 columns = HEAD_DIM - d < 32 ? (1u << (HEAD_DIM - d) % 32) - 1 : 0xffffffff;
            __m512i row[16];
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++) {
                const __mmask32 present = lane + i < block->rows ? columns : 0;
                row[i] = _mm512_xor_si512(_mm512_maskz_loadu_epi16(present, from + (lane + i) * stride + d), flip);
            }
            transpose(row);
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++) {
                _mm512_store_si512(block->query[d / 2 + i] + lane, row[i]);
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
        order_columns(block->acc[row]);
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
    block.rows = (int)(q_last - q_first + 1);
    block.count = 0;
    load_queries(&block, query + row * call->query_stride[2], call->query_stride[2]);
    begin_rows(&block);
    visit_full(&block, 0, lesser(SINK, q_first + 1), 1);
    visit_q_minus_kv_lt_window(&block, greater(SINK, q_first - WINDOW + 1), q_last - WINDOW + 1, 1);
    visit_full(&block, greater(SINK, q_last - WINDOW + 1), q_first + 1, 1);
    visit_kv_le_q(&block, greater(0, q_first + 1), q_last + 1, 1);

    if (block.count > 0) {
        absorb(&block);
    }
    const int64_t place = (batch * call->q_heads + head) * q_len + row;
    finish_rows(&block, call->out + place * HEAD_DIM, call->lse + place);
}

/* Query tiles are tasks, head by head, so that keys and values stay in the cache; in each head those with the most
   keys, the last ones, begin. Returns 0. */
int attncc_a_shape(const struct call *call) {
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
