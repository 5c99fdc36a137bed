/*
 * base.h — integers, bits, checks: what every file of the engine may use
 *
 * Bottom layer: knows no thread, no guest, no strategy.
 */
#ifndef ENGINE_BASE_BASE_H
#define ENGINE_BASE_BASE_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The three kinds of address. They are plain integers so that arithmetic stays readable; the names
 * say which space a number lives in. */
typedef uint32_t gva; /* guest virtual address */
typedef uint64_t gpa; /* guest physical address: 40 bits with LPAE */

#define ARRAY_SIZE(a)                 (sizeof(a) / sizeof((a)[0]))
#define container_of(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))
#define BIT(n)                        (UINT32_C(1) << (n))
#define LIKELY(x)                     __builtin_expect(!!(x), 1)
#define UNLIKELY(x)                   __builtin_expect(!!(x), 0)
#define ALIGN_UP(x, a)                (((x) + (a)-1) & ~((__typeof__(x))(a)-1))
#define CACHE_LINE                    64
#define CACHE_ALIGNED                 __attribute__((aligned(CACHE_LINE)))
#define ALWAYS_INLINE                 static inline __attribute__((always_inline))
#define NORETURN                      __attribute__((noreturn))
#define PRINTF_LIKE(fmt, args)        __attribute__((format(printf, fmt, args)))

static inline uint32_t bits(uint32_t x, unsigned hi, unsigned lo)
{
    return (x >> lo) & (uint32_t)((UINT64_C(1) << (hi - lo + 1)) - 1);
}

static inline uint32_t bit(uint32_t x, unsigned n)
{
    return (x >> n) & 1;
}

/* Sign-extend the low n bits of x, 1 <= n <= 32. */
static inline int32_t sext(uint32_t x, unsigned n)
{
    return (int32_t)(x << (32 - n)) >> (32 - n);
}

static inline uint32_t ror32(uint32_t x, unsigned n)
{
    n &= 31;
    return n ? (x >> n) | (x << (32 - n)) : x;
}

/* An invariant of ours is broken: print where, what the launch looked like and what the vCPUs were
 * doing, and abort. On in every build: the build that is measured is the one that must be right. */
#define CHECK(cond, ...)                                 \
 do {                                                    \
  if (UNLIKELY(!(cond)))                                 \
   check_failed(__FILE__, __LINE__, #cond, __VA_ARGS__); \
 } while (0)

/* For checks that are too dear for the measured build; on in dbg, asan, ubsan and tsan builds. */
#ifdef DBT_DCHECK
# define DCHECK(cond, ...) CHECK(cond, __VA_ARGS__)
#else
# define DCHECK(cond, ...) \
  do {                     \
  } while (0)
#endif

NORETURN void check_failed(const char *file, int line, const char *cond, const char *fmt, ...) PRINTF_LIKE(4, 5);

/* Called by check_failed before abort, to print strategies, vCPU state, recent events. One hook;
 * set by engine/main at launch. */
extern void (*check_failed_hook)(void);

/* A user's error: filled where it is found, reported once at the top (engine/main), exit 2 for
 * usage and 1 for the rest. The first error set stays. */
struct error {
    int exit_code; /* 0: no error yet */
    char text[512];
};

void error_set(struct error *e, int exit_code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Monotonic host time in nanoseconds. */
uint64_t now_ns(void);

#endif
