/* rt_linux.h — what rt_linux.c adds to rt.h for programs that know they run under Linux (ARM EABI system calls). */
#ifndef RT_LINUX_H
#define RT_LINUX_H

#include "rt.h"

enum {
    SYS_FORK = 2,
    SYS_WRITE = 4,
    SYS_OPEN = 5,
    SYS_EXECVE = 11,
    SYS_IOCTL = 54,
    SYS_DUP2 = 63,
    SYS_WAIT4 = 114,
    SYS_EXIT_GROUP = 248,
    SYS_CLOCK_GETTIME64 = 403,
};

/* The kernel's result: negative is -errno. */
long sys_call(long number, long a, long b, long c, long d);
/* CLOCK_MONOTONIC of the guest. */
uint64_t sys_now_ns(void);

extern char **sys_argv, **sys_envp; /* as main() has them */

#endif
