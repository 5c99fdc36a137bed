/* lfstack.c — lock-free stack by LDREX/STREX whose few nodes come back soon.
 *
 * Forces: a store-exclusive that must fail although the head again holds the loaded value (A-B-A).
 *   Exclusives made of compare-and-swap corrupt this stack within milliseconds on two CPUs.
 * Parameters: ops=1000000 (rounds on each CPU: pop two, push both), nodes=8 (4..1024), strict=1 (0:
 *   corruption is reported as the metric and passes).
 * Metrics: roi_ns, ops_per_s (all CPUs together), corrupt (broken invariants seen).
 * Self-check: a popped node belongs to nobody else; at the end every node is on the stack exactly
 *   once.
 *
 * Corruption cannot hang it: rounds count attempts, and the first broken invariant stops all CPUs.
 */
#include "rt.h"

RT_GUEST("lfstack");

#define MAX_NODES 1024

struct node {
    struct node *volatile next;
    volatile uint32_t holder;
    volatile uint32_t on_stack;
    uint32_t pad[RT_LINE / 4 - 3];
};

static struct node *volatile head ALIGNED(64);
static volatile uint32_t stop ALIGNED(64);
static struct node nodes[MAX_NODES] ALIGNED(64);
static uint32_t ops, nnodes;
static struct {
    uint32_t corrupt, empty;
    uint32_t pad[RT_LINE / 4 - 2];
} stats[RT_MAX_CPUS] ALIGNED(64);

/* The load of next is between the exclusives: what makes the algorithm right is that STREX fails if
 * head was written in between, whatever it holds now. */
static inline struct node *pop(void)
{
    struct node *n, *next;
    uint32_t f;
    asm volatile("1: ldrex %0, [%3]\n\tcmp %0, #0\n\tbeq 2f\n\tldr %1, [%0]\n\tstrex %2, %1, [%3]\n\t"
                 "cmp %2, #0\n\tbne 1b\n2: dmb ish"
                 : "=&r"(n), "=&r"(next), "=&r"(f)
                 : "r"(&head)
                 : "cc", "memory");
    return n;
}

static inline void push(struct node *n)
{
    uint32_t cur, f;
    for (;;) {
        struct node *old = head;
        n->next = old;
        rt_dmb();
        asm volatile("ldrex %0, [%2]\n\tmov %1, #1\n\tcmp %0, %3\n\tbne 1f\n\tstrex %1, %4, [%2]\n1:"
                     : "=&r"(cur), "=&r"(f)
                     : "r"(&head), "r"(old), "r"(n)
                     : "cc", "memory");
        if (!f)
            return;
    }
}

static bool claim(struct node *n, unsigned cpu)
{
    bool ok = n->holder == 0;
    n->holder = cpu + 1;
    return ok;
}

static bool give_back(struct node *n, unsigned cpu)
{
    bool ok = n->holder == cpu + 1;
    n->holder = 0;
    rt_dmb();
    push(n);
    return ok;
}

static void work(unsigned cpu, void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < ops && !stop; i++) {
        bool ok = true;
        struct node *a = pop(), *b;
        if (!a) {
            stats[cpu].empty++;
            continue;
        }
        ok &= claim(a, cpu);
        b = pop();
        if (b)
            ok &= claim(b, cpu);
        ok &= give_back(a, cpu);
        if (b)
            ok &= give_back(b, cpu);
        if (!ok) {
            stats[cpu].corrupt++;
            stop = 1;
        }
    }
}

void guest_main(void)
{
    uint32_t corrupt = 0, empty = 0, found = 0;
    ops = rt_param("ops", 1000000);
    nnodes = rt_param("nodes", 8);
    uint32_t strict = rt_param("strict", 1);
    if (nnodes < 4 || nnodes > MAX_NODES)
        rt_fail("nodes must be 4..%u", MAX_NODES);
    for (uint32_t i = 0; i < nnodes; i++)
        push(&nodes[i]);
    uint64_t ns = rt_parallel_roi(work, NULL);

    for (struct node *n = head; n && found <= nnodes; n = n->next) {
        found++;
        if (n->on_stack)
            break;
        n->on_stack = 1;
    }
    corrupt += found != nnodes;
    for (uint32_t i = 0; i < nnodes; i++)
        corrupt += !nodes[i].on_stack;
    for (unsigned c = 0; c < rt_ncpus(); c++) {
        corrupt += stats[c].corrupt;
        empty += stats[c].empty;
    }
    rt_printf("ops %u nodes %u\n", ops, nnodes);
    rt_metric("roi_ns", ns, "ns");
    rt_metric_rate("ops_per_s", (uint64_t)ops * rt_ncpus(), ns, "1/s");
    rt_metric("found_empty", empty, "1");
    rt_metric("corrupt", corrupt, "1");
    if (corrupt && strict)
        rt_fail("the stack is corrupt");
    rt_pass();
}
