/*
 * tlb.c — the C-side TLB: entries by page and by frame, filling of the flat tables, flushes
 *
 * T1: a non-zero word of a flat table belongs to exactly one live entry that has the IN_ bit.
 * T2: a jump cache entry for a pc in mode m was made while flat.exec[m] held pc's page, so whoever takes an exec
 *     entry away empties that page's part of the jump cache.
 *
 * T3: a vCPU in User mode has user_dacr == sys.dacr, and the flat tables of mode m hold no entry whose domain had other
 *     rights when it was walked than DACR (MMU_PRIV) or user_dacr (MMU_USER) now give. Entries outside of the flat
 *     tables may be older: they remember the rights.
 *
 * A kernel that keeps itself from user memory by DACR writes it at each entry, exit and copy from user space. So it is
 * the flat tables alone that a write empties, of filled entries in lists by domain, and those of User mode only
 * when they are next looked at: most often DACR then is what it was.
 *
 * TLB maintenance by address must reach all of a mapping larger than a page (ARM DDI 0406C B3.10.1): `large`
 * counts entries made from large pages and sections for each MiB, `huge` those from larger mappings; only
 * where they are not 0 does a flush by address look through the pools.
 */
#include "engine/mem/tlb.h"

#include "engine/mem/watch.h"

#include <sys/mman.h>

#define MAX_ENTRIES (1u << 17)
#define BUCKETS     8192u

struct pool {
    struct tlb_entry *e; /* MAX_ENTRIES reserved, n used */
    uint32_t n, free;    /* free: list of dead ones below n; index + 1 */
    uint32_t nfree;
    /* Heads of lists, index + 1. By domain only what is filled, doubly linked. */
    uint32_t by_domain[MMU_MODES][16];
    uint32_t by_page[BUCKETS], by_frame[BUCKETS];
};

enum { LOCAL, GLOBAL, POOLS };

struct softmmu {
    struct pool pool[POOLS];
    uint16_t large[4096]; /* by MiB of virtual address */
    uint32_t huge;
    uint32_t user_dacr; /* T3 */
};

static inline struct softmmu *of(struct vcpu *v)
{
    return v->tlb;
}

static inline uint32_t page_bucket(gva page, unsigned mode)
{
    return ((page >> 12) * 2 + mode) % BUCKETS;
}

static inline uint32_t frame_bucket(gpa frame)
{
    return (uint32_t)(frame >> 12) % BUCKETS;
}

/* Jump cache entries of one page: half of the cache may hold them. */
static void jc_clear_page(struct vcpu *v, unsigned mode, gva page)
{
    _Static_assert(GUEST_PAGE_SIZE / 2 % 64 == 0 && JC_ENTRIES % (GUEST_PAGE_SIZE / 2) == 0, "whole words a page");
    unsigned first = (page >> 1) % JC_ENTRIES / 64;
    for (unsigned w = first; w < first + GUEST_PAGE_SIZE / 2 / 64; w++)
        for (uint64_t set = v->jc_filled[mode][w]; set; set &= set - 1) {
            unsigned i = w * 64 + (unsigned)__builtin_ctzll(set);
            if ((atomic_load_explicit(&v->jc[mode][i].key, memory_order_relaxed) & GUEST_PAGE_MASK) == page)
                jc_drop(v, mode, i);
        }
}

/* -- Entries ------------------------------------------------------------------------------------------- */

static void count_size(struct softmmu *m, const struct tlb_entry *e, int by)
{
    if (e->shift > 20)
        m->huge += (uint32_t)by;
    else if (e->shift > 12)
        m->large[e->page >> 20] = (uint16_t)(m->large[e->page >> 20] + by);
}

static void unlink_frame(struct pool *p, struct tlb_entry *e)
{
    uint32_t id = (uint32_t)(e - p->e) + 1;
    uint32_t *at = &p->by_frame[frame_bucket(e->canon)];
    while (*at != id) {
        CHECK(*at, "store entry of page %#x not in its frame's list", e->page);
        at = &p->e[*at - 1].fnext;
    }
    *at = e->fnext;
}

