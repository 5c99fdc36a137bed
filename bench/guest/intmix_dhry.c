/* intmix_dhry.c — integer mix in the manner of Dhrystone; one copy a vCPU.
 *
 * Forces: direct chaining, calls and returns, loads and stores with short strides, flags that
 *   mostly die; no sharing.
 * Parameters: loops=800000 (rounds on each CPU).
 * Metrics: roi_ns, loops_per_s (all CPUs together).
 * Self-check: a run of 200 rounds gives the checksum known from another machine; all CPUs end with
 *   the same checksum; counters that must equal the number of rounds do.
 */
#include "rt.h"

RT_GUEST("intmix_dhry");

#define GOLDEN_ROUNDS 200
#define GOLDEN        0x2812402au

enum tier { TIER_LOW, TIER_MID, TIER_HIGH, TIER_TOP, TIER_NONE };

struct item {
    struct item *link;
    enum tier tier;
    enum tier other;
    int32_t weight;
    char label[32];
};

/* Everything one copy of the program works on, so that copies share nothing. */
struct state {
    struct item slot[2];
    struct item *head;
    int32_t line[48];
    int32_t grid[48][48];
    char text_a[32], text_b[32];
    uint32_t rounds_seen, matches, sum;
    bool flag;
    char key_a, key_b;
} ALIGNED(64);

static struct state states[RT_MAX_CPUS];

static NOINLINE bool letters_differ(char a, char b, struct state *s)
{
    char c = a;
    if (c != b)
        return true;
    s->key_a = c;
    return false;
}

static NOINLINE int compare_text(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (int)(uint8_t)*a - (int)(uint8_t)*b;
}

static NOINLINE bool text_is_later(const char *a, const char *b, struct state *s)
{
    int at = 2;
    char c = 'Q';
    while (at <= 2)
        if (!letters_differ(a[at], b[at + 1], s)) {
            c = 'A';
            at++;
        } else {
            at += 3;
        }
    if (c >= 'W' && c < 'Z')
        at = 7;
    if (c == 'R')
        return true;
    if (compare_text(a, b) > 0) {
        s->matches += (uint32_t)at;
        return true;
    }
    return false;
}

static NOINLINE bool tier_is_high(enum tier t)
{
    return t == TIER_HIGH;
}

static NOINLINE void pick_tier(enum tier in, enum tier *out, int32_t gauge)
{
    *out = in;
    if (!tier_is_high(in))
        *out = TIER_TOP;
    switch (in) {
    case TIER_LOW: *out = TIER_LOW; break;
    case TIER_MID: *out = gauge > 100 ? TIER_LOW : TIER_TOP; break;
    case TIER_HIGH: *out = TIER_MID; break;
    case TIER_TOP: break;
    case TIER_NONE: *out = TIER_HIGH; break;
    }
}

static NOINLINE void add_offset(int32_t a, int32_t b, int32_t *out)
{
    *out = b + a + 2;
}

static NOINLINE void fill_arrays(struct state *s, int32_t *line, int32_t (*grid)[48], int32_t at, int32_t v)
{
    int32_t i = at + 5;
    line[i] = v;
    line[i + 1] = line[i];
    line[i + 20] = i;
    for (int32_t k = i; k <= i + 1; k++)
        grid[i][k] = i;
    grid[i][i - 1]++;
    grid[i + 15][i] = line[i];
    s->sum += (uint32_t)grid[i][i - 1];
}

static NOINLINE void follow(struct item **out, struct state *s)
{
    if (s->head)
        *out = s->head->link;
    add_offset(10, s->line[8] & 15, &s->head->weight);
}

static NOINLINE void rebuild(struct item *p, struct state *s)
{
    struct item *next = p->link;
    *next = *s->head;
    p->weight = 5;
    next->weight = p->weight;
    next->link = p->link;
    follow(&next->link, s);
    if (next->tier == TIER_LOW) {
        next->weight = 6;
        pick_tier(p->other, &next->other, s->line[9]);
        next->link = s->head->link;
        add_offset(next->weight, 10, &next->weight);
    } else {
        *p = *p->link;
    }
    s->sum += (uint32_t)next->weight;
}

static void setup(struct state *s)
{
    memset(s, 0, sizeof(*s));
    s->head = &s->slot[0];
    s->slot[0].link = &s->slot[1];
    s->slot[0].tier = TIER_LOW;
    s->slot[0].other = TIER_HIGH;
    s->slot[0].weight = 40;
    strcpy(s->slot[0].label, "a record with a label, 1st one");
    strcpy(s->text_a, "the text that is compared, A..");
}

static NOINLINE uint32_t run(struct state *s, uint32_t rounds)
{
    int32_t a = 0, b = 0, c = 0;
    enum tier t = TIER_MID;
    setup(s);
    for (uint32_t n = 1; n <= rounds; n++) {
        s->flag = s->key_a == 'A';
        s->key_b = 'B';
        s->rounds_seen++;
        a = 2;
        b = 3;
        strcpy(s->text_b, "the text that is compared, B..");
        t = TIER_MID;
        s->flag = !text_is_later(s->text_a, s->text_b, s);
        while (a < b) {
            c = 5 * a - b;
            add_offset(a, b, &c);
            a++;
        }
        fill_arrays(s, s->line, s->grid, a, (int32_t)(c + (n & 63)));
        rebuild(s->head, s);
        for (char k = 'A'; k <= s->key_b; k++)
            if (t == (letters_differ(k, 'C', s) ? TIER_NONE : TIER_MID)) {
                pick_tier(TIER_LOW, &t, s->line[8]);
                s->sum ^= n;
            }
        b = b * a;
        a = b / (c ? c : 1);
        b = 7 * (b - c) - a;
        s->sum = s->sum * 31 + (uint32_t)(a ^ b ^ c) + (uint32_t)s->slot[1].weight + s->flag;
    }
    for (unsigned i = 0; i < 48; i++)
        s->sum = s->sum * 33 + (uint32_t)s->line[i] + (uint32_t)s->grid[i][i];
    return s->sum ^ s->matches;
}

static uint32_t rounds;
static uint32_t result[RT_MAX_CPUS][RT_LINE / 4] ALIGNED(64);

static void copy(unsigned cpu, void *arg)
{
    (void)arg;
    result[cpu][0] = run(&states[cpu], rounds);
}

void guest_main(void)
{
    rounds = rt_param("loops", 800000);
    uint32_t got = run(&states[0], GOLDEN_ROUNDS);
    if (got != GOLDEN)
        rt_fail("checksum of %u rounds is %08x, not %08x", GOLDEN_ROUNDS, got, GOLDEN);
    uint64_t ns = rt_parallel_roi(copy, NULL);
    rt_printf("loops %u checksum %08x\n", rounds, result[0][0]);
    rt_metric("roi_ns", ns, "ns");
    rt_metric_rate("loops_per_s", (uint64_t)rounds * rt_ncpus(), ns, "1/s");
    for (unsigned i = 0; i < rt_ncpus(); i++) {
        if (result[i][0] != result[0][0])
            rt_fail("cpu %u has checksum %08x", i, result[i][0]);
        if (states[i].rounds_seen != rounds || (uint32_t)states[i].grid[8][7] != rounds)
            rt_fail("cpu %u counted %u rounds", i, states[i].rounds_seen);
    }
    rt_pass();
}
