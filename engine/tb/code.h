/*
 * code.h — code memory: mapped twice, reserved, committed, recycled by chunks
 *
 * One reservation for the whole process, so that any block reaches any other and the stubs by rel32. The executable
 * view is never writable and the writable one never executable; no protection changes while vCPUs run.
 * A pool is a set of chunks; blocks are cut from the current chunk by a bump of its fill mark. Pools belong to a
 * tb-cache scheme (one shared, or one a vCPU); when a chunk may be filled again is the tb-lifetime scheme's decision.
 */
#ifndef ENGINE_TB_CODE_H
#define ENGINE_TB_CODE_H

#include "engine/sync/lock.h"
#include "engine/x64/x64.h"

struct tb;

struct code_chunk {
    struct code_pool *pool;
    size_t begin, size;                                                   /* offsets in code memory */
    size_t fill;                                                          /* guarded by pool lock */
    enum { CHUNK_FREE, CHUNK_FILLING, CHUNK_FULL, CHUNK_RETIRING } state; /* guarded by pool lock */
    struct tb *blocks; /* living blocks in it; guarded by pool lock */
    struct code_chunk *next;
    uint64_t serial; /* order of filling; guarded by pool lock */
};

struct code_pool {
    struct mutex lock;
    struct code_chunk *chunk; /* array */
    unsigned nchunks;
    struct code_chunk *current;    /* guarded by lock */
    uint64_t serial;               /* guarded by lock */
    size_t used_bytes, peak_bytes; /* guarded by lock */
};

/* LAUNCH. bytes: --code-memory. */
bool code_memory_init(size_t bytes, struct error *e);
void code_memory_free(void);
/* First bytes of code memory, for x64's stubs. */
struct code_span code_stub_space(void);
#define CODE_STUB_BYTES (256 * 1024)

/* LAUNCH. Give pool the share i of n of code memory, cut into chunks. */
void code_pool_init(struct code_pool *p, unsigned i, unsigned n, unsigned nchunks);
void code_pool_free(struct code_pool *p);

/* A span of at least `bytes`, in the current chunk or the next free one; empty when there is none. Between reserve and
 * commit no other reservation is made from this pool (the unified cache's generate lock, or the owner's thread). */
struct code_span code_pool_reserve(struct code_pool *p, size_t bytes);
/* Keep `used` bytes of the span for tb (0: give all back). */
void code_pool_commit(struct code_pool *p, const struct code_span *s, size_t used, struct tb *tb);
void code_pool_forget(struct tb *tb); /* a dead block leaves its chunk's list */
/* QUIESCED, or no vCPU runs. fn for each living block of the pool, published or about to be; it may not kill any. */
void code_pool_each(const struct code_pool *p, void (*fn)(struct tb *tb));
/* QUIESCED: all chunks free. fn for each block that lived: it leaves its list before, and is fn's from then on. */
void code_pool_reset(struct code_pool *p, void (*fn)(struct tb *tb));
bool code_is_ours(uint64_t host_pc);

#endif
