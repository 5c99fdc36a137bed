/*
 * dump.c — host code as text
 */
#include "engine/x64/x64.h"

#include <capstone/capstone.h>
#include <stdio.h>

void x64_dump(const uint8_t *code, size_t bytes, uint64_t addr, void (*line)(void *ctx, const char *text), void *ctx)
{
    csh cs;
    cs_insn *insn;
    char text[256];

    if (cs_open(CS_ARCH_X86, CS_MODE_64, &cs) != CS_ERR_OK)
        return;
    while (bytes) {
        if (cs_disasm(cs, code, bytes, addr, 1, &insn) == 1) {
            snprintf(text, sizeof text, "%012" PRIx64 "  %s %s", addr, insn->mnemonic, insn->op_str);
            size_t n = insn->size;
            cs_free(insn, 1);
            code += n;
            addr += n;
            bytes -= n;
        } else {
            snprintf(text, sizeof text, "%012" PRIx64 "  .byte %#x", addr, *code);
            code++;
            addr++;
            bytes--;
        }
        line(ctx, text);
    }
    cs_close(&cs);
}
