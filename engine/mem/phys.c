/*
 * phys.c — the guest physical map: RAM banks, their aliases, devices, and the state word of each frame
 *
 * A two-level table finds the region of a 40-bit address: one 16-bit entry for each MiB, and for MiBs that
 * are not all one region a second table of 256 pages. An alias is a region of its own whose host pointer,
 * canonical address and state words are those of its target; so resolving it costs nothing later.
 *
 * RAM is anonymous memory that the host may back with large pages, reserved but not committed.
 *
 * H1: two guest physical addresses of one byte give the same host pointer, the same canonical address and
 *     the same state word.
 * All tables are const after LAUNCH; the state words and RAM itself are shared by all threads.
 */
#include "engine/mem/mem.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "engine/base/log.h"
#include "engine/mem/softmmu.h"
#include "strategies/atomics/atomics.h"

#define PA_BITS      40
#define MIB_BITS     20
#define MIBS         (1u << (PA_BITS - MIB_BITS))
#define PAGES_OF_MIB (1u << (MIB_BITS - GUEST_PAGE_BITS))
#define MAX_REGIONS  256
#define MAX_SPLIT    256
#define SPLIT        0x8000u /* in top[]: index of a second table */

enum kind { NOTHING, RAM, ALIAS, DEVICE };

struct region {
    enum kind kind;
    gpa base;
    uint64_t bytes;
    const char *name;
    /* RAM and aliases, of the first byte */
    uint8_t *host;
    gpa canon;
    _Atomic uint32_t *state;
    /* devices */
    const struct mmio_ops *ops;
    void *dev;
};

/* const after LAUNCH; regions[0] is NOTHING */
static struct region regions[MAX_REGIONS];
static unsigned nregions = 1;
static uint16_t top[MIBS];
static uint16_t split[MAX_SPLIT][PAGES_OF_MIB];
static unsigned nsplit;
static uint64_t ram_bytes;

/* -- Building ------------------------------------------------------------------------------------ */

static uint16_t *page_slot(gpa pa)
{
    uint16_t *t = &top[pa >> MIB_BITS];
    if (!(*t & SPLIT)) {
        CHECK(nsplit < MAX_SPLIT, "too many MiBs with devices");
        for (unsigned i = 0; i < PAGES_OF_MIB; i++)
            split[nsplit][i] = *t;
        *t = (uint16_t)(SPLIT | nsplit++);
    }
    return &split[*t & ~SPLIT][(pa >> GUEST_PAGE_BITS) % PAGES_OF_MIB];
}

static struct region *new_region(enum kind kind, gpa base, uint64_t bytes, const char *name)
{
    CHECK(nregions < MAX_REGIONS, "too many memory regions");
    CHECK(bytes && !(base % GUEST_PAGE_SIZE) && base < (UINT64_C(1) << PA_BITS) &&
              bytes <= (UINT64_C(1) << PA_BITS) - base,
          "region %s at %#" PRIx64 "+%#" PRIx64, name, base, bytes);
    unsigned n = nregions++;
    regions[n] = (struct region){.kind = kind, .base = base, .bytes = bytes, .name = name};

    gpa end = ALIGN_UP(base + bytes, GUEST_PAGE_SIZE);
    for (gpa a = base; a < end;) {
        bool whole = !(a % (1u << MIB_BITS)) && end - a >= (1u << MIB_BITS);
        uint16_t *slot = whole && !top[a >> MIB_BITS] ? &top[a >> MIB_BITS] : page_slot(a);
        CHECK(*slot == 0, "regions %s and %s overlap at %#" PRIx64, name, regions[*slot].name, a);
        *slot = (uint16_t)n;
        a += slot == &top[a >> MIB_BITS] ? 1u << MIB_BITS : GUEST_PAGE_SIZE;
    }
    return &regions[n];
}

static inline const struct region *find(gpa pa)
{
    if (UNLIKELY(pa >> PA_BITS))
        return &regions[0];
    unsigned t = top[pa >> MIB_BITS];
    if (t & SPLIT)
        t = split[t & ~SPLIT][(pa >> GUEST_PAGE_BITS) % PAGES_OF_MIB];
    const struct region *r = &regions[t];
    /* A device may end inside its last page. */
    return pa - r->base < r->bytes ? r : &regions[0];
}

