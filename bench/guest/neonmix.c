/* neonmix.c — Advanced SIMD mix: ChaCha20, byte shuffles and sums, 16-bit filter, float vectors; one copy a vCPU.
 *
 * Forces: vector integers of all sizes (adds, shifts, inserts, exclusive ors, table look-ups, widening multiplies,
 *   saturation, narrowing, permutations), vectors of single precision.
 * Parameters: rounds=50 (on each CPU).
 * Metrics: roi_ns, rounds_per_s (all CPUs together).
 * Self-check: the key stream of RFC 8439 2.3.2, and the sum of all results of a round as plain C computes them.
 */
#include <arm_neon.h>

#include "rt.h"

RT_GUEST("neonmix");

#define BLOCKS 64
#define BYTES  1024

struct state {
    uint8_t stream[64], bytes[BYTES], out[BYTES];
    int16_t samples[BYTES], filtered[BYTES];
    float floats[BYTES], scaled[BYTES];
    uint32_t sum;
} ALIGNED(64);

static struct state states[RT_MAX_CPUS];

/* -- ChaCha20 (RFC 8439 2.3) ------------------------------------------------------------------------ */

#define ROTATE(x, n) vsriq_n_u32(vshlq_n_u32(x, n), x, 32 - (n))

static NOINLINE void chacha(const uint32_t in[16], uint8_t out[64])
{
    uint32x4_t a = vld1q_u32(in), b = vld1q_u32(in + 4), c = vld1q_u32(in + 8), d = vld1q_u32(in + 12);
    uint32x4_t a0 = a, b0 = b, c0 = c, d0 = d;
    for (int i = 0; i < 20; i++) {
        a = vaddq_u32(a, b);
        d = veorq_u32(d, a);
        d = vreinterpretq_u32_u16(vrev32q_u16(vreinterpretq_u16_u32(d)));
        c = vaddq_u32(c, d);
        b = veorq_u32(b, c);
        b = ROTATE(b, 12);
        a = vaddq_u32(a, b);
        d = veorq_u32(d, a);
        d = ROTATE(d, 8);
        c = vaddq_u32(c, d);
        b = veorq_u32(b, c);
        b = ROTATE(b, 7);
        if (i & 1) {
            b = vextq_u32(b, b, 3);
            c = vextq_u32(c, c, 2);
            d = vextq_u32(d, d, 1);
        } else {
            b = vextq_u32(b, b, 1);
            c = vextq_u32(c, c, 2);
            d = vextq_u32(d, d, 3);
        }
    }
    vst1q_u32((uint32_t *)out, vaddq_u32(a, a0));
    vst1q_u32((uint32_t *)out + 4, vaddq_u32(b, b0));
    vst1q_u32((uint32_t *)out + 8, vaddq_u32(c, c0));
    vst1q_u32((uint32_t *)out + 12, vaddq_u32(d, d0));
}

static const uint32_t chacha_start[16] = {
    0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, 0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c,
    0x13121110, 0x17161514, 0x1b1a1918, 0x1f1e1d1c, 0x00000001, 0x09000000, 0x4a000000, 0x00000000,
};

/* -- Bytes: each through a table of 16, its halves apart; the largest, and a sum ------------------------- */

