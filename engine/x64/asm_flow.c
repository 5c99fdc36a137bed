/*
 * asm_flow.c — labels, jumps and calls, the room that patching needs, padding, literals
 */
#include "engine/x64/asm.h"

#include "engine/base/base.h"
#include "engine/x64/asm_enc.h"

static void poke32(struct x64_asm *a, uint32_t off, uint32_t x)
{
    memcpy(a->rw + off, &x, 4);
}

static uint32_t peek32(const struct x64_asm *a, uint32_t off)
{
    uint32_t x;

    memcpy(&x, a->rw + off, 4);
    return x;
}

void asm_bind(struct x64_asm *a, struct x64_label *l)
{
    int32_t at = l->chain;

    l->pos = (int32_t)a->off;
    if (a->overflow)
        return;
    while (at >= 0) {
        int32_t prev = (int32_t)peek32(a, (uint32_t)at);

        poke32(a, (uint32_t)at, a->off - ((uint32_t)at + 4));
        at = prev;
    }
    l->chain = -1;
}

/* The rel32 that ends an instruction. Returns its offset. */
static uint32_t append_rel32(struct x64_asm *a, struct enc *e, struct x64_label *l)
{
    uint32_t at = a->off + e->n;

    put32(e, l->pos >= 0 ? (uint32_t)l->pos - (at + 4) : (uint32_t)l->chain);
    enc_append(a, e);
    if (l->pos < 0 && !a->overflow)
        l->chain = (int32_t)at;
    return at;
}

static bool near_back(const struct x64_asm *a, const struct x64_label *l)
{
    return l->pos >= 0 && l->pos - (int32_t)(a->off + 2) >= -128;
}

void asm_jmp(struct x64_asm *a, struct x64_label *l)
{
    struct enc e = {.n = 0};

    if (near_back(a, l)) {
        put(&e, 0xeb);
        put(&e, (unsigned)(l->pos - (int32_t)(a->off + 2)) & 0xff);
        enc_append(a, &e);
        return;
    }
    put(&e, 0xe9);
    append_rel32(a, &e, l);
}

void asm_jcc(struct x64_asm *a, enum x64_cc cc, struct x64_label *l)
{
    struct enc e = {.n = 0};

    if (near_back(a, l)) {
        put(&e, 0x70 | cc);
        put(&e, (unsigned)(l->pos - (int32_t)(a->off + 2)) & 0xff);
        enc_append(a, &e);
        return;
    }
    put(&e, 0x0f);
    put(&e, 0x80 | cc);
    append_rel32(a, &e, l);
}

void asm_call(struct x64_asm *a, struct x64_label *l)
{
    struct enc e = {.n = 0};

    put(&e, 0xe8);
    append_rel32(a, &e, l);
}

uint32_t asm_jcc_short(struct x64_asm *a, enum x64_cc cc)
{
    struct enc e = {.n = 0};

    put(&e, 0x70 | cc);
    put(&e, 0);
    enc_append(a, &e);
    return a->off;
}

uint32_t asm_jmp_short(struct x64_asm *a)
{
    struct enc e = {.n = 0};

    put(&e, 0xeb);
    put(&e, 0);
    enc_append(a, &e);
    return a->off;
}

void asm_bind_short(struct x64_asm *a, uint32_t jump)
{
    if (a->overflow)
        return;
    CHECK(a->off - jump < 128, "short jump over %u bytes", a->off - jump);
    a->rw[jump - 1] = (uint8_t)(a->off - jump);
}

static bool append_abs(struct x64_asm *a, struct enc *e, const void *target)
{
    int64_t rel = (int64_t)((uintptr_t)target - ((uintptr_t)a->rx + a->off + e->n + 4));

    if (rel != (int32_t)rel)
        return false;
    put32(e, (uint32_t)rel);
    enc_append(a, e);
    return true;
}

bool asm_jmp_abs(struct x64_asm *a, const void *target)
{
    struct enc e = {.b = {0xe9}, .n = 1};

    return append_abs(a, &e, target);
}

bool asm_jcc_abs(struct x64_asm *a, enum x64_cc cc, const void *target)
{
    struct enc e = {.b = {0x0f, (uint8_t)(0x80 | cc)}, .n = 2};

    return append_abs(a, &e, target);
}

