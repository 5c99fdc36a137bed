/* nbody.c — bodies that attract each other: square roots and divisions of doubles in a short loop.
 *
 * Forces: VFP arithmetic with long latencies, conversions, no sharing.
 * Parameters: steps=20000, expect=checksum (of the default number of steps, if not given).
 * Self-check: a checksum of every bit of the positions, as an x86-64 computes it (SSE2, no contraction).
 * Metrics: roi_ns.
 */
#include "rt.h"

RT_GUEST("nbody");

#define BODIES 5

static struct {
    double at[3], v[3], mass;
} body[BODIES];
static uint32_t steps;

static NOINLINE void step(double dt)
{
    for (unsigned i = 0; i < BODIES; i++) {
        for (unsigned j = i + 1; j < BODIES; j++) {
            double d[3], square = 0.01;
            for (unsigned k = 0; k < 3; k++) {
                d[k] = body[i].at[k] - body[j].at[k];
                square += d[k] * d[k];
            }
            double pull = dt / (square * __builtin_sqrt(square));
            for (unsigned k = 0; k < 3; k++) {
                body[i].v[k] -= d[k] * (body[j].mass * pull);
                body[j].v[k] += d[k] * (body[i].mass * pull);
            }
        }
    }
    for (unsigned i = 0; i < BODIES; i++)
        for (unsigned k = 0; k < 3; k++)
            body[i].at[k] += dt * body[i].v[k];
}

static void work(unsigned cpu, void *arg)
{
    (void)cpu, (void)arg;
    for (uint32_t s = 0; s < steps; s++)
        step(0.001);
}

void guest_main(void)
{
    uint32_t seed = 7, sum = 0;
    steps = rt_param("steps", 20000);
    for (unsigned i = 0; i < BODIES; i++) {
        for (unsigned k = 0; k < 3; k++) {
            body[i].at[k] = (double)(rt_rand(&seed) >> 8) / 2097152.0 - 4.0;
            body[i].v[k] = (double)(rt_rand(&seed) >> 8) / 16777216.0 - 0.5;
        }
        body[i].mass = 1.0 + i;
    }
    uint64_t ns = rt_parallel_roi(work, NULL);
    for (unsigned i = 0; i < BODIES; i++)
        for (unsigned k = 0; k < 3; k++) {
            uint32_t w[2];
            memcpy(w, &body[i].at[k], 8);
            sum = (sum ^ w[0]) * 16777619u;
            sum = (sum ^ w[1]) * 16777619u;
        }
    uint32_t expect = rt_param("expect", steps == 20000 ? 0xbc1a4f65 : sum);
    rt_printf("steps %u checksum %08x\n", steps, sum);
    rt_metric("roi_ns", ns, "ns");
    if (sum != expect)
        rt_fail("the checksum is not %08x", expect);
    rt_pass();
}