static NOINLINE uint32_t bytes(const uint8_t *in, uint8_t *out, unsigned n)
{
    static const uint8_t table[16] = {9, 4, 10, 11, 13, 1, 8, 5, 6, 2, 0, 3, 12, 14, 15, 7};
    uint8x8x2_t t = {{vld1_u8(table), vld1_u8(table + 8)}};
    uint8x16_t most = vdupq_n_u8(0);
    uint32x4_t sum = vdupq_n_u32(0);
    for (unsigned i = 0; i < n; i += 16) {
        uint8x16_t x = vld1q_u8(in + i), lo = vandq_u8(x, vdupq_n_u8(15)), hi = vshrq_n_u8(x, 4);
        uint8x16_t l = vcombine_u8(vtbl2_u8(t, vget_low_u8(lo)), vtbl2_u8(t, vget_high_u8(lo)));
        uint8x16_t h = vcombine_u8(vtbl2_u8(t, vget_low_u8(hi)), vtbl2_u8(t, vget_high_u8(hi)));
        uint8x16x2_t z = vzipq_u8(l, h);
        uint8x16_t y = vsliq_n_u8(z.val[0], z.val[1], 4);
        y = vbslq_u8(vcgtq_u8(x, vdupq_n_u8(100)), y, vqaddq_u8(y, x));
        most = vmaxq_u8(most, y);
        sum = vpadalq_u16(sum, vpaddlq_u8(y));
        vst1q_u8(out + i, y);
    }
    uint8x8_t m = vmax_u8(vget_low_u8(most), vget_high_u8(most));
    return vgetq_lane_u32(sum, 0) + vgetq_lane_u32(sum, 1) + vgetq_lane_u32(sum, 2) + vgetq_lane_u32(sum, 3) +
           vget_lane_u8(m, 0);
}

static uint32_t bytes_plain(const uint8_t *in, uint8_t *out, unsigned n)
{
    static const uint8_t table[16] = {9, 4, 10, 11, 13, 1, 8, 5, 6, 2, 0, 3, 12, 14, 15, 7};
    uint32_t sum = 0;
    uint8_t most[16] = {0};
    for (unsigned i = 0; i < n; i += 16)
        for (unsigned k = 0; k < 16; k++) {
            uint8_t z[2];
            for (unsigned h = 0; h < 2; h++) {
                uint8_t x = in[i + (k + 16 * h) / 2];
                z[h] = table[k & 1 ? x >> 4 : x & 15];
            }
            uint8_t x = in[i + k], y = (uint8_t)(z[1] << 4 | (z[0] & 15));
            unsigned s = x + y;
            y = x > 100 ? y : s > 255 ? 255 : (uint8_t)s;
            most[k] = most[k] > y ? most[k] : y;
            sum += y;
            out[i + k] = y;
        }
    return sum + (most[0] > most[8] ? most[0] : most[8]);
}

/* -- A filter of 16-bit samples: four taps, rounded, saturated -------------------------------------------- */

static const int16_t taps[4] = {3001, -1207, 9811, 4500};

static NOINLINE void filter(const int16_t *in, int16_t *out, unsigned n)
{
    for (unsigned i = 0; i + 12 <= n; i += 8) {
        int32x4_t lo = vdupq_n_s32(0), hi = vdupq_n_s32(0);
        int16x8_t x = vld1q_s16(in + i), y = vcombine_s16(vld1_s16(in + i + 8), vdup_n_s16(0));
#define TAP(k)                                     \
 {                                                 \
  int16x8_t w = vextq_s16(x, y, k);                \
  lo = vmlal_n_s16(lo, vget_low_s16(w), taps[k]);  \
  hi = vmlal_n_s16(hi, vget_high_s16(w), taps[k]); \
 }
        TAP(0) TAP(1) TAP(2) TAP(3) vst1q_s16(out + i, vcombine_s16(vqrshrn_n_s32(lo, 13), vqrshrn_n_s32(hi, 13)));
    }
}

static void filter_plain(const int16_t *in, int16_t *out, unsigned n)
{
    for (unsigned i = 0; i + 12 <= n; i += 8)
        for (unsigned k = i; k < i + 8; k++) {
            int32_t sum = 1 << 12;
            for (unsigned t = 0; t < 4; t++)
                sum += in[k + t] * taps[t];
            sum >>= 13;
            out[k] = (int16_t)(sum > 32767 ? 32767 : sum < -32768 ? -32768 : sum);
        }
}

/* -- Single precision: y = max(x * a + b, c) ----------------------------------------------------------------- */