static void link_domain(struct pool *p, struct tlb_entry *e)
{
    uint32_t id = (uint32_t)(e - p->e) + 1, *head = &p->by_domain[e->mode][e->domain];
    e->dnext = *head;
    e->dprev = 0;
    if (*head)
        p->e[*head - 1].dprev = id;
    *head = id;
}

static void unlink_domain(struct pool *p, struct tlb_entry *e)
{
    if (e->dnext)
        p->e[e->dnext - 1].dprev = e->dprev;
    if (e->dprev)
        p->e[e->dprev - 1].dnext = e->dnext;
    else
        p->by_domain[e->mode][e->domain] = e->dnext;
}

/* Take e out of the flat tables; of its lists too unless the caller empties all lists. */
static void unfill(struct vcpu *v, struct pool *p, struct tlb_entry *e, bool lists)
{
    uint32_t vp = e->page >> 12;
    if (e->filled & IN_LOAD)
        v->flat.load[e->mode][vp] = 0;
    if (e->filled & (IN_STORE | IN_WATCHED)) {
        v->flat.store[e->mode][vp] = 0;
        if (e->filled & IN_WATCHED) /* else the table may have no memory here */
            v->flat.watched[e->mode][vp] = 0;
        if (lists)
            unlink_frame(p, e);
        else
            p->by_frame[frame_bucket(e->canon)] = 0;
    }
    if (e->filled & IN_EXEC)
        v->flat.exec[e->mode][vp] = 0;
    if (e->filled && lists)
        unlink_domain(p, e);
    v->counters[CNT_TLB_FLUSHED_ENTRIES] += (unsigned)__builtin_popcount(e->filled);
    e->filled = 0;
}

static void remove_entry(struct vcpu *v, struct pool *p, struct tlb_entry *e)
{
    uint32_t id = (uint32_t)(e - p->e) + 1;
    uint32_t *at = &p->by_page[page_bucket(e->page, e->mode)];
    while (*at != id) {
        CHECK(*at, "page %#x not in its list", e->page);
        at = &p->e[*at - 1].next;
    }
    *at = e->next;
    if (e->filled & IN_EXEC)
        jc_clear_page(v, e->mode, e->page);
    unfill(v, p, e, true);
    count_size(of(v), e, -1);
    e->live = false;
    e->next = p->free;
    p->free = id;
    p->nfree++;
}

static struct tlb_entry *find_in(struct pool *p, gva page, unsigned mode)
{
    for (uint32_t id = p->by_page[page_bucket(page, mode)]; id; id = p->e[id - 1].next) {
        struct tlb_entry *e = &p->e[id - 1];
        if (e->page == page && e->mode == mode)
            return e;
    }
    return NULL;
}

static void flush_pool(struct vcpu *v, struct pool *p)
{
    bool exec[MMU_MODES] = {false, false};
    for (uint32_t i = 0; i < p->n; i++) {
        struct tlb_entry *e = &p->e[i];
        if (!e->live)
            continue;
        if (e->filled & IN_EXEC)
            exec[e->mode] = true;
        p->by_page[page_bucket(e->page, e->mode)] = 0;
        unfill(v, p, e, false);
        count_size(of(v), e, -1);
        e->live = false;
    }
    memset(p->by_domain, 0, sizeof(p->by_domain));
    p->n = p->free = p->nfree = 0;
    for (unsigned mode = 0; mode < MMU_MODES; mode++) {
        if (exec[mode])
            jc_clear_mode(v, mode);
    }
}

static struct tlb_entry *new_entry(struct vcpu *v, struct pool *p)
{
    if (p->free) {
        struct tlb_entry *e = &p->e[p->free - 1];
        p->free = e->next;
        p->nfree--;
        return e;
    }
    if (p->n == MAX_ENTRIES)
        flush_pool(v, p);
    return &p->e[p->n++];
}

static inline uint8_t domain_rights(uint32_t dacr, unsigned domain)
{
    return (uint8_t)(dacr >> 2 * domain & 3);
}

