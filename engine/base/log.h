/*
 * log.h — run-time log categories (--log=tb,inval,...) and the guest's own errors
 */
#ifndef ENGINE_BASE_LOG_H
#define ENGINE_BASE_LOG_H

#include "engine/base/base.h"

/* One row per category: name as typed, what it shows. */
#define LOG_CATEGORIES(X)                                                     \
 X(TB, "tb", "translation, insertion and chaining of blocks")                 \
 X(INVAL, "inval", "invalidations, flushes and safe work")                    \
 X(EXCL, "excl", "exclusive monitor: load-links, store-conditionals, breaks") \
 X(MMU, "mmu", "page walks, TLB fills and flushes, aborts")                   \
 X(IRQ, "irq", "interrupts and exceptions")                                   \
 X(DEV, "dev", "device accesses that a driver should not make")

enum log_bit {
#define X(id, name, help) LOG_BIT_##id,
    LOG_CATEGORIES(X)
#undef X
};

extern uint32_t log_mask; /* const after LAUNCH; bits are 1 << enum log_bit */

#define log_on(id) UNLIKELY(log_mask &BIT(LOG_BIT_##id))
#define dlog(id, ...)          \
 do {                          \
  if (log_on(id))              \
   log_line(#id, __VA_ARGS__); \
 } while (0)

/* One whole line to stderr, any thread. */
void log_line(const char *category, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The guest did something that no program for this machine should do. Never ends the process;
 * printed once per call site to stderr with the prefix "guest:". */
#define guest_error(...)                                            \
 do {                                                               \
  static _Atomic bool said;                                         \
  if (!atomic_exchange_explicit(&said, true, memory_order_relaxed)) \
   log_line("guest", __VA_ARGS__);                                  \
 } while (0)

/* Parse "tb,inval" or "all" into log_mask; an unknown name fills e with the choices. */
bool log_parse(const char *list, struct error *e);

#include <stdatomic.h>
#endif
