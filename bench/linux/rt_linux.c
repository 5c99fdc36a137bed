/* rt_linux.c — the guests' runtime under Linux: the same guest programs as user processes, by system calls alone.
 *
 * One CPU, no exceptions, no machine: what rt.h has of those is not there, and a guest that needs it does not link.
 * Parameters are the words of the command line.
 */
#include "rt_linux.h"

static char out[512];
static unsigned out_used;

long sys_call(long number, long a, long b, long c, long d)
{
    register long r7 asm("r7") = number;
    register long r0 asm("r0") = a;
    register long r1 asm("r1") = b;
    register long r2 asm("r2") = c;
    register long r3 asm("r3") = d;
    asm volatile("svc 0" : "+r"(r0) : "r"(r7), "r"(r1), "r"(r2), "r"(r3) : "memory");
    return r0;
}

uint64_t sys_now_ns(void)
{
    int64_t now[2] = {0, 0}; /* struct __kernel_timespec */
    sys_call(SYS_CLOCK_GETTIME64, 1, (long)now, 0, 0);
    return (uint64_t)now[0] * 1000000000u + (uint64_t)now[1];
}

static void flush(void)
{
    for (unsigned done = 0; done < out_used;) {
        long n = sys_call(SYS_WRITE, 1, (long)(out + done), (long)(out_used - done), 0);
        if (n <= 0)
            break;
        done += (unsigned)n;
    }
    out_used = 0;
}

void rt_putc(char c)
{
    out[out_used++] = c;
    if (c == '\n' || out_used == sizeof(out))
        flush();
}

void rt_exit(int code)
{
    flush();
    for (;;)
        sys_call(SYS_EXIT_GROUP, code, 0, 0, 0);
}

unsigned rt_ncpus(void)
{
    return 1;
}

uint64_t rt_parallel_roi(void (*fn)(unsigned cpu, void *arg), void *arg)
{
    uint64_t begin = sys_now_ns();
    fn(0, arg);
    return sys_now_ns() - begin;
}

/* What libgcc calls on a division by zero. */
int raise(int signal);
int raise(int signal)
{
    rt_fail("signal %d", signal);
}

char **sys_argv, **sys_envp;

/* The stack as the kernel leaves it: argc, argv.., 0, envp... */
__attribute__((used)) static void begin(uint32_t *sp)
{
    sys_argv = (char **)(sp + 1);
    sys_envp = sys_argv + sp[0] + 1;
    size_t n = 0;
    for (char **a = sys_argv + 1; sp[0] && *a; a++) {
        size_t len = strlen(*a);
        if (n + len + 2 > RT_CMDLINE)
            rt_fail("too many parameters");
        memcpy(rt_cmdline + n, *a, len);
        n += len;
        rt_cmdline[n++] = ' ';
    }
    guest_main();
    rt_exit(0);
}

__attribute__((naked, noreturn)) void _start(void);
void _start(void)
{
    asm("mov r0, sp\n\tbic sp, sp, #7\n\tb begin");
}
