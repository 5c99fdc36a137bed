/*
 * tlb.h — the C-side TLB behind the flat tables; for engine/mem alone
 *
 * One entry for each virtual page and mode that has been walked. Everything in the flat tables was put there
 * through an entry, which remembers it (filled), so a flush costs what was filled and not the size of the tables.
 * Global and non-global entries have pools of their own: a switch of ASID empties one and keeps the other.
 *
 * Owner's thread, or QUIESCED. An entry's address stays good until the next tlb_translate() of the same vCPU.
 */
#ifndef ENGINE_MEM_TLB_H
#define ENGINE_MEM_TLB_H

#include "engine/mem/softmmu.h"

/* At most one of IN_STORE and IN_WATCHED. */
enum { IN_LOAD = 1, IN_STORE = 2, IN_EXEC = 4, IN_WATCHED = 8 };

struct tlb_entry {
    gva page;
    uint8_t mode;
    uint8_t shift; /* of the mapping it was made from */
    uint8_t domain;
    uint8_t rights; /* of the domain, in DACR's two bits, when it was walked */
    uint8_t filled; /* IN_*: flat tables that hold it */
    bool live;
    bool read, write, exec;
    bool device;           /* memory type; a RAM frame may be mapped as device memory */
    bool watchpoint;       /* see watch.h: never but in IN_EXEC */
    uint32_t next;         /* same bucket of page, or free list; index + 1, 0 ends */
    uint32_t fnext;        /* same bucket of frame, if IN_STORE or IN_WATCHED */
    uint32_t dnext, dprev; /* same mode and domain, if filled */
    gpa pa;
    gpa canon;     /* of the frame */
    uint8_t *host; /* of the frame; NULL: not RAM */
};

/* The entry for va with the right to acc, walking if there is none. Raises: arm_data_abort or arm_prefetch_abort. */
struct tlb_entry *tlb_translate(struct vcpu *v, gva va, enum access acc, unsigned mode);
/* The same, without raising: NULL, and the fault status in *fsr. */
struct tlb_entry *tlb_try(struct vcpu *v, gva va, enum access acc, unsigned mode, uint32_t *fsr);
/* Room for n entries, so that the next n translations do not empty a pool. */
void tlb_reserve(struct vcpu *v, unsigned n);

/* Enter in a flat table. IN_STORE: the caller has the frame's STORERS bit and saw no flag; IN_WATCHED: it has the XSTORERS bit
 * and saw EXCL alone (page_state.c, P1 and P4). */
void tlb_fill(struct vcpu *v, struct tlb_entry *e, unsigned in);
/* Take every entry of a frame in the tables of stores away, plain and watched. */
void tlb_drop_frame(struct vcpu *v, gpa frame);

/* For tests: NULL if tables, pools and counts agree, else what is wrong. Slow. */
const char *tlb_verify(struct vcpu *v);

#endif