static inline bool allows(const struct tlb_entry *e, enum access acc)
{
    return acc == ACC_LOAD ? e->read : acc == ACC_STORE ? e->write : e->exec;
}

struct tlb_entry *tlb_try(struct vcpu *v, gva va, enum access acc, unsigned mode, uint32_t *fsr)
{
    struct softmmu *m = of(v);
    gva page = va & GUEST_PAGE_MASK;
    if (mode == MMU_USER)
        softmmu_settle_user(v);
    struct pool *in = NULL;
    struct tlb_entry *e = NULL;
    for (unsigned i = 0; i < POOLS && !e; i++) {
        in = &m->pool[i];
        e = find_in(in, page, mode);
    }
    if (e && allows(e, acc) && e->rights == domain_rights(v->sys.dacr, e->domain))
        return e;

    /* No entry, or one that says no: walk. The tables may allow by now what they did not when the entry was made. */
    struct walk_result w;
    count(v, PAGE_WALKS);
    if (!arm_translate(v, va, acc, mode, &w)) {
        *fsr = w.fsr;
        return NULL;
    }
    if (e)
        remove_entry(v, in, e);
    struct pool *p = &m->pool[w.global ? GLOBAL : LOCAL];
    e = new_entry(v, p);
    gpa canon = 0, frame = w.pa & ~(gpa)(GUEST_PAGE_SIZE - 1);
    uint8_t *host = mem_ram_ptr(frame, &canon);
    *e = (struct tlb_entry){.page = page,
                            .mode = (uint8_t)mode,
                            .shift = w.page_shift,
                            .domain = w.domain,
                            .rights = domain_rights(v->sys.dacr, w.domain),
                            .live = true,
                            .read = w.read,
                            .write = w.write,
                            .exec = w.exec,
                            .device = w.device,
                            .watchpoint = watch_page(page),
                            .pa = frame,
                            .canon = canon,
                            .host = host};
    uint32_t *head = &p->by_page[page_bucket(page, mode)];
    e->next = *head;
    *head = (uint32_t)(e - p->e) + 1;
    count_size(m, e, +1);
    return e;
}

struct tlb_entry *tlb_translate(struct vcpu *v, gva va, enum access acc, unsigned mode)
{
    uint32_t fsr = 0;
    struct tlb_entry *e = tlb_try(v, va, acc, mode, &fsr);
    if (LIKELY(e != NULL))
        return e;
    if (acc == ACC_FETCH)
        arm_prefetch_abort(v, va, fsr);
    arm_data_abort(v, va, acc == ACC_STORE, fsr);
}

void tlb_reserve(struct vcpu *v, unsigned n)
{
    for (unsigned i = 0; i < POOLS; i++) {
        struct pool *p = &of(v)->pool[i];
        if (MAX_ENTRIES - p->n + p->nfree < n)
            flush_pool(v, p);
    }
}

void tlb_fill(struct vcpu *v, struct tlb_entry *e, unsigned in)
{
    if ((e->filled & in) || (e->watchpoint && in != IN_EXEC))
        return;
    struct softmmu *m = of(v);
    bool global = e >= m->pool[GLOBAL].e && e < m->pool[GLOBAL].e + MAX_ENTRIES;
    struct pool *p = &m->pool[global ? GLOBAL : LOCAL];
    uint32_t vp = e->page >> 12;
    uint64_t diff = (uint64_t)(uintptr_t)e->host - e->page;
    if (!e->filled)
        link_domain(p, e);
    if (in == IN_LOAD) {
        v->flat.load[e->mode][vp] = diff;
    } else if (in == IN_STORE || in == IN_WATCHED) {
        /* P5: both at once would leave one behind. */
        CHECK(!(e->filled & (IN_STORE | IN_WATCHED)), "page %#x is entered for stores already", e->page);
        uint32_t *head = &p->by_frame[frame_bucket(e->canon)];
        e->fnext = *head;
        *head = (uint32_t)(e - p->e) + 1;
        (in == IN_STORE ? v->flat.store : v->flat.watched)[e->mode][vp] = diff;
    } else {
        v->flat.exec[e->mode][vp] = (uint32_t)(e->canon >> GUEST_PAGE_BITS) << 1 | 1;
    }
    e->filled |= (uint8_t)in;
    count(v, TLB_FILLS);
}