bool asm_call_abs(struct x64_asm *a, const void *target)
{
    struct enc e = {.b = {0xe8}, .n = 1};

    return append_abs(a, &e, target);
}

void asm_jmp_lit(struct x64_asm *a, struct x64_label *literal)
{
    struct enc e = {.b = {0xff, 0x25}, .n = 2};

    append_rel32(a, &e, literal);
}

void asm_call_lit(struct x64_asm *a, struct x64_label *literal)
{
    struct enc e = {.b = {0xff, 0x15}, .n = 2};

    append_rel32(a, &e, literal);
}

/* Near indirect branches are 64-bit without REX.W. */
void asm_jmp_r(struct x64_asm *a, int r)
{
    enc_op_rr(a, 4, 0, 0xff, 4, r);
}

void asm_jmp_m(struct x64_asm *a, struct x64_mem m)
{
    enc_op_rm(a, 4, 0, 0xff, 4, m);
}

void asm_call_r(struct x64_asm *a, int r)
{
    enc_op_rr(a, 4, 0, 0xff, 2, r);
}

void asm_call_m(struct x64_asm *a, struct x64_mem m)
{
    enc_op_rm(a, 4, 0, 0xff, 2, m);
}

void asm_ret(struct x64_asm *a)
{
    enc_op_byte(a, 0xc3);
}

void asm_ud2(struct x64_asm *a)
{
    struct enc e = {.b = {0x0f, 0x0b}, .n = 2};

    enc_append(a, &e);
}

unsigned asm_patch_pad(const struct x64_asm *a, uint32_t off, unsigned opcode_bytes)
{
    unsigned in_word = (unsigned)((uintptr_t)a->rx + off + opcode_bytes) & 7;

    return in_word > 4 ? 8 - in_word : 0;
}

uint32_t asm_jmp_patch(struct x64_asm *a, struct x64_label *l)
{
    struct enc e = {.b = {0xe9}, .n = 1};

    asm_nop(a, asm_patch_pad(a, a->off, 1));
    return append_rel32(a, &e, l);
}

uint32_t asm_jcc_patch(struct x64_asm *a, enum x64_cc cc, struct x64_label *l)
{
    struct enc e = {.b = {0x0f, (uint8_t)(0x80 | cc)}, .n = 2};

    asm_nop(a, asm_patch_pad(a, a->off, 2));
    return append_rel32(a, &e, l);
}

uint32_t asm_call_patch(struct x64_asm *a, struct x64_label *l)
{
    struct enc e = {.b = {0xe8}, .n = 1};

    asm_nop(a, asm_patch_pad(a, a->off, 1));
    return append_rel32(a, &e, l);
}

/* Intel SDM 2B, table 4-12: recommended multi-byte forms. */
void asm_nop(struct x64_asm *a, unsigned bytes)
{
    static const uint8_t forms[9][8] = {
        {0},
        {0x90},
        {0x66, 0x90},
        {0x0f, 0x1f, 0x00},
        {0x0f, 0x1f, 0x40, 0x00},
        {0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00},
        {0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
    };

    while (bytes) {
        unsigned n = bytes < 8 ? bytes : 8;
        struct enc e = {.n = n};

        memcpy(e.b, forms[n], n);
        enc_append(a, &e);
        a->insns--;
        bytes -= n;
    }
}

void asm_insert_nops(struct x64_asm *a, uint32_t at, unsigned bytes)
{
    uint8_t moved[64];
    uint32_t n = a->off - at;

    if (a->overflow || !bytes)
        return;
    CHECK(n <= sizeof moved, "%u bytes", n);
    memcpy(moved, a->rw + at, n);
    a->off = at;
    asm_nop(a, bytes);
    if (a->off + n > a->cap) {
        a->overflow = true;
        return;
    }
    memcpy(a->rw + a->off, moved, n);
    a->off += n;
}

void asm_align(struct x64_asm *a, unsigned to)
{
    asm_nop(a, (unsigned)-((uintptr_t)a->rx + a->off) & (to - 1));
}

void asm_u64(struct x64_asm *a, uint64_t x)
{
    struct enc e = {.n = 8};

    memcpy(e.b, &x, 8);
    enc_append(a, &e);
    a->insns--;
}
