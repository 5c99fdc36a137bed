/*
 * decode.c — compiles the instruction tables and looks words up
 *
 * Each table has an index of buckets by its most telling bits; a bucket lists the rows that its words can match,
 * the rows with more fixed bits first. A look-up tries two or three masks.
 */
#include "engine/arm/decode.h"

#include <pthread.h>
#include <stdlib.h>

/* Every handler named in a table. */
#define I(name, pattern, fn, arg) insn_fn fn;
#include "engine/arm/a32.def"
#include "engine/arm/a32_uncond.def"
#include "engine/arm/t32_16.def"
#include "engine/arm/t32_32.def"
#undef I

#include "engine/arm/operands.h"

#define I(name, pattern, fn, arg) {name, pattern, fn, arg, 0, 0, 0, {0, 0}, 0, {{0, 0, 0}}},
static struct insn_row a32[] = {
#include "engine/arm/a32.def"
};
static struct insn_row a32_uncond[] = {
#include "engine/arm/a32_uncond.def"
};
static struct insn_row t16[] = {
#include "engine/arm/t32_16.def"
};
static struct insn_row t32[] = {
#include "engine/arm/t32_32.def"
};
#undef I

struct table {
    struct insn_row *rows;
    unsigned n, width;
    /* Bucket number: bits hi_lsb.. of hi_bits bits, then lo_lsb.. of lo_bits. */
    uint8_t hi_lsb, hi_bits, lo_lsb, lo_bits;
    uint32_t *start; /* bucket -> first entry in list; one more at the end */
    uint16_t *list;  /* row numbers */
};

static struct table tables[INSN_SETS] = {
    [SET_A32] = {a32, ARRAY_SIZE(a32), 32, 20, 8, 4, 4, NULL, NULL},
    [SET_A32_UNCOND] = {a32_uncond, ARRAY_SIZE(a32_uncond), 32, 20, 8, 4, 4, NULL, NULL},
    [SET_T16] = {t16, ARRAY_SIZE(t16), 16, 6, 10, 0, 0, NULL, NULL},
    [SET_T32] = {t32, ARRAY_SIZE(t32), 32, 20, 9, 4, 4, NULL, NULL},
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void compile_row(struct insn_row *r, unsigned width)
{
    CHECK(strlen(r->pattern) == width, "%s: pattern '%s' is not %u bits", r->name, r->pattern, width);
    unsigned nn = 0;
    for (unsigned i = 0; i < width;) {
        char c = r->pattern[i];
        unsigned shift = width - 1 - i;
        if (strchr("01OI-", c)) {
            if (c != '-')
                r->mask |= BIT(shift);
            if (c == '1' || c == 'I')
                r->value |= BIT(shift);
            if (c == 'O' || c == 'I')
                r->should |= BIT(shift);
            i++;
            continue;
        }
        CHECK((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'), "%s: '%c' in pattern", r->name, c);
        unsigned len = 1;
        while (i + len < width && r->pattern[i + len] == c)
            len++;
        unsigned lsb = width - i - len;
        char slot = c;
        if (c == 'N' || c == 'T' || c == 'D' || c == 'A') {
            CHECK(len == 4 && nn < ARRAY_SIZE(r->not15), "%s: field %c", r->name, c);
            r->not15[nn++] = UINT32_C(0xf) << lsb;
            slot = (char)(c - 'A' + 'a');
        }
        CHECK(r->nruns < ARRAY_SIZE(r->runs), "%s: too many fields", r->name);
        r->runs[r->nruns++] = (struct field_run){(uint8_t)(slot - 'A'), (uint8_t)lsb, (uint8_t)len};
        i += len;
    }
}

static unsigned bucket_of(const struct table *t, uint32_t word)
{
    uint32_t hi = (word >> t->hi_lsb) & (BIT(t->hi_bits) - 1);
    uint32_t lo = (word >> t->lo_lsb) & (BIT(t->lo_bits) - 1);
    return hi << t->lo_bits | lo;
}

static void compile_table(struct table *t)
{
    uint32_t nb = BIT(t->hi_bits + t->lo_bits);
    uint16_t *order = calloc(t->n, sizeof *order);
    CHECK(order, "out of memory");
    for (unsigned i = 0; i < t->n; i++) {
        compile_row(&t->rows[i], t->width);
        /* Insertion keeps the file's order among equals. */
        unsigned j = i;
        int fixed = __builtin_popcount(t->rows[i].mask);
        while (j > 0 && __builtin_popcount(t->rows[order[j - 1]].mask) < fixed) {
            order[j] = order[j - 1];
            j--;
        }
        order[j] = (uint16_t)i;
    }
    uint32_t index_bits = (BIT(t->hi_bits) - 1) << t->hi_lsb | (BIT(t->lo_bits) - 1) << t->lo_lsb;
    t->start = calloc(nb + 1, sizeof *t->start);
    CHECK(t->start, "out of memory");
    for (int fill = 0; fill < 2; fill++) {
        uint32_t n = 0;
        for (uint32_t b = 0; b < nb; b++) {
            uint32_t word = (b >> t->lo_bits) << t->hi_lsb | (b & (BIT(t->lo_bits) - 1)) << t->lo_lsb;
            t->start[b] = n;
            for (unsigned k = 0; k < t->n; k++) {
                const struct insn_row *r = &t->rows[order[k]];
                if ((word ^ r->value) & r->mask & index_bits)
                    continue;
                if (fill)
                    t->list[n] = order[k];
                n++;
            }
        }
        t->start[nb] = n;
        if (!fill) {
            t->list = calloc(n, sizeof *t->list);
            CHECK(t->list, "out of memory");
        }
    }
    free(order);
}

static void compile_all(void)
{
    for (unsigned s = 0; s < INSN_SETS; s++)
        compile_table(&tables[s]);
}

bool row_matches(const struct insn_row *r, uint32_t word)
{
    if ((word & r->mask) != r->value)
        return false;
    for (unsigned i = 0; i < ARRAY_SIZE(r->not15); i++)
        if (r->not15[i] && (word & r->not15[i]) == r->not15[i])
            return false;
    return true;
}

const struct insn_row *decode(enum insn_set set, uint32_t word)
{
    pthread_once(&once, compile_all);
    const struct table *t = &tables[set];
    unsigned b = bucket_of(t, word);
    for (uint32_t i = t->start[b]; i < t->start[b + 1]; i++) {
        const struct insn_row *r = &t->rows[t->list[i]];
        if (row_matches(r, word))
            return r;
    }
    return NULL;
}

void decode_fields(const struct insn_row *row, uint32_t word, struct fields *out)
{
    memset(out, 0, sizeof *out);
    for (unsigned i = 0; i < row->nruns; i++) {
        struct field_run r = row->runs[i];
        uint32_t v = (word >> r.shift) & (uint32_t)((UINT64_C(1) << r.width) - 1);
        out->f[r.slot] = out->f[r.slot] << r.width | v;
    }
}

const struct insn_row *decode_rows(enum insn_set set, unsigned *n)
{
    pthread_once(&once, compile_all);
    *n = tables[set].n;
    return tables[set].rows;
}
