/*
 * peek.c — a debugger's look at guest memory
 */
#include "engine/mem/peek.h"

#include "engine/mem/softmmu.h"

#define OFFSET(va) ((va) & (GUEST_PAGE_SIZE - 1))

/* Where va is in RAM. */
static bool in_ram(struct vcpu *v, gva va, gpa *pa)
{
    struct walk_result w;
    /* A walk that ends in a fault about rights has found the page: only then, or without a fault, is its size known. */
    if (!arm_translate(v, va, ACC_LOAD, MMU_PRIV, &w) && !w.page_shift)
        return false;
    *pa = (w.pa & ~(gpa)(GUEST_PAGE_SIZE - 1)) | OFFSET(va);
    return mem_ram_ptr(*pa, NULL) != NULL;
}

static size_t piece(gva va, size_t bytes)
{
    size_t n = GUEST_PAGE_SIZE - OFFSET(va);
    return n < bytes ? n : bytes;
}

size_t mem_peek(struct vcpu *v, gva va, void *buf, size_t bytes)
{
    size_t done = 0;
    gpa pa;
    while (done < bytes && in_ram(v, va + (gva)done, &pa)) {
        size_t n = piece(va + (gva)done, bytes - done);
        host_load((char *)buf + done, mem_ram_ptr(pa, NULL), n);
        done += n;
    }
    return done;
}

bool mem_poke(struct vcpu *v, gva va, const void *buf, size_t bytes)
{
    gpa pa;
    for (size_t done = 0; done < bytes; done += piece(va + (gva)done, bytes - done))
        if (!in_ram(v, va + (gva)done, &pa))
            return false;
    for (size_t done = 0; done < bytes;) {
        size_t n = piece(va + (gva)done, bytes - done);
        /* The write may change the tables that the walk reads: the guest would see the same. */
        if (!in_ram(v, va + (gva)done, &pa) || mem_write(pa, (const char *)buf + done, n) != MEM_OK)
            return false;
        done += n;
    }
    return true;
}
