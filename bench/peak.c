// What one core reaches on multiply-adds that never leave its registers, in GFLOP/s of this thread's CPU time.
#include <immintrin.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec + 1e-9 * now.tv_nsec;
}

// Enough independent accumulators to hide the latency of two units; kept live by the empty asm.
#define ACCUMULATORS 24

__attribute__((target("avx512f"))) double fma_avx512(long rounds) {
    __m512 acc[ACCUMULATORS], x = _mm512_set1_ps(0.999f);
    for (int i = 0; i < ACCUMULATORS; i++) acc[i] = _mm512_set1_ps(i);
    double start = seconds();
    for (long r = 0; r < rounds; r++) {
#pragma GCC unroll 24
        for (int i = 0; i < ACCUMULATORS; i++) acc[i] = _mm512_fmadd_ps(acc[i], x, x);
    }
    double elapsed = seconds() - start;
    for (int i = 0; i < ACCUMULATORS; i++) __asm__ volatile("" ::"v"(acc[i]));
    return 32.0 * ACCUMULATORS * rounds / elapsed * 1e-9;
}

__attribute__((target("avx2,fma"))) double fma_avx2(long rounds) {
    __m256 acc[12], x = _mm256_set1_ps(0.999f);
    for (int i = 0; i < 12; i++) acc[i] = _mm256_set1_ps(i);
    double start = seconds();
    for (long r = 0; r < rounds; r++) {
#pragma GCC unroll 12
        for (int i = 0; i < 12; i++) acc[i] = _mm256_fmadd_ps(acc[i], x, x);
    }
    double elapsed = seconds() - start;
    for (int i = 0; i < 12; i++) __asm__ volatile("" ::"x"(acc[i]));
    return 16.0 * 12 * rounds / elapsed * 1e-9;
}

__attribute__((target("avx512f,avx512bf16"))) double dot_bf16(long rounds) {
    __m512 acc[ACCUMULATORS];
    __m512bh x = _mm512_cvtne2ps_pbh(_mm512_set1_ps(0.5f), _mm512_set1_ps(0.5f));
    for (int i = 0; i < ACCUMULATORS; i++) acc[i] = _mm512_set1_ps(i);
    double start = seconds();
    for (long r = 0; r < rounds; r++) {
#pragma GCC unroll 24
        for (int i = 0; i < ACCUMULATORS; i++) {
            acc[i] = _mm512_dpbf16_ps(acc[i], x, x);
        }
    }
    double elapsed = seconds() - start;
    for (int i = 0; i < ACCUMULATORS; i++) __asm__ volatile("" ::"v"(acc[i]));
    return 64.0 * ACCUMULATORS * rounds / elapsed * 1e-9;
}

// GB/s read from memory by this thread, `bytes` at a time, which no cache holds; each line of 64 bytes is looked at.
__attribute__((target("avx2"))) double read_avx2(const float *data, long bytes) {
    __m256 sum[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
    double start = seconds();
    for (long i = 0; i < bytes / 4; i += 32)
        for (int j = 0; j < 4; j++) sum[j] = _mm256_add_ps(sum[j], _mm256_loadu_ps(data + i + 8 * j));
    double elapsed = seconds() - start;
    for (int j = 0; j < 4; j++) __asm__ volatile("" ::"x"(sum[j]));
    return bytes / elapsed * 1e-9;
}

// Linux hands out the tile registers on request: ARCH_REQ_XCOMP_PERM (0x1023) for XTILEDATA (18).
int amx_permitted(void) { return syscall(SYS_arch_prctl, 0x1023, 18) == 0; }

__attribute__((target("amx-tile,amx-bf16"))) double amx_bf16(long rounds) {
    static const struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } config = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
    _tile_loadconfig(&config);
    // Products of zeros would run at a higher clock than any real ones.
    static volatile uint16_t ones[16 * 32];
    for (int i = 0; i < 16 * 32; i++) ones[i] = i % 2 ? 0x3f80 : 0xbf80;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_loadd(4, (const void *)ones, 64);
    _tile_loadd(5, (const void *)ones, 64);
    _tile_loadd(6, (const void *)ones, 64);
    _tile_loadd(7, (const void *)ones, 64);
    double start = seconds();
    for (long r = 0; r < rounds; r++) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    double elapsed = seconds() - start;
    _tile_release();
    return 4 * 32768.0 * rounds / elapsed * 1e-9;
}