void tlb_drop_frame(struct vcpu *v, gpa frame)
{
    for (unsigned i = 0; i < POOLS; i++) {
        struct pool *p = &of(v)->pool[i];
        uint32_t *at = &p->by_frame[frame_bucket(frame)];
        while (*at) {
            struct tlb_entry *e = &p->e[*at - 1];
            if (e->canon != frame) {
                at = &e->fnext;
                continue;
            }
            *at = e->fnext;
            v->flat.store[e->mode][e->page >> 12] = 0;
            if (e->filled & IN_WATCHED)
                v->flat.watched[e->mode][e->page >> 12] = 0;
            e->filled &= (uint8_t) ~(IN_STORE | IN_WATCHED);
            if (!e->filled)
                unlink_domain(p, e);
            count(v, TLB_FLUSHED_ENTRIES);
        }
    }
}

/* -- Maintenance --------------------------------------------------------------------------------------- */

void softmmu_flush_all(struct vcpu *v)
{
    count(v, TLB_FLUSHES);
    for (unsigned i = 0; i < POOLS; i++)
        flush_pool(v, &of(v)->pool[i]);
}

void softmmu_flush_nonglobal(struct vcpu *v)
{
    count(v, TLB_FLUSHES);
    flush_pool(v, &of(v)->pool[LOCAL]);
}

void softmmu_flush_page(struct vcpu *v, gva va)
{
    struct softmmu *m = of(v);
    gva page = va & GUEST_PAGE_MASK;
    bool sweep = m->large[va >> 20] || m->huge;
    count(v, TLB_FLUSHES);
    for (unsigned i = 0; i < POOLS; i++) {
        struct pool *p = &m->pool[i];
        for (unsigned mode = 0; mode < MMU_MODES; mode++) {
            struct tlb_entry *e = find_in(p, page, mode);
            if (e)
                remove_entry(v, p, e);
        }
        for (uint32_t n = 0; sweep && n < p->n; n++) {
            struct tlb_entry *e = &p->e[n];
            if (e->live && e->shift > 12 && !((e->page ^ va) >> e->shift))
                remove_entry(v, p, e);
        }
    }
}

static uint32_t domains_of(uint32_t diff)
{
    uint32_t domains = 0;
    for (unsigned d = 0; diff; d++, diff >>= 2)
        domains |= diff & 3 ? BIT(d) : 0;
    return domains;
}

/* Take what was filled through these domains out of the flat tables; the entries stay. */
static void unfill_domains(struct vcpu *v, unsigned mode, uint32_t domains)
{
    unsigned exec = 0;
    gva page = 0;
    count(v, TLB_FLUSHES);
    for (; domains; domains &= domains - 1) {
        unsigned d = (unsigned)__builtin_ctz(domains);
        for (unsigned i = 0; i < POOLS; i++) {
            struct pool *p = &of(v)->pool[i];
            while (p->by_domain[mode][d]) {
                struct tlb_entry *e = &p->e[p->by_domain[mode][d] - 1];
                if (e->filled & IN_EXEC) {
                    exec++;
                    page = e->page;
                }
                unfill(v, p, e, true);
            }
        }
    }
    if (exec == 1)
        jc_clear_page(v, mode, page);
    else if (exec)
        jc_clear_mode(v, mode);
}

void softmmu_dacr_changed(struct vcpu *v, uint32_t old)
{
    if (old == v->sys.dacr)
        return;
    unfill_domains(v, MMU_PRIV, domains_of(old ^ v->sys.dacr));
    if (vcpu_mmu_mode(v) == MMU_USER)
        softmmu_settle_user(v);
}

void softmmu_settle_user(struct vcpu *v)
{
    struct softmmu *m = of(v);
    if (LIKELY(m->user_dacr == v->sys.dacr))
        return;
    unfill_domains(v, MMU_USER, domains_of(m->user_dacr ^ v->sys.dacr));
    m->user_dacr = v->sys.dacr;
}

