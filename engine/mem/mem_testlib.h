/*
 * mem_testlib.h — RAM and vCPUs for tests, and fake page tables for those of engine/mem
 *
 * Fakes stand for the layers above: walks come from an array, aborts are recorded and leave, stores to code are
 * counted. They are weak: in tests that link the whole program the real ones count.
 */
#ifndef ENGINE_MEM_MEM_TESTLIB_H
#define ENGINE_MEM_MEM_TESTLIB_H

#include "engine/mem/tlb.h"

enum { PTE_R = 1, PTE_W = 2, PTE_X = 4, PTE_GLOBAL = 8, PTE_DEVICE = 16, PTE_RWX = 7 };

/* Map the pages of [va, va + bytes) in a mode; pte 0: unmapped. */
void fake_map(unsigned mode, gva va, uint32_t bytes, gpa pa, unsigned pte, unsigned shift, unsigned domain);
void fake_map_both(gva va, uint32_t bytes, gpa pa, unsigned pte);

struct fake_abort {
    enum { ABORT_NONE, ABORT_DATA, ABORT_PREFETCH, ABORT_ALIGNMENT, ABORT_EXTERNAL } kind;
    gva va;
    bool write;
    uint32_t fsr;
};
extern struct fake_abort fake_abort;

/* Run an expression; afterwards fake_abort says whether it left. */
#define TRY(v, expr)                          \
 do {                                         \
  memset(&fake_abort, 0, sizeof(fake_abort)); \
  if (!setjmp((v)->leave))                    \
   (void)(expr);                              \
 } while (0)

/* Stores that were noticed: done and recorded under the lock. */
struct fake_watch {
    pthread_mutex_t lock;
    unsigned n;    /* guarded by lock */
    uint32_t last; /* low word of the last one; guarded by lock */
};
void fake_watch_saw(struct fake_watch *w, const void *val, size_t bytes); /* lock held */
extern struct fake_watch fake_code;

extern _Atomic unsigned fake_code_stores, fake_code_kills; /* calls of tb_store_code with and without a value */

/* A machine with RAM at 0x80000000, an alias of its first MiB at 0, and vCPUs in System mode with the MMU off, of which the
 * first is current. */
#define TEST_RAM       UINT64_C(0x80000000)
#define TEST_RAM_BYTES (2u << 20)
void test_machine(unsigned cpus, uint64_t ram_bytes);
/* The same with two vCPUs, and the first 64 KiB of RAM mapped at TEST_VA with all rights in both modes. Returns the first vCPU. */
#define TEST_VA 0x00400000u
struct vcpu *test_machine_mapped(void);
void test_machine_free(void);
int test_machine_teardown(void **state); /* the same for cmocka */

/* An instruction fetch of v in its present mode, which must be allowed. */
void fake_fetch(struct vcpu *v, gva va);
void fake_set_dacr(struct vcpu *v, uint32_t dacr);

/* Fails the test unless the flat tables of every vCPU are what its TLB says. */
void tlb_consistent(void);

/* A device that reads as 0 and counts who touches it. */
extern const struct mmio_ops test_device;
extern unsigned test_device_touched;

#endif
