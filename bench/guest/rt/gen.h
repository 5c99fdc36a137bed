/* gen.h — writes small pieces of guest code, A32 or T32 as the guest itself is built.
 *
 * Every instruction takes 4 bytes (T32: the 32-bit forms; a 16-bit one is followed by a 16-bit
 * NOP), so that both builds have the same layout. Encoders return the word as it lies in memory.
 * Registers: r0-r3 only, by AAPCS.
 */
#ifndef GEN_H
#define GEN_H

#include "rt.h"

/* A function made here: up to four arguments, result in r0. */
typedef uint32_t (*gen_fn)(uint32_t r0, uint32_t r1, uint32_t r2, uint32_t r3);

static inline gen_fn gen_callable(const void *code)
{
    return (gen_fn)((uintptr_t)code | RT_THUMB);
}

static inline uint32_t gen_t32_(uint32_t first, uint32_t second)
{
    return first | second << 16;
}

static inline uint32_t gen_nop(void)
{
    return RT_THUMB ? gen_t32_(0xf3af, 0x8000) : 0xe320f000;
}

static inline uint32_t gen_movw(uint32_t rd, uint32_t imm)
{
    if (RT_THUMB)
        return gen_t32_(0xf240 | (imm >> 11 & 1) << 10 | (imm >> 12 & 15),
                        (imm >> 8 & 7) << 12 | rd << 8 | (imm & 255));
    return 0xe3000000 | (imm >> 12 & 15) << 16 | rd << 12 | (imm & 0xfff);
}

static inline uint32_t gen_add_imm(uint32_t rd, uint32_t rn, uint32_t imm8)
{
    return RT_THUMB ? gen_t32_(0xf100 | rn, rd << 8 | imm8) : 0xe2800000 | rn << 16 | rd << 12 | imm8;
}

static inline uint32_t gen_subs_imm(uint32_t rd, uint32_t rn, uint32_t imm8)
{
    return RT_THUMB ? gen_t32_(0xf1b0 | rn, rd << 8 | imm8) : 0xe2500000 | rn << 16 | rd << 12 | imm8;
}

static inline uint32_t gen_add(uint32_t rd, uint32_t rn, uint32_t rm)
{
    return RT_THUMB ? gen_t32_(0xeb00 | rn, rd << 8 | rm) : 0xe0800000 | rn << 16 | rd << 12 | rm;
}

static inline uint32_t gen_eor(uint32_t rd, uint32_t rn, uint32_t rm)
{
    return RT_THUMB ? gen_t32_(0xea80 | rn, rd << 8 | rm) : 0xe0200000 | rn << 16 | rd << 12 | rm;
}

static inline uint32_t gen_ldr(uint32_t rt, uint32_t rn, uint32_t imm12)
{
    return RT_THUMB ? gen_t32_(0xf8d0 | rn, rt << 12 | imm12) : 0xe5900000 | rn << 16 | rt << 12 | imm12;
}

static inline uint32_t gen_str(uint32_t rt, uint32_t rn, uint32_t imm12)
{
    return RT_THUMB ? gen_t32_(0xf8c0 | rn, rt << 12 | imm12) : 0xe5800000 | rn << 16 | rt << 12 | imm12;
}

static inline uint32_t gen_bx(uint32_t rm)
{
    return RT_THUMB ? gen_t32_(0x4700 | rm << 3, 0xbf00) : 0xe12fff10 | rm;
}

static inline uint32_t gen_b(const void *from, const void *to)
{
    int32_t off = (int32_t)((uintptr_t)to - (uintptr_t)from) - (RT_THUMB ? 4 : 8);
    if (RT_THUMB) {
        uint32_t s = off < 0, i1 = off >> 23 & 1, i2 = off >> 22 & 1;
        return gen_t32_(0xf000 | s << 10 | (off >> 12 & 0x3ff),
                        0x9000 | ((i1 ^ s) ^ 1) << 13 | ((i2 ^ s) ^ 1) << 11 | (off >> 1 & 0x7ff));
    }
    return 0xea000000 | (off >> 2 & 0xffffff);
}

/* T32: reaches 1 MiB. */
static inline uint32_t gen_bne(const void *from, const void *to)
{
    int32_t off = (int32_t)((uintptr_t)to - (uintptr_t)from) - (RT_THUMB ? 4 : 8);
    if (RT_THUMB)
        return gen_t32_(0xf000 | (off < 0) << 10 | 1 << 6 | (off >> 12 & 0x3f),
                        0x8000 | (off >> 18 & 1) << 13 | (off >> 19 & 1) << 11 | (off >> 1 & 0x7ff));
    return 0x1a000000 | (off >> 2 & 0xffffff);
}

/* MCR p15, 0, rt, c7, crm, opc2 */
static inline uint32_t gen_mcr_c7(uint32_t rt, uint32_t crm, uint32_t opc2)
{
    uint32_t w = 0xee070f10 | rt << 12 | opc2 << 5 | crm;
    return RT_THUMB ? gen_t32_(w >> 16, w & 0xffff) : w;
}

static inline uint32_t gen_dsb(void)
{
    return RT_THUMB ? gen_t32_(0xf3bf, 0x8f4b) : 0xf57ff04b;
}
static inline uint32_t gen_isb(void)
{
    return RT_THUMB ? gen_t32_(0xf3bf, 0x8f6f) : 0xf57ff06f;
}

/* Writes one instruction; in T32 the address may be only 2-aligned. */
static inline void gen_at(void *p, uint32_t w)
{
    if (((uintptr_t)p & 3) == 0) {
        *(volatile uint32_t *)p = w;
    } else {
        volatile uint16_t *h = p;
        h[0] = (uint16_t)w;
        h[1] = (uint16_t)(w >> 16);
    }
}

static inline void gen_put(uint8_t **p, uint32_t w)
{
    gen_at(*p, w);
    *p += 4;
}

/* -- what may change while another CPU runs it (ARM DDI 0406C A3.5.4): B and NOP, in T32 their 16-bit forms  */

/* Stores a branch from `from` to `to` (T32: within 2 KiB) in one access. */
static inline void gen_cross_b(void *from, const void *to)
{
    int32_t off = (int32_t)((uintptr_t)to - (uintptr_t)from) - (RT_THUMB ? 4 : 8);
    if (RT_THUMB)
        *(volatile uint16_t *)from = (uint16_t)(0xe000 | (off >> 1 & 0x7ff));
    else
        *(volatile uint32_t *)from = 0xea000000 | (off >> 2 & 0xffffff);
}

/* Four bytes that do nothing: T32 has two 16-bit slots, of which the first is the one that changes. */
static inline void gen_cross_nop(void *at)
{
    if (RT_THUMB)
        *(volatile uint16_t *)at = 0xbf00;
    else
        *(volatile uint32_t *)at = 0xe320f000;
}

static inline void gen_cross_init(uint8_t **p)
{
    gen_at(*p, RT_THUMB ? gen_t32_(0xbf00, 0xbf00) : 0xe320f000);
    *p += 4;
}

#endif
