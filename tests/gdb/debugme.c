/*
 * debugme.c — a guest to be debugged: recursion, floating point, a watched variable, hot loops, patched code, sleep
 *
 * Each CPU does all of it, in step with the others. What it prints does not depend on who looks on.
 * Parameters: spin=1: loop, and then sleep, until a debugger sets go_on and then wake_up.
 */
#include "rt.h"

RT_GUEST("debugme");

volatile uint32_t watched, read_me, go_on, wake_up;
volatile uint32_t hot_calls[RT_MAX_CPUS], results[RT_MAX_CPUS];
volatile double products[RT_MAX_CPUS];

/* r0 = the number in its first instruction: patched before each call. */
extern uint32_t patched_code[];
asm(".text\n .arm\n .balign 4\n .global patched\n .type patched, %function\n"
    "patched:\n patched_code:\n mov r0, #1\n add r0, r0, #1\n bx lr\n .size patched, . - patched\n"
#ifdef __thumb__
    " .thumb\n"
#endif
);
uint32_t patched(void);

NOINLINE uint32_t factorial(uint32_t n)
{
    if (n < 2)
        return 1;
    return n * factorial(n - 1);
}

NOINLINE double product(double a, double b)
{
    double x = a * b;
    return x + 0.5;
}

NOINLINE void hot(unsigned cpu)
{
    hot_calls[cpu]++;
}

NOINLINE void write_watched(uint32_t x)
{
    watched = x;
}

NOINLINE uint32_t read_it(void)
{
    return read_me + 1;
}

NOINLINE void spin(void)
{
    while (!go_on)
        hot(rt_cpu());
}

NOINLINE void doze(void)
{
    while (!wake_up)
        rt_sleep_ns(20000000);
}

NOINLINE void steps(unsigned cpu)
{
    uint32_t x = cpu + 1;
    x = x * 3;
    x = factorial(x);
    results[cpu] += x;
}

static void vfp_on(void)
{
    RT_MCR(0, c1, c0, 2, RT_MRC(0, c1, c0, 2) | 0xf << 20);
    rt_isb();
    asm volatile("vmsr fpexc, %0" ::"r"(1 << 30));
}

static void patch(uint32_t n)
{
    patched_code[0] = 0xe3a00000 | n; /* mov r0, #n */
    rt_sync_code(patched_code, 4);
}

static void work(unsigned cpu, void *arg)
{
    (void)arg;
    vfp_on();
    rt_barrier();
    results[cpu] = factorial(5 + cpu);
    products[cpu] = product(cpu + 1.5, 2.0);
    rt_barrier();
    steps(cpu);
    rt_barrier();
    for (uint32_t i = 1; i <= 3 && cpu == rt_ncpus() - 1; i++)
        write_watched(i * 0x10);
    results[cpu] += read_it();
    rt_barrier();
    for (unsigned i = 0; i < 20000; i++)
        hot(cpu);
    rt_barrier();
    if (rt_param("spin", 0))
        spin();
    rt_barrier();
    for (uint32_t i = 0; i < 8; i++) {
        if (cpu == 0)
            patch(i * 3);
        rt_barrier();
        asm volatile("isb");
        results[cpu] += patched();
        rt_barrier();
    }
    if (rt_param("spin", 0))
        doze();
}

void guest_main(void)
{
    rt_parallel(work, NULL);
    for (unsigned cpu = 0; cpu < rt_ncpus(); cpu++)
        rt_printf("cpu %u: result %u, product %u halves\n", cpu, results[cpu], (uint32_t)(2 * products[cpu]));
    rt_printf("watched %x\n", watched);
    rt_pass();
}
