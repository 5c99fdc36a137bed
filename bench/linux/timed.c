/* timed.c — runs copies of a program and says on the console when they begin and when the last has ended.
 *
 *   timed COPIES OUTPUT PROGRAM [ARGUMENT...]     standard output of copy N goes to OUTPUT.N
 *
 * The host takes the times at which the two "#! mark" lines come out of the serial port, so that no side's clock is
 * trusted; the guest's own time between them is printed too. Exit code: 0, or the first other one of a copy.
 */
#include "rt_linux.h"

RT_GUEST("timed");

#define TCSBRK     0x5409 /* with 1: wait until everything is written (tcdrain) */
#define MAX_COPIES 8

static void copy(unsigned n)
{
    static char name[256];
    size_t len = strlen(sys_argv[2]);
    if (len + 3 > sizeof(name))
        rt_fail("the name of the output is too long");
    strcpy(name, sys_argv[2]);
    name[len] = '.';
    name[len + 1] = (char)('0' + n);
    long fd = sys_call(SYS_OPEN, (long)name, 01 | 0100 | 01000, 0644, 0); /* O_WRONLY, O_CREAT, O_TRUNC */
    if (fd < 0)
        rt_fail("cannot write %s: error %d", name, (int)-fd);
    sys_call(SYS_DUP2, fd, 1, 0, 0);
    long error = sys_call(SYS_EXECVE, (long)sys_argv[3], (long)(sys_argv + 3), (long)sys_envp, 0);
    rt_fail("cannot run %s: error %d", sys_argv[3], (int)-error);
}

void guest_main(void)
{
    unsigned copies = sys_argv[1] ? (unsigned)(sys_argv[1][0] - '0') : 0;
    if (copies < 1 || copies > MAX_COPIES || sys_argv[1][1] || !sys_argv[2] || !sys_argv[3])
        rt_fail("usage: timed COPIES OUTPUT PROGRAM [ARGUMENT...]");
    rt_printf("#! mark begin\n");
    sys_call(SYS_IOCTL, 1, TCSBRK, 1, 0); /* no terminal: an error, nobody waits */
    uint64_t begin = sys_now_ns();
    for (unsigned n = 0; n < copies; n++) {
        long pid = sys_call(SYS_FORK, 0, 0, 0, 0);
        if (pid < 0)
            rt_fail("cannot fork: error %d", (int)-pid);
        if (pid == 0)
            copy(n);
    }
    int code = 0;
    for (unsigned n = 0; n < copies; n++) {
        int status = 0;
        sys_call(SYS_WAIT4, -1, (long)&status, 0, 0);
        if (status && !code)
            code = status & 0x7f ? 128 + (status & 0x7f) : status >> 8 & 0xff;
    }
    uint64_t end = sys_now_ns();
    rt_printf("#! mark end\n");
    rt_metric("guest", end - begin, "ns");
    rt_exit(code);
}
