/* litmus_mp.c — message passing: does a reader that sees the flag see the data?
 *
 * Forces: store and load order, DMB as a fence between two stores and between two loads.
 * Parameters: iters=20000 (with and again without DMB; CPUs play in pairs).
 * Metrics: dmb_XY and plain_XY: how often the two loads gave X and Y; roi_ns.
 * Self-check: the forbidden outcome, flag seen and data not (1,0), with DMB, never happens; every
 *   outcome is made of values that were stored. With one CPU the two sides run one after the other.
 */
#include "litmus.h"

RT_GUEST("litmus_mp");

static inline void left(unsigned p, unsigned s)
{
    slots[p][s].x = 1;
    maybe_fence();
    slots[p][s].y = 1;
}

static inline void right(unsigned p, unsigned s)
{
    uint32_t flag = slots[p][s].y;
    maybe_fence();
    uint32_t data = slots[p][s].x;
    slots[p][s].r[0] = flag;
    slots[p][s].r[1] = data;
}

static const uint32_t forbidden = 2; /* flag 1, data 0 */

void guest_main(void)
{
    litmus_main();
}
