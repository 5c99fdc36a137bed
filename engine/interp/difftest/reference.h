/*
 * reference.h — running snippets under qemu-arm
 */
#ifndef ENGINE_INTERP_DIFFTEST_REFERENCE_H
#define ENGINE_INTERP_DIFFTEST_REFERENCE_H

#include "engine/interp/difftest/gen.h"

struct outcome {
    uint32_t regs[15], cpsr; /* NZCVQ and GE only */
    uint8_t arena[ARENA_BYTES];
};

/* Many snippets as one program. */
struct batch {
    unsigned n, max;
    const struct snippet **snippets; /* for the messages of whoever compares */
    uint32_t *pcs;                   /* where each begins, | T */
    uint32_t (*states)[17];          /* r0..r14, CPSR, address | T: as the runtime reads them */
    uint8_t *code;                   /* bytes from LAYOUT_CODE - 4096 */
    uint32_t code_bytes, code_max;   /* used, without the page after it */
    uint8_t template[ARENA_BYTES];
};

void batch_init(struct batch *im, unsigned max_snippets, uint64_t template_seed);
void batch_clear(struct batch *im);
void batch_add(struct batch *im, const struct snippet *s);

enum { CPSR_COMPARED = 0xf80f0000 };

/* Run all of im; out has im->n places. False: e says what happened (the reference program is missing or
 * died: *done snippets came back). */
bool reference_run(const struct batch *im, const char *qemu, struct outcome *out, unsigned *done, struct error *e);

#endif
