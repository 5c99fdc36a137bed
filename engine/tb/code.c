/*
 * code.c — code memory: mapped twice, reserved, committed, recycled by chunks
 */
#include "engine/tb/code.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/tb/tb.h"

static uint8_t *view_rw, *view_rx; /* const after LAUNCH */
static size_t total;

bool code_memory_init(size_t bytes, struct error *e)
{
    total = ALIGN_UP(bytes + CODE_STUB_BYTES, (size_t)4096);
    int fd = memfd_create("dbtlab-code", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)total) < 0) {
        error_set(e, 1, "cannot make %zu MiB of code memory: %s", total >> 20, strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    view_rw = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    view_rx = mmap(NULL, total, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_NORESERVE, fd, 0);
    int err = errno;
    close(fd);
    if (view_rw == MAP_FAILED || view_rx == MAP_FAILED) {
        error_set(e, 1, "cannot map %zu MiB of code memory: %s", total >> 20, strerror(err));
        return false;
    }
    return true;
}

void code_memory_free(void)
{
    if (view_rw)
        munmap(view_rw, total);
    if (view_rx)
        munmap(view_rx, total);
    view_rw = view_rx = NULL;
}

struct code_span code_stub_space(void)
{
    return (struct code_span){view_rw, view_rx, CODE_STUB_BYTES};
}

bool code_is_ours(uint64_t host_pc)
{
    return view_rx && host_pc - (uintptr_t)view_rx < total;
}

void code_pool_init(struct code_pool *p, unsigned i, unsigned n, unsigned nchunks)
{
    size_t share = (total - CODE_STUB_BYTES) / n & ~(size_t)4095;
    size_t size = share / nchunks & ~(size_t)63;
    mutex_init(&p->lock, RANK_CODE);
    p->chunk = calloc(nchunks, sizeof *p->chunk);
    CHECK(p->chunk, "out of memory");
    p->nchunks = nchunks;
    for (unsigned c = 0; c < nchunks; c++)
        p->chunk[c] = (struct code_chunk){
            .pool = p, .begin = CODE_STUB_BYTES + i * share + c * size, .size = size, .state = CHUNK_FREE};
    p->current = NULL;
    p->serial = 0;
    p->used_bytes = p->peak_bytes = 0;
}

void code_pool_free(struct code_pool *p)
{
    free(p->chunk);
    p->chunk = NULL;
}

static struct code_chunk *next_free(struct code_pool *p)
{
    for (unsigned c = 0; c < p->nchunks; c++)
        if (p->chunk[c].state == CHUNK_FREE)
            return &p->chunk[c];
    return NULL;
}

struct code_span code_pool_reserve(struct code_pool *p, size_t bytes)
{
    struct code_span s = {NULL, NULL, 0};
    bytes = ALIGN_UP(bytes, (size_t)16);
    mutex_lock(&p->lock);
    struct code_chunk *c = p->current;
    if (!c || c->size - c->fill < bytes) {
        struct code_chunk *fresh = next_free(p);
        if (fresh && fresh->size >= bytes) {
            if (c)
                c->state = CHUNK_FULL;
            c = p->current = fresh;
            c->state = CHUNK_FILLING;
            c->fill = 0;
            c->serial = ++p->serial;
        } else {
            c = NULL;
        }
    }
    if (c)
        s = (struct code_span){view_rw + c->begin + c->fill, view_rx + c->begin + c->fill, c->size - c->fill};
    mutex_unlock(&p->lock);
    return s;
}

void code_pool_commit(struct code_pool *p, const struct code_span *s, size_t used, struct tb *tb)
{
    if (!used)
        return;
    mutex_lock(&p->lock);
    struct code_chunk *c = p->current;
    CHECK(c && s->rw == view_rw + c->begin + c->fill, "commit of a span that is not the last one reserved");
    used = ALIGN_UP(used, (size_t)16);
    c->fill += used;
    p->used_bytes += used;
    if (p->used_bytes > p->peak_bytes)
        p->peak_bytes = p->used_bytes;
    tb->chunk = c;
    tb->code_bytes = used;
    tb->chunk_next = c->blocks;
    tb->chunk_prev = &c->blocks;
    if (c->blocks)
        c->blocks->chunk_prev = &tb->chunk_next;
    c->blocks = tb;
    mutex_unlock(&p->lock);
}

void code_pool_forget(struct tb *tb)
{
    struct code_chunk *c = tb->chunk;
    if (!c)
        return;
    mutex_lock(&c->pool->lock);
    if (tb->chunk_prev) {
        *tb->chunk_prev = tb->chunk_next;
        if (tb->chunk_next)
            tb->chunk_next->chunk_prev = tb->chunk_prev;
        tb->chunk_prev = NULL;
        c->pool->used_bytes -= tb->code_bytes;
    }
    mutex_unlock(&c->pool->lock);
}

void code_pool_each(const struct code_pool *p, void (*fn)(struct tb *tb))
{
    for (unsigned c = 0; c < p->nchunks; c++)
        for (struct tb *tb = p->chunk[c].blocks; tb; tb = tb->chunk_next)
            fn(tb);
}

void code_pool_reset(struct code_pool *p, void (*fn)(struct tb *tb))
{
    /* Without the lock: vCPUs stand still, and a device that kills a block is kept out (tb/invalidate.c). */
    for (unsigned c = 0; c < p->nchunks; c++) {
        struct code_chunk *chunk = &p->chunk[c];
        for (struct tb *tb = chunk->blocks, *next; tb; tb = next) {
            next = tb->chunk_next;
            tb->chunk_prev = NULL;
            fn(tb);
        }
        chunk->blocks = NULL;
    }
    mutex_lock(&p->lock); /* the callbacks of grace periods change states */
    for (unsigned c = 0; c < p->nchunks; c++) {
        /* A chunk whose grace period runs is given back by its callback, not here. */
        if (p->chunk[c].state == CHUNK_RETIRING)
            continue;
        p->chunk[c].state = CHUNK_FREE;
        p->chunk[c].fill = 0;
    }
    p->current = NULL;
    p->used_bytes = 0;
    mutex_unlock(&p->lock);
}
