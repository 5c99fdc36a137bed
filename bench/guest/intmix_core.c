/* intmix_core.c — integer mix in the manner of CoreMark; one copy a vCPU.
 *
 * Forces: data-dependent branches, function pointers, multiply-accumulate, shifts whose flags are
 *   live, jump tables.
 * Parameters: iters=4000 (iterations on each CPU).
 * Metrics: roi_ns, iters_per_s (all CPUs together).
 * Self-check: one iteration gives the CRC known from another machine; all CPUs end with the same
 *   CRC.
 */
#include "rt.h"

RT_GUEST("intmix_core");

#define GOLDEN 0xa6c8u

#define NODES  40
#define DIM    10
#define TEXT   400

struct cell {
    int16_t key, tag;
};
struct node {
    struct node *next;
    struct cell *cell;
};
struct state {
    struct node nodes[NODES];
    struct cell cells[NODES];
    int16_t a[DIM * DIM], b[DIM * DIM];
    int32_t c[DIM * DIM];
    char text[TEXT + 8];
    uint16_t crc;
} ALIGNED(64);

static struct state states[RT_MAX_CPUS];

/* -- CRC-16, reflected 0x8005, a bit at a time ------------------------------------------------- */

static NOINLINE uint16_t crc_byte(uint8_t v, uint16_t crc)
{
    for (int i = 0; i < 8; i++) {
        unsigned bit = (v ^ crc) & 1;
        v >>= 1;
        crc >>= 1;
        if (bit)
            crc ^= 0xa001;
    }
    return crc;
}

static uint16_t crc16(uint16_t v, uint16_t crc)
{
    return crc_byte((uint8_t)(v >> 8), crc_byte((uint8_t)v, crc));
}

static uint16_t crc32(uint32_t v, uint16_t crc)
{
    return crc16((uint16_t)(v >> 16), crc16((uint16_t)v, crc));
}

/* -- list -------------------------------------------------------------------------------------- */

typedef int (*order_fn)(const struct cell *, const struct cell *);

static int by_key(const struct cell *a, const struct cell *b)
{
    return a->key - b->key;
}

static int by_tag(const struct cell *a, const struct cell *b)
{
    int d = (a->tag & 0x7f) - (b->tag & 0x7f);
    return d ? d : a->key - b->key;
}

static NOINLINE struct node *list_find(struct node *l, int16_t key)
{
    while (l && l->cell->key != key)
        l = l->next;
    return l;
}

static NOINLINE struct node *list_reverse(struct node *l)
{
    struct node *done = NULL;
    while (l) {
        struct node *next = l->next;
        l->next = done;
        done = l;
        l = next;
    }
    return done;
}

/* Bottom-up merge sort: runs of 1, 2, 4 ... until one run is left. */
static NOINLINE struct node *list_sort(struct node *list, order_fn order)
{
    for (int run = 1;; run *= 2) {
        struct node *p = list, *tail = NULL;
        int merges = 0;
        list = NULL;
        while (p) {
            struct node *q = p;
            int np = 0, nq = run;
            merges++;
            while (np < run && q) {
                np++;
                q = q->next;
            }
            while (np > 0 || (nq > 0 && q)) {
                struct node *e;
                if (np == 0 || (nq > 0 && q && order(p->cell, q->cell) > 0)) {
                    e = q;
                    q = q->next;
                    nq--;
                } else {
                    e = p;
                    p = p->next;
                    np--;
                }
                if (tail)
                    tail->next = e;
                else
                    list = e;
                tail = e;
            }
            p = q;
        }
        if (tail)
            tail->next = NULL;
        if (merges <= 1)
            return list;
    }
}

static NOINLINE uint16_t list_part(struct state *s, uint16_t crc)
{
    struct node *l = &s->nodes[0];
    for (int i = 0; i < NODES; i++) {
        s->cells[i].key = (int16_t)((i * 7919) % 101);
        s->cells[i].tag = (int16_t)(i * 37 ^ crc);
        s->nodes[i].cell = &s->cells[i];
        s->nodes[i].next = i + 1 < NODES ? &s->nodes[i + 1] : NULL;
    }
    for (int16_t k = 0; k < 24; k++) {
        struct node *n = list_find(l, (int16_t)(k * 5));
        l = list_reverse(l);
        crc = crc16(n ? (uint16_t)n->cell->tag : 0xffff, crc);
    }
    l = list_sort(l, by_tag);
    for (struct node *n = l; n; n = n->next)
        crc = crc16((uint16_t)n->cell->key, crc);
    l = list_sort(l, by_key);
    for (struct node *n = l; n; n = n->next)
        crc = crc16((uint16_t)n->cell->tag, crc);
    return crc;
}

/* -- matrix ------------------------------------------------------------------------------------ */

static NOINLINE uint16_t matrix_sum(const int32_t *c, int32_t clip, uint16_t crc)
{
    int32_t acc = 0, prev = 0;
    int16_t score = 0;
    for (int i = 0; i < DIM * DIM; i++) {
        acc += c[i];
        if (acc > clip) {
            score = (int16_t)(score + 10);
            acc = 0;
        } else {
            score = (int16_t)(score + (c[i] > prev));
        }
        prev = c[i];
    }
    return crc16((uint16_t)score, crc);
}

