/* expect.h — what a CPU read and should have read: the first mismatch on each is kept while all go on, and told at the end.
 */
#ifndef EXPECT_H
#define EXPECT_H

#include "rt.h"

static struct {
    const char *what; /* NULL: none so far */
    uint32_t at, got, want;
} expect_bad[RT_MAX_CPUS];

/* what, at: in which check and which of its rounds. */
static inline void expect(unsigned cpu, const char *what, uint32_t at, uint32_t got, uint32_t want)
{
    if (got == want || expect_bad[cpu].what)
        return;
    expect_bad[cpu].what = what;
    expect_bad[cpu].at = at;
    expect_bad[cpu].got = got;
    expect_bad[cpu].want = want;
}

/* Fails the guest if anything was not as expected. */
static inline void expect_end(void)
{
    for (unsigned c = 0; c < rt_ncpus(); c++)
        if (expect_bad[c].what)
            rt_fail("cpu %u, %s, round %u: got %08x, not %08x", c, expect_bad[c].what, expect_bad[c].at,
                    expect_bad[c].got, expect_bad[c].want);
}

#endif
