/*
 * disasm.c — text of guest instructions for dumps (capstone)
 */
#include "engine/arm/arm.h"

#include <capstone/capstone.h>
#include <stdio.h>

/* Each thread that dumps has its own handles: capstone's are not thread-safe. They live until the process ends. */
static csh handle_for(bool thumb)
{
    static _Thread_local csh handles[2];
    csh *h = &handles[thumb];
    if (!*h &&
        cs_open(CS_ARCH_ARM, (cs_mode)((thumb ? CS_MODE_THUMB : CS_MODE_ARM) | CS_MODE_LITTLE_ENDIAN), h) != CS_ERR_OK)
        *h = 0;
    return *h;
}

void arm_disasm(uint32_t pc, bool thumb, const uint8_t *bytes, unsigned len, char *out, size_t outlen)
{
    cs_insn *insn = NULL;
    csh h = handle_for(thumb);
    size_t n = h ? cs_disasm(h, bytes, len, pc, 1, &insn) : 0;
    if (n && insn->size == len) {
        snprintf(out, outlen, "%s%s%s", insn->mnemonic, insn->op_str[0] ? " " : "", insn->op_str);
    } else {
        uint32_t w = 0;
        for (unsigned i = 0; i < len && i < 4; i++)
            w |= (uint32_t)bytes[i] << (8 * i);
        if (thumb && len == 4)
            w = w << 16 | w >> 16;
        snprintf(out, outlen, len == 2 ? ".short 0x%04x" : ".word 0x%08x", w);
    }
    if (n)
        cs_free(insn, n);
}
