/*
 * words.c — words for sentences to the user: the name that was meant, a size
 */
#include "engine/main/words.h"

#include <stdio.h>

/* Edit distance, at most 31 characters each. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[32], na = (unsigned)strlen(a), nb = (unsigned)strlen(b);
    if (na > 31 || nb > 31)
        return UINT32_MAX;
    for (unsigned j = 0; j <= nb; j++)
        row[j] = j;
    for (unsigned i = 1; i <= na; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= nb; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[nb];
}

const char *nearest_name(const char *typed, const char *(*name)(size_t i))
{
    const char *best = NULL, *s;
    unsigned least = strlen(typed) / 3 + 2;
    for (size_t i = 0; (s = name(i)); i++) {
        unsigned d = distance(typed, s);
        if (d < least) {
            least = d;
            best = s;
        }
    }
    return best;
}

const char *size_text(uint64_t x, char *buf, size_t n)
{
    static const char *const units[] = {"", "K", "M", "G"};
    unsigned unit = 0;
    for (; unit < 3 && x && !(x & 1023); unit++)
        x >>= 10;
    snprintf(buf, n, "%" PRIu64 "%s", x, units[unit]);
    return buf;
}
