/* litmus_sb.c — store buffering: can both CPUs miss each other's store?
 *
 * Forces: the one reordering that an x86 host shows by itself: a store and a later load; DMB must
 *   become a full fence.
 * Parameters: iters=20000 (with and again without DMB; CPUs play in pairs).
 * Metrics: dmb_XY and plain_XY: how often the two loads gave X and Y; roi_ns.
 * Self-check: the forbidden outcome, both loads read 0 (0,0), with DMB, never happens; every
 *   outcome is made of values that were stored. With one CPU the two sides run one after the other.
 */
#include "litmus.h"

RT_GUEST("litmus_sb");

static inline void left(unsigned p, unsigned s)
{
    slots[p][s].x = 1;
    maybe_fence();
    slots[p][s].r[0] = slots[p][s].y;
}

static inline void right(unsigned p, unsigned s)
{
    slots[p][s].y = 1;
    maybe_fence();
    slots[p][s].r[1] = slots[p][s].x;
}

static const uint32_t forbidden = 0; /* both 0 */

void guest_main(void)
{
    litmus_main();
}