static inline bool is_ram(const struct region *r)
{
    return r->kind == RAM || r->kind == ALIAS;
}

bool mem_add_ram(gpa base, uint64_t bytes, struct error *e)
{
    CHECK(!(bytes % GUEST_PAGE_SIZE), "RAM of %#" PRIx64 " bytes", bytes);
    void *host = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    size_t state_bytes = (bytes >> GUEST_PAGE_BITS) * sizeof(uint32_t);
    void *state = mmap(NULL, state_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (host == MAP_FAILED || state == MAP_FAILED) {
        if (host != MAP_FAILED)
            munmap(host, bytes);
        if (state != MAP_FAILED)
            munmap(state, state_bytes);
        error_set(e, 1, "the host cannot give %" PRIu64 " MiB of memory for the guest's RAM", bytes >> 20);
        return false;
    }
    madvise(host, bytes, MADV_HUGEPAGE); /* only a wish */
    struct region *r = new_region(RAM, base, bytes, "ram");
    r->host = host;
    r->state = state;
    r->canon = base;
    ram_bytes += bytes;
    return true;
}

void mem_add_alias(gpa base, uint64_t bytes, gpa target)
{
    const struct region *t = find(target);
    CHECK(is_ram(t) && target - t->base <= t->bytes - bytes && bytes <= t->bytes && !(target % GUEST_PAGE_SIZE),
          "alias of what is not RAM: %#" PRIx64, target);
    uint64_t off = target - t->base;
    struct region *r = new_region(ALIAS, base, bytes, "ram alias");
    r->host = t->host + off;
    r->canon = t->canon + off;
    r->state = t->state + (off >> GUEST_PAGE_BITS);
}

void mem_add_mmio(gpa base, uint64_t bytes, const struct mmio_ops *ops, void *dev, const char *name)
{
    struct region *r = new_region(DEVICE, base, bytes, name);
    r->ops = ops;
    r->dev = dev;
}

void mem_free_all(void)
{
    for (unsigned i = 1; i < nregions; i++) {
        if (regions[i].kind != RAM)
            continue;
        munmap(regions[i].host, regions[i].bytes);
        munmap(regions[i].state, (regions[i].bytes >> GUEST_PAGE_BITS) * sizeof(uint32_t));
    }
    memset(regions, 0, sizeof(regions));
    memset(top, 0, sizeof(top));
    nregions = 1;
    nsplit = 0;
    ram_bytes = 0;
}

/* -- Looking --------------------------------------------------------------------------------------- */

uint8_t *mem_ram_ptr(gpa pa, gpa *canonical)
{
    const struct region *r = find(pa);
    if (!is_ram(r))
        return NULL;
    if (canonical)
        *canonical = r->canon + (pa - r->base);
    return r->host + (pa - r->base);
}

_Atomic uint32_t *page_state(gpa canon)
{
    const struct region *r = find(canon);
    return is_ram(r) ? &r->state[(canon - r->base) >> GUEST_PAGE_BITS] : NULL;
}

uint64_t mem_ram_bytes(void)
{
    return ram_bytes;
}

static int by_base(const void *a, const void *b)
{
    const struct region *x = *(const struct region *const *)a, *y = *(const struct region *const *)b;
    return (x->base > y->base) - (x->base < y->base);
}

void mem_print_map(void (*line)(const char *text))
{
    const struct region *sorted[MAX_REGIONS];
    for (unsigned i = 1; i < nregions; i++)
        sorted[i - 1] = &regions[i];
    qsort(sorted, nregions - 1, sizeof(sorted[0]), by_base);
    for (unsigned i = 0; i + 1 < nregions; i++) {
        const struct region *r = sorted[i];
        char text[160], of[48] = "";
        if (r->kind == ALIAS)
            snprintf(of, sizeof(of), " of %010" PRIx64, r->canon);
        snprintf(text, sizeof(text), "%010" PRIx64 "-%010" PRIx64 " %s%s", r->base, r->base + r->bytes - 1, r->name,
                 of);
        line(text);
    }
}

/* -- Access from C ----------------------------------------------------------------------------------- */

/* A store to RAM by nobody's vCPU, within one frame. */
static void foreign_store(const struct region *r, gpa pa, const void *val, size_t bytes)
{
    uint64_t off = pa - r->base;
    uint8_t *host = r->host + off;
    gpa canon = r->canon + off;
    _Atomic uint32_t *state = &r->state[off >> GUEST_PAGE_BITS];
    uint32_t flags = atomic_load_explicit(state, memory_order_relaxed);

    if (flags & PAGE_CODE) {
        tb_store_code(NULL, canon, host, val, (unsigned)bytes);
        return;
    }
    if (atomics && atomics->store && ((flags & PAGE_EXCL) || atomics->watches_devices))
        atomics->store(NULL, canon, host, val, bytes);
    else
        host_store(host, val, bytes);
    /* A device cannot be made quiescent, so it stores first and looks afterwards; page_set_flag() sets CODE
     * before the code is read. Both are sequentially consistent: either the translator sees these bytes or
     * the flag is seen here. An RMW rather than a fence, which ThreadSanitizer would not understand. */
    if (atomic_fetch_or_explicit(state, 0, memory_order_seq_cst) & PAGE_CODE)
        tb_store_code(NULL, canon, host, NULL, (unsigned)bytes);
}

static size_t left_in_page(gpa pa, size_t bytes)
{
    size_t left = GUEST_PAGE_SIZE - (pa & (GUEST_PAGE_SIZE - 1));
    return bytes < left ? bytes : left;
}

static bool device_sized(gpa pa, size_t bytes)
{
    return (bytes == 1 || bytes == 2 || bytes == 4) && !(pa % bytes);
}

enum mem_result mem_read(gpa pa, void *buf, size_t bytes)
{
    for (uint8_t *to = buf; bytes;) {
        const struct region *r = find(pa);
        size_t n = left_in_page(pa, bytes);
        if (is_ram(r)) {
            host_load(to, r->host + (pa - r->base), n);
        } else {
            uint32_t val;
            if (!device_sized(pa, bytes) || mem_mmio_read(pa, (unsigned)n, -1, &val) != MEM_OK)
                return MEM_UNASSIGNED;
            memcpy(to, &val, n);
        }
        to += n;
        pa += n;
        bytes -= n;
    }
    return MEM_OK;
}

enum mem_result mem_write(gpa pa, const void *buf, size_t bytes)
{
    for (const uint8_t *from = buf; bytes;) {
        const struct region *r = find(pa);
        size_t n = left_in_page(pa, bytes);
        if (is_ram(r)) {
            foreign_store(r, pa, from, n);
        } else {
            uint32_t val = 0;
            if (!device_sized(pa, bytes))
                return MEM_UNASSIGNED;
            memcpy(&val, from, n);
            if (mem_mmio_write(pa, (unsigned)n, -1, val) != MEM_OK)
                return MEM_UNASSIGNED;
        }
        from += n;
        pa += n;
        bytes -= n;
    }
    return MEM_OK;
}

enum mem_result mem_mmio_read(gpa pa, unsigned size, int cpu, uint32_t *val)
{
    const struct region *r = find(pa);
    bool ok = false;
    if (r->kind == DEVICE && r->ops->read) {
        *val = 0;
        device_lock();
        ok = r->ops->read(r->dev, (uint32_t)(pa - r->base), size, cpu, val);
        device_unlock();
    }
    if (!ok)
        dlog(DEV, "cpu %d: read of %u bytes at %#" PRIx64 " (%s) refused", cpu, size, pa,
             r->name ? r->name : "nothing there");
    return ok ? MEM_OK : MEM_UNASSIGNED;
}

enum mem_result mem_mmio_write(gpa pa, unsigned size, int cpu, uint32_t val)
{
    const struct region *r = find(pa);
    bool ok = false;
    if (r->kind == DEVICE && r->ops->write) {
        device_lock();
        ok = r->ops->write(r->dev, (uint32_t)(pa - r->base), size, cpu, val);
        device_unlock();
    }
    if (!ok)
        dlog(DEV, "cpu %d: write of %#x, %u bytes, at %#" PRIx64 " (%s) refused", cpu, val, size, pa,
             r->name ? r->name : "nothing there");
    return ok ? MEM_OK : MEM_UNASSIGNED;
}
