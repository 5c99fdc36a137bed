/*
 * gen_layout.c — a snippet's bytes: where each item lies, and the branches between them
 */
#include "engine/interp/difftest/gen.h"

static uint32_t with_offset(const struct item *it, int32_t off)
{
    uint32_t w = it->word, u = (uint32_t)off;
    if (it->set == SET_A32)
        return w | (u >> 2 & 0xffffff);
    if (it->set == SET_T16) {
        if ((w & 0xf800) == 0xe000)
            return w | (u >> 1 & 0x7ff);
        if ((w & 0xf000) == 0xd000)
            return w | (u >> 1 & 0xff);
        if (off < 0)
            return 0xbf00; /* cbz to the next instruction cannot be said: nop */
        return w | (u >> 6 & 1) << 9 | (u >> 1 & 0x1f) << 3;
    }
    uint32_t s = u >> 31;
    if ((w & 0xd000) == 0x8000) /* b<c> */
        return w | s << 26 | (u >> 12 & 0x3f) << 16 | (u >> 18 & 1) << 13 | (u >> 19 & 1) << 11 | (u >> 1 & 0x7ff);
    uint32_t j1 = (~(u >> 23) ^ s) & 1, j2 = (~(u >> 22) ^ s) & 1;
    return w | s << 26 | (u >> 12 & 0x3ff) << 16 | j1 << 13 | j2 << 11 | (u >> 1 & 0x7ff);
}

static uint32_t with_imm16(const struct item *it, uint32_t imm)
{
    if (it->set == SET_A32)
        return it->word | (imm >> 12) << 16 | (imm & 0xfff);
    return it->word | (imm >> 12) << 16 | (imm >> 11 & 1) << 26 | (imm >> 8 & 7) << 12 | (imm & 0xff);
}

static void put16(uint8_t *p, uint32_t x)
{
    p[0] = (uint8_t)x;
    p[1] = (uint8_t)(x >> 8);
}

static void put32(uint8_t *p, uint32_t x)
{
    put16(p, x);
    put16(p + 2, x >> 16);
}

/* The item that a branch goes to, or s->n for the end. From another group that is never the middle of one. */
static unsigned find_target(const struct snippet *s, const struct item *it)
{
    unsigned k = 0;
    while (k < s->n && s->items[k].id < it->target)
        k++;
    if (k < s->n && s->items[k].group == it->group)
        return k;
    while (k > 0 && k < s->n && s->items[k].group == s->items[k - 1].group)
        k++;
    return k;
}

static unsigned item_bytes(const struct item *it, uint32_t at)
{
    if (it->kind == ITEM_ALIGN)
        return at & 2;
    return it->set == SET_T16 ? 2 : 4;
}

unsigned gen_layout(const struct snippet *s, uint32_t pc, uint8_t *out, uint32_t *pcs)
{
    uint32_t at[MAX_ITEMS + 1];
    at[0] = pc;
    for (unsigned i = 0; i < s->n; i++)
        at[i + 1] = at[i] + item_bytes(&s->items[i], at[i]);
    if (pcs)
        memcpy(pcs, at, sizeof at);

    for (unsigned i = 0; i < s->n; i++) {
        const struct item *it = &s->items[i];
        uint32_t word = it->word;
        uint8_t *p = out + (at[i] - pc);
        if (at[i] == at[i + 1])
            continue;
        if (it->kind != ITEM_PLAIN && it->kind != ITEM_ALIGN) {
            uint32_t target = at[find_target(s, it)];
            if (it->kind == ITEM_BRANCH)
                word = with_offset(it, (int32_t)(target - at[i] - (item_is_thumb(it) ? 4 : 8)));
            else
                word = with_imm16(it, it->kind == ITEM_MOVW ? ((target | s->thumb) & 0xffff) : target >> 16);
        }
        if (it->set == SET_T16) {
            put16(p, word);
        } else if (it->set == SET_T32) {
            put16(p, word >> 16);
            put16(p + 2, word);
        } else {
            put32(p, word);
        }
    }
    uint32_t end = at[s->n];
    if (s->thumb) {
        if (end & 2) {
            put16(out + (end - pc), 0xbf00); /* nop */
            end += 2;
        }
        put16(out + (end - pc), 0x4778); /* bx pc: to A32, 4 bytes on */
        put16(out + (end - pc) + 2, 0xbf00);
        end += 4;
    }
    put32(out + (end - pc), 0xea000000 | ((LAYOUT_DONE - end - 8) >> 2 & 0xffffff));
    return end + 4 - pc;
}
