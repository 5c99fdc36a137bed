/* fpmix.c — floating-point mix with VFP: planets, a matrix product, a Fourier transform; one copy a vCPU.
 *
 * Forces: scalar arithmetic in double and single precision, roots and divisions, comparisons with
 *   branches, conversions to and from integers.
 * Parameters: rounds=20 (on each CPU).
 * Metrics: roi_ns, rounds_per_s (all CPUs together).
 * Self-check: the bits of all results of a round are the ones that IEEE arithmetic gives; every round and
 *   CPU gets the same.
 */
#include "rt.h"

RT_GUEST("fpmix");

#define GOLDEN 0x803863feu

#define BODIES 5
#define STEPS  200
#define DIM    24
#define POINTS 256

struct body {
    double x[3], v[3], mass;
};
struct state {
    struct body bodies[BODIES];
    double a[DIM][DIM], b[DIM][DIM], c[DIM][DIM];
    float re[POINTS], im[POINTS], wre[POINTS / 2], wim[POINTS / 2];
    uint32_t sum;
} ALIGNED(64);

static struct state states[RT_MAX_CPUS];

static double root(double x)
{
    double r;
    asm("vsqrt.f64 %P0, %P1" : "=w"(r) : "w"(x));
    return r;
}

/* -- planets ----------------------------------------------------------------------------------- */

static void planets_begin(struct body *b)
{
    uint32_t r = 12345;
    for (int i = 0; i < BODIES; i++) {
        for (int k = 0; k < 3; k++) {
            r = r * 1664525 + 1013904223;
            b[i].x[k] = (double)(int32_t)r / 2147483648.0 * 30.0;
            r = r * 1664525 + 1013904223;
            b[i].v[k] = (double)(int32_t)r / 2147483648.0;
        }
        b[i].mass = i ? 0.04 / i : 39.5;
    }
}

static NOINLINE double planets(struct body *b, int steps)
{
    const double dt = 0.01;
    double least = 1e30;
    while (steps--) {
        for (int i = 0; i < BODIES; i++)
            for (int j = i + 1; j < BODIES; j++) {
                double d[3], d2 = 0;
                for (int k = 0; k < 3; k++) {
                    d[k] = b[i].x[k] - b[j].x[k];
                    d2 += d[k] * d[k];
                }
                if (d2 < least)
                    least = d2;
                double m = dt / (d2 * root(d2));
                for (int k = 0; k < 3; k++) {
                    b[i].v[k] -= d[k] * b[j].mass * m;
                    b[j].v[k] += d[k] * b[i].mass * m;
                }
            }
        for (int i = 0; i < BODIES; i++)
            for (int k = 0; k < 3; k++)
                b[i].x[k] += dt * b[i].v[k];
    }
    return least;
}

/* -- matrices ---------------------------------------------------------------------------------- */

static void matrices_begin(struct state *s)
{
    for (int i = 0; i < DIM; i++)
        for (int j = 0; j < DIM; j++) {
            s->a[i][j] = (i * 7 + j * 3) % 17 / 3.0;
            s->b[i][j] = (i == j) + (double)(i - j) / 64;
        }
}

static NOINLINE void matrices(struct state *s)
{
    for (int i = 0; i < DIM; i++)
        for (int j = 0; j < DIM; j++) {
            double sum = 0;
            for (int k = 0; k < DIM; k++)
                sum += s->a[i][k] * s->b[k][j];
            s->c[i][j] = sum;
        }
}

/* -- Fourier transform, radix 2, single precision -------------------------------------------------- */

static void fourier_begin(struct state *s)
{
    /* Roots of unity by rotation: no library has to agree about sines. */
    double c = 1, n = 0, step_c = 0.99969881869620425, step_n = 0.024541228522912288;
    for (int i = 0; i < POINTS / 2; i++) {
        s->wre[i] = (float)c;
        s->wim[i] = (float)-n;
        double t = c * step_c - n * step_n;
        n = n * step_c + c * step_n;
        c = t;
    }
    for (int i = 0; i < POINTS; i++) {
        s->re[i] = (float)((i * 37 & 255) - 128) / 16;
        s->im[i] = 0;
    }
}

static NOINLINE void fourier(struct state *s)
{
    for (unsigned i = 1, j = 0; i < POINTS; i++) {
        unsigned bit = POINTS >> 1;
        for (; j & bit; bit >>= 1)
            j ^= bit;
        j ^= bit;
        if (i < j) {
            float t = s->re[i];
            s->re[i] = s->re[j];
            s->re[j] = t;
            t = s->im[i];
            s->im[i] = s->im[j];
            s->im[j] = t;
        }
    }
    for (unsigned len = 2; len <= POINTS; len <<= 1)
        for (unsigned i = 0; i < POINTS; i += len)
            for (unsigned k = 0; k < len / 2; k++) {
                unsigned a = i + k, b = a + len / 2, w = k * (POINTS / len);
                float re = s->re[b] * s->wre[w] - s->im[b] * s->wim[w];
                float im = s->re[b] * s->wim[w] + s->im[b] * s->wre[w];
                s->re[b] = s->re[a] - re;
                s->im[b] = s->im[a] - im;
                s->re[a] += re;
                s->im[a] += im;
            }
}

/* As 16-bit samples, saturated. */
static NOINLINE int32_t samples(const struct state *s)
{
    int32_t sum = 0;
    for (int i = 0; i < POINTS; i++) {
        float x = s->re[i] * 100.0f;
        if (x > 32767.0f)
            x = 32767.0f;
        else if (x < -32768.0f)
            x = -32768.0f;
        sum = sum * 31 + (int32_t)x;
    }
    return sum;
}

static NOINLINE uint32_t round_of(struct state *s)
{
    uint32_t sum = 2166136261u;
    planets_begin(s->bodies);
    double least = planets(s->bodies, STEPS);
    sum = rt_fnv(sum, s->bodies, sizeof s->bodies);
    sum = rt_fnv(sum, &least, sizeof least);
    matrices_begin(s);
    for (int i = 0; i < 4; i++)
        matrices(s);
    sum = rt_fnv(sum, s->c, sizeof s->c);
    fourier_begin(s);
    for (int i = 0; i < 6; i++)
        fourier(s);
    sum = rt_fnv(sum, s->re, sizeof s->re + sizeof s->im);
    return sum ^ (uint32_t)samples(s);
}

static uint32_t rounds;

static void copy(unsigned cpu, void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < rounds; i++)
        if ((states[cpu].sum = round_of(&states[cpu])) != GOLDEN)
            break;
}

void guest_main(void)
{
    rounds = rt_param("rounds", 20);
    uint32_t got = round_of(&states[0]);
    if (got != GOLDEN)
        rt_fail("the results of one round have sum %08x, not %08x", got, GOLDEN);
    uint64_t ns = rt_parallel_roi(copy, NULL);
    rt_printf("rounds %u sum %08x\n", rounds, states[0].sum);
    rt_metric("roi_ns", ns, "ns");
    rt_metric_rate("rounds_per_s", (uint64_t)rounds * rt_ncpus(), ns, "1/s");
    for (unsigned i = 0; i < rt_ncpus(); i++)
        if (states[i].sum != GOLDEN)
            rt_fail("cpu %u has sum %08x", i, states[i].sum);
    rt_pass();
}