static NOINLINE void matrix_mul(int32_t *c, const int16_t *a, const int16_t *b, bool bits)
{
    for (int i = 0; i < DIM; i++)
        for (int j = 0; j < DIM; j++) {
            int32_t sum = 0;
            for (int k = 0; k < DIM; k++) {
                int32_t p = a[i * DIM + k] * b[k * DIM + j];
                sum += bits ? (p >> 2 & 0xf) * (p >> 5 & 0x7f) : p;
            }
            c[i * DIM + j] = sum;
        }
}

static NOINLINE uint16_t matrix_part(struct state *s, uint16_t crc)
{
    for (int i = 0; i < DIM * DIM; i++) {
        s->a[i] = (int16_t)((i * 97 + crc) % 251 - 100);
        s->b[i] = (int16_t)((i * 61 ^ crc) & 0xff);
    }
    matrix_mul(s->c, s->a, s->b, false);
    crc = matrix_sum(s->c, 20000, crc);
    matrix_mul(s->c, s->b, s->a, true);
    crc = matrix_sum(s->c, 3000, crc);
    for (int i = 0; i < DIM * DIM; i++)
        crc = crc16((uint16_t)s->c[i], crc);
    return crc;
}

/* -- state machine: classifies comma-separated words as numbers of several kinds --------------- */

enum scan { START, SIGN, INTEGER, POINT, FRACTION, EXPONENT, SCIENTIFIC, BAD, SCANS };

static NOINLINE enum scan scan_word(const char **at, uint32_t *moves)
{
    enum scan st = START;
    const char *p = *at;
    for (; *p && *p != ','; p++) {
        char ch = *p;
        bool digit = ch >= '0' && ch <= '9';
        switch (st) {
        case START: st = digit ? INTEGER : ch == '+' || ch == '-' ? SIGN : ch == '.' ? POINT : BAD; break;
        case SIGN: st = digit ? INTEGER : ch == '.' ? POINT : BAD; break;
        case INTEGER: st = digit ? INTEGER : ch == '.' ? POINT : ch == 'e' ? EXPONENT : BAD; break;
        case POINT: st = digit ? FRACTION : BAD; break;
        case FRACTION: st = digit ? FRACTION : ch == 'e' ? EXPONENT : BAD; break;
        case EXPONENT: st = digit || ch == '+' || ch == '-' ? SCIENTIFIC : BAD; break;
        case SCIENTIFIC: st = digit ? SCIENTIFIC : BAD; break;
        default: break;
        }
        moves[st]++;
    }
    *at = *p ? p + 1 : p;
    return st;
}

static NOINLINE uint16_t scan_part(struct state *s, uint16_t crc)
{
    static const char *const words[] = {"5012", "-874.25", "+.7", "35.54e-3", "T0.3", "1.1e", "-110.7e+10", "+0x12"};
    uint32_t moves[SCANS] = {0}, ends[SCANS] = {0};
    unsigned n = 0, w = crc;
    for (;;) {
        const char *word = words[w++ % ARRAY_LEN(words)];
        size_t len = strlen(word);
        if (n + len + 1 > TEXT)
            break;
        memcpy(&s->text[n], word, len);
        n += len;
        s->text[n++] = ',';
    }
    s->text[n] = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (const char *p = s->text; *p;)
            ends[scan_word(&p, moves)]++;
        /* Damage some letters so that the second pass takes other ways. */
        for (unsigned i = crc & 7; i < n; i += 23)
            if (s->text[i] != ',')
                s->text[i] = (char)(s->text[i] ^ 1);
    }
    for (int i = 0; i < SCANS; i++)
        crc = crc32(moves[i] << 8 ^ ends[i], crc);
    return crc;
}

static NOINLINE uint16_t run(struct state *s, uint32_t iters)
{
    uint16_t crc = 0;
    for (uint32_t i = 0; i < iters; i++) {
        crc = list_part(s, crc);
        crc = matrix_part(s, crc);
        crc = scan_part(s, crc);
    }
    return crc;
}

static uint32_t iters;

static void copy(unsigned cpu, void *arg)
{
    (void)arg;
    states[cpu].crc = run(&states[cpu], iters);
}

void guest_main(void)
{
    iters = rt_param("iters", 4000);
    uint16_t got = run(&states[0], 1);
    if (got != GOLDEN)
        rt_fail("crc of one iteration is %04x, not %04x", got, GOLDEN);
    uint64_t ns = rt_parallel_roi(copy, NULL);
    rt_printf("iterations %u crc %04x\n", iters, states[0].crc);
    rt_metric("roi_ns", ns, "ns");
    rt_metric_rate("iters_per_s", (uint64_t)iters * rt_ncpus(), ns, "1/s");
    for (unsigned i = 0; i < rt_ncpus(); i++)
        if (states[i].crc != states[0].crc)
            rt_fail("cpu %u has crc %04x", i, states[i].crc);
    rt_pass();
}
