/*
 * watch.h — watchpoints: which bytes of virtual memory a debugger wants to hear of
 *
 * A page with a watched byte is never entered in the flat load and store tables, so each access to it takes the slow path and is
 * compared here before anything of it is done. Other pages pay nothing; slow paths pay a test of their TLB entry.
 * Seen are the vCPUs' own accesses, exclusives and SWP too; not those of devices, of semihosting, and instruction fetches.
 */
#ifndef ENGINE_MEM_WATCH_H
#define ENGINE_MEM_WATCH_H

#include "engine/base/base.h"

struct vcpu;

enum watch_kind { WATCH_WRITE = 1, WATCH_READ = 2, WATCH_ACCESS = 3 }; /* as bits: what is watched for */

#define WATCHES     256
#define WATCH_BYTES (64u << 10) /* the longest */

/* QUIESCED. False: too many, or too long, or over the end of the address space. Removing one that is not there is no error. */
bool watch_set(gva va, uint32_t bytes, enum watch_kind kind);
void watch_clear(gva va, uint32_t bytes, enum watch_kind kind);
void watch_clear_all(void);

/* v's thread, GUEST: the access at v->r[15] to the watched byte addr has not been done. Leaves. W: QUIESCED, when a debugger comes. */
extern void (*watch_hit)(struct vcpu *v, gva addr, enum watch_kind kind);

/* -- For engine/mem alone -------------------------------------------------------------------------------------------------- */

bool watch_page(gva page); /* has it a watched byte? */
/* GUEST, before the access: leaves if it is watched for. */
void watch_check(struct vcpu *v, gva va, uint32_t bytes, bool write);

#endif