static NOINLINE void floats(const float *in, float *out, unsigned n)
{
    float32x4_t a = vdupq_n_f32(1.7f), b = vdupq_n_f32(-3.1f), c = vdupq_n_f32(0.25f);
    for (unsigned i = 0; i < n; i += 4) {
        float32x4_t x = vld1q_f32(in + i), y = vaddq_f32(vmulq_f32(x, a), b);
        y = vsubq_f32(vmulq_f32(y, y), x);
        vst1q_f32(out + i, vmaxq_f32(y, c));
    }
}

static void floats_plain(const float *in, float *out, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        volatile float p = in[i] * 1.7f, y = p + -3.1f, q = y * y, r = q - in[i];
        out[i] = r > 0.25f ? r : 0.25f;
    }
}

/* -- A round ---------------------------------------------------------------------------------------------------- */

static void begin(struct state *s)
{
    uint32_t r = 99;
    for (unsigned i = 0; i < BYTES; i++) {
        r = r * 1664525 + 1013904223;
        s->bytes[i] = (uint8_t)(r >> 24);
        s->samples[i] = (int16_t)(r >> 12);
        s->floats[i] = (float)(int32_t)(r >> 8 & 0xffff) / 1024 + 0.001f;
    }
}

static NOINLINE uint32_t round_of(struct state *s, bool plain)
{
    uint32_t sum = 2166136261u, in[16];
    memcpy(in, chacha_start, sizeof in);
    for (unsigned i = 0; i < BLOCKS; i++, in[12]++)
        chacha(in, s->stream);
    sum = rt_fnv(sum, s->stream, sizeof s->stream);
    for (unsigned i = 0; i < 4; i++) {
        uint32_t n = (plain ? bytes_plain : bytes)(s->bytes, s->out, BYTES);
        if (i == 0)
            sum = rt_fnv(sum, &n, sizeof n);
        (plain ? filter_plain : filter)(s->samples, s->filtered, BYTES);
        (plain ? floats_plain : floats)(s->floats, s->scaled, BYTES);
    }
    sum = rt_fnv(sum, s->out, 64);
    sum = rt_fnv(sum, s->filtered, 128);
    return rt_fnv(sum, s->scaled + BYTES - 16, 64);
}

static bool all_same(const struct state *a, const struct state *b)
{
    return !memcmp(a->out, b->out, sizeof a->out) && !memcmp(a->filtered, b->filtered, sizeof a->filtered) &&
           !memcmp(a->scaled, b->scaled, sizeof a->scaled);
}

static uint32_t rounds, expected;

static void copy(unsigned cpu, void *arg)
{
    (void)arg;
    begin(&states[cpu]);
    for (uint32_t i = 0; i < rounds; i++)
        if ((states[cpu].sum = round_of(&states[cpu], false)) != expected)
            break;
}

void guest_main(void)
{
    static const uint8_t rfc[16] = {0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15,
                                    0x50, 0x0f, 0xdd, 0x1f, 0xa3, 0x20, 0x71, 0xc4};
    static struct state plain;
    rounds = rt_param("rounds", 50);
    chacha(chacha_start, states[0].stream);
    if (memcmp(states[0].stream, rfc, sizeof rfc))
        rt_fail("the key stream begins with %02x %02x", states[0].stream[0], states[0].stream[1]);
    begin(&plain);
    begin(&states[0]);
    expected = round_of(&plain, true);
    uint32_t got = round_of(&states[0], false);
    if (got != expected || !all_same(&states[0], &plain))
        rt_fail("one round has sum %08x, in plain C %08x", got, expected);
    uint64_t ns = rt_parallel_roi(copy, NULL);
    rt_printf("rounds %u sum %08x\n", rounds, states[0].sum);
    rt_metric("roi_ns", ns, "ns");
    rt_metric_rate("rounds_per_s", (uint64_t)rounds * rt_ncpus(), ns, "1/s");
    for (unsigned i = 0; i < rt_ncpus(); i++)
        if (states[i].sum != expected)
            rt_fail("cpu %u has sum %08x", i, states[i].sum);
    rt_pass();
}
