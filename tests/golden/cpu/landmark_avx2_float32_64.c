/* landmark: Every block ends with a landmark, whose weight is handed on to the keys of its block.

   cpu, prefill, float32, head_dim 64; written by attncc 0.1.0. To write it again:
       attncc show landmark --stage cpu --dtype float32 --set block=64

   mask: kv <= q
   combine: landmark block=64
   with block = 64
   source: Landmark Attention (arXiv 2305.16300), the form of training
   digest: b5d0ef03ee2c4c1f
   schedule: isa=avx2 block_m=64 block_n=96

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

#ifndef __AVX2__
#error "compile with -mavx2 -mfma -mf16c"
#endif

/* Sizes of the tiles, in memory and in registers. */
enum {
    HEAD_DIM = 64,
    PADDED_DIM = 64,
    BLOCK_M = 64,
    BLOCK_N = 128,
    UNIT = 64,
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

/* The natural logarithm of 1 + x for x in [0, 1], with an error of 2e-7 of itself. */
static inline vec log1p_lanes(vec x) {
    vec sum = splat(5.105825800e-03f);
    sum = sum * x + splat(-2.899195639e-02f);
    sum = sum * x + splat(7.738073838e-02f);
    sum = sum * x + splat(-1.359060024e-01f);
    sum = sum * x + splat(1.907130958e-01f);
    sum = sum * x + splat(-2.483394546e-01f);
    sum = sum * x + splat(3.331793432e-01f);
    sum = sum * x + splat(-4.999943569e-01f);
    sum = sum * x + splat(9.999999652e-01f);
    return sum * x;
}

/* The logarithm of x, a normal positive number, to the base 2. */
static inline vec log2_lanes(vec x) {
    const ivec bits = (ivec)x;
    const vec fraction = (vec)((bits & 0x7fffff) | 0x3f800000) - splat(1.0f);
    return __builtin_convertvector((bits >> 23) - 127, vec) + log1p_lanes(fraction) * splat(LOG2_E);
}

/* What remains to be checked of the mask, by kind of run. */
enum mask { FULL, KV_LE_Q };

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
    int64_t key_stride, value_stride, q_first, head, batch;
    float factor; /* from score to exponent of 2 */
    int rows, count;
};

/* For queries after the unit, hands the score of its last key, the landmark, on to the others by a softmax of their
   own; the landmark itself weighs nothing. Where the mask leaves the landmark out, it leaves out the unit. */
static void regroup_unit(struct block *block, int at, int count, int64_t start) {
    const vec factor = splat(block->factor);
    if (block->position[at + count - 1] != start + UNIT - 1) {
        return;
    }
    for (int lane = 0; lane < BLOCK_M; lane += LANES) {
        float *landmark = block->score[lane / STRIP][at + count - 1] + lane % STRIP;
        const ivec after = spread(block->q_first + lane) + LANE >= spread(start + UNIT);
        const vec gate = load(landmark);
        vec peak = splat(LOWEST), sum = splat(0.0f);
        store(landmark, splat(MASKED));
        if (block->q_first + lane + LANES <= start + UNIT) {
            continue;
        }
        for (int key = at; key < at + count - 1; key++) {
            peak = larger(peak, load(block->score[lane / STRIP][key] + lane % STRIP));
        }
        for (int key = at; key < at + count - 1; key++) {
            sum += exp2_lanes((load(block->score[lane / STRIP][key] + lane % STRIP) - peak) * factor);
        }
        const ivec handed = after & ~(gate < splat(LOWEST));
        const vec change = where(handed, gate - peak - log2_lanes(sum) / factor, splat(0.0f));
        for (int key = at; key < at + count - 1; key++) {
            float *score = block->score[lane / STRIP][key] + lane % STRIP;
            store(score, load(score) + change);
        }
    }
}

/* Hands the units of the block to regroup_unit; all are whole but for the last of a run. */
static void regroup(struct block *block) {
    int at = 0;
    while (at < block->count) {
        const int64_t start = block->position[at] / UNIT * UNIT;
        int count = 1;
        while (at + count < block->count && block->position[at + count] / UNIT * UNIT == start) {
            count++;
        }
        regroup_unit(block, at, count, start);
        at += count;
    }
}

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
    regroup(block);
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

/* Adds the keys first, first + step, ... below end to the block. */
static inline __attribute__((always_inline)) void visit(struct block *block, int64_t first, int64_t end, int64_t step,
                                                        const enum mask mask) {
    const int64_t keys = first < end ? (end - first + step - 1) / step : 0;
    if (block->count % UNIT != 0) {
        absorb(block);
    }
    int64_t at = 0;
    while (at < keys) {
        const int count = (int)lesser(keys - at, BLOCK_N - block->count);
        for (int i = 0; i < count; i++) {
            block->position[block->count + i] = (int32_t)(first + (at + i) * step);
        }
        take(block, count, mask);
        at += count;
    }
}

static __attribute__((noinline)) void visit_kv_le_q(struct block *block, int64_t first, int64_t end, int64_t step) {
    visit(block, first, end, step, KV_LE_Q);
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
    block.rows = (int)(q_last - q_first + 1);
    block.count = 0;
    load_queries(&block, query + row * call->query_stride[2], call->query_stride[2]);
    begin_rows(&block);
    visit_kv_le_q(&block, 0, q_last + 1, 1);

    if (block.count > 0) {
        absorb(&block);
    }
    const int64_t place = (batch * call->q_heads + head) * q_len + row;
    finish_rows(&block, call->out + place * HEAD_DIM, call->lse + place);
}

/* Query tiles are tasks, head by head, so that keys and values stay in the cache; in each head those with the most
   keys, the last ones, begin. Returns 0. */
int attncc_landmark(const struct call *call) {
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
