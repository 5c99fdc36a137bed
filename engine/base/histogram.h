/*
 * histogram.h — log-scaled counts of durations: percentiles without keeping samples
 *
 * Buckets: 16 per power of two, so a percentile is right within about 4 percent. Not synchronised: the owner
 * of the events guards it.
 */
#ifndef ENGINE_BASE_HISTOGRAM_H
#define ENGINE_BASE_HISTOGRAM_H

#include "engine/base/base.h"

#define HIST_BUCKETS (64 * 16)

struct histogram {
    uint64_t count, max, sum;
    uint32_t bucket[HIST_BUCKETS];
};

static inline unsigned hist_index(uint64_t x)
{
    if (x < 16)
        return (unsigned)x;
    unsigned msb = 63 - (unsigned)__builtin_clzll(x);
    return (msb - 3) * 16 + (unsigned)((x >> (msb - 4)) & 15);
}

static inline void hist_add(struct histogram *h, uint64_t x)
{
    h->count++;
    h->sum += x;
    if (x > h->max)
        h->max = x;
    h->bucket[hist_index(x)]++;
}

static inline uint64_t hist_percentile(const struct histogram *h, double p)
{
    uint64_t want = (uint64_t)((double)h->count * p / 100.0), seen = 0;
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen > want) {
            if (i < 16)
                return i;
            uint64_t lower = (UINT64_C(16) + i % 16) << (i / 16 - 1);
            return lower > h->max ? h->max : lower;
        }
    }
    return h->max;
}

#endif