/* -- Life ---------------------------------------------------------------------------------------------- */

bool softmmu_init(struct vcpu *v, struct error *e)
{
    size_t bytes = MAX_ENTRIES * sizeof(struct tlb_entry);
    struct softmmu *m = mmap(NULL, sizeof(*m) + POOLS * bytes, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (m == MAP_FAILED) {
        error_set(e, 1, "the host has no memory for the TLB of vCPU %u", v->index);
        return false;
    }
    for (unsigned i = 0; i < POOLS; i++)
        m->pool[i].e = (struct tlb_entry *)(void *)((char *)(m + 1) + i * bytes);
    v->tlb = m;
    jc_clear(v);
    return true;
}

void softmmu_free(struct vcpu *v)
{
    if (v->tlb)
        munmap(v->tlb, sizeof(struct softmmu) + POOLS * MAX_ENTRIES * sizeof(struct tlb_entry));
    v->tlb = NULL;
}

const char *tlb_verify(struct vcpu *v)
{
    struct softmmu *m = of(v);
    uint32_t words[4] = {0}, entries[4] = {0}, huge = 0;
    for (unsigned mode = 0; mode < MMU_MODES; mode++) {
        for (uint32_t vp = 0; vp < VPAGES; vp++) {
            words[0] += !!v->flat.load[mode][vp];
            words[1] += !!v->flat.store[mode][vp];
            words[2] += !!v->flat.exec[mode][vp];
            words[3] += !!v->flat.watched[mode][vp];
        }
    }
    for (unsigned i = 0; i < POOLS; i++) {
        struct pool *p = &m->pool[i];
        uint32_t live = 0, in_frames = 0, in_domains = 0, stores = 0, filled = 0;
        for (uint32_t n = 0; n < p->n; n++) {
            struct tlb_entry *e = &p->e[n];
            if (!e->live)
                continue;
            live++;
            if (find_in(p, e->page, e->mode) != e)
                return "an entry is not found by its page";
            uint64_t diff = (uint64_t)(uintptr_t)e->host - e->page;
            if ((e->filled & IN_LOAD) && v->flat.load[e->mode][e->page >> 12] != diff)
                return "a load entry differs";
            if ((e->filled & IN_STORE) && v->flat.store[e->mode][e->page >> 12] != diff)
                return "a store entry differs";
            if ((e->filled & IN_WATCHED) && v->flat.watched[e->mode][e->page >> 12] != diff)
                return "a watched store entry differs";
            for (unsigned k = 0; k < 4; k++)
                entries[k] += (e->filled >> k) & 1;
            stores += (e->filled & (IN_STORE | IN_WATCHED)) != 0;
            huge += e->shift > 20;
            filled += e->filled != 0;
            uint32_t dacr = e->mode == MMU_USER ? m->user_dacr : v->sys.dacr;
            if (e->filled && e->rights != domain_rights(dacr, e->domain))
                return "an entry is filled with rights that DACR has taken";
        }
        for (unsigned b = 0; b < BUCKETS; b++) {
            for (uint32_t id = p->by_frame[b]; id; id = p->e[id - 1].fnext)
                in_frames++;
        }
        for (unsigned d = 0; d < 16 * MMU_MODES; d++) {
            for (uint32_t id = p->by_domain[d / 16][d % 16]; id; id = p->e[id - 1].dnext) {
                struct tlb_entry *e = &p->e[id - 1];
                if (!e->live || e->domain != d % 16 || e->mode != d / 16)
                    return "a domain's list holds what it should not";
                in_domains++;
            }
        }
        if (in_domains != filled)
            return "domain lists and filled entries differ";
        if (in_frames != stores)
            return "frame lists and store entries differ";
        if (live + p->nfree != p->n)
            return "the free list differs";
    }
    if (huge != m->huge)
        return "the count of huge mappings differs";
    return memcmp(words, entries, sizeof(words)) ? "flat tables and entries differ" : NULL;
}
