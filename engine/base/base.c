/*
 * base.c — errors, failed checks, time
 */
#include "engine/base/base.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void (*check_failed_hook)(void);

void check_failed(const char *file, int line, const char *cond, const char *fmt, ...)
{
    /* The hook looks at a state that is known to be broken: if it fails a check too, or another thread fails
     * one meanwhile, do not go in again. */
    static _Atomic bool hook_taken;
    va_list ap;

    char text[1024];
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fprintf(stderr, "dbtlab: internal error at %s:%d: %s (failed: %s)\n", file, line, text, cond);
    fflush(stderr);
    if (check_failed_hook && !atomic_exchange_explicit(&hook_taken, true, memory_order_relaxed))
        check_failed_hook();
    abort();
}

void error_set(struct error *e, int exit_code, const char *fmt, ...)
{
    if (e->exit_code)
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    e->exit_code = exit_code;
}

uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

#ifdef __SANITIZE_THREAD__
/* liburcu is not instrumented; what its grace periods order is said in sync/rcu.c. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "called_from_lib:liburcu-qsbr.so\ncalled_from_lib:liburcu-cds.so\n";
}
#endif
