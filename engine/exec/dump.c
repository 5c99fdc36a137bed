/*
 * dump.c — one block as text for --dump: guest instructions, IR, host code
 *
 * A block's text is made whole and written at once, so that blocks of several vCPUs do not mix.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine/exec/exec.h"
#include "engine/x64/x64.h"

static void print_line(void *ctx, const char *text)
{
    fprintf(ctx, "    %s\n", text);
}

/* Addresses come from the IR's instruction marks; guest is good to the end of the block's first page. */
static void dump_guest(FILE *out, const struct tb *tb, const struct ir_block *ir, const uint8_t *guest)
{
    bool thumb = tb->key.flags & TBF_THUMB;
    uint32_t end = tb->key.pc + tb->nbytes, page_left = 4096 - (tb->key.pc & 0xfff);
    for (uint32_t i = 0; i < ir->n; i++) {
        if (ir->ins[i].op != IR_INSN)
            continue;
        uint32_t off = (ir->ins[i].imm & ~1u) - tb->key.pc, next = end;
        for (uint32_t j = i + 1; j < ir->n; j++) {
            if (ir->ins[j].op == IR_INSN) {
                next = ir->ins[j].imm & ~1u;
                break;
            }
        }
        unsigned len = next - tb->key.pc - off;
        if (len > 4)
            len = 4;
        if (off >= page_left || !len)
            continue;
        char text[128];
        if (off + len > page_left)
            snprintf(text, sizeof text, "(crosses into the next page)");
        else
            arm_disasm(tb->key.pc + off, thumb, guest + off, len, text, sizeof text);
        fprintf(out, "    %08x  ", tb->key.pc + off);
        for (unsigned b = len; b--;)
            if (off + b < page_left)
                fprintf(out, "%02x", guest[off + b]);
        fprintf(out, "%*s  %s\n", (int)(8 - 2 * len), "", text);
    }
}

void exec_dump_block(const struct tb *tb, const struct ir_block *ir, const uint8_t *guest, const uint8_t *host_rw)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (!out)
        return;
    fprintf(out, "block %08x %s flags %x, canonical %" PRIx64 ": %u instructions, %u bytes\n", tb->key.pc,
            tb->key.flags & TBF_THUMB ? "T32" : "A32", tb->key.flags, tb->key.canon, tb->ninsns, tb->nbytes);
    if (exec_config.dump & DUMP_GUEST) {
        fprintf(out, "  guest\n");
        dump_guest(out, tb, ir, guest);
    }
    if (exec_config.dump & DUMP_IR) {
        fprintf(out, "  ir\n");
        ir_print(ir, print_line, out);
    }
    if ((exec_config.dump & DUMP_HOST) && host_rw) {
        fprintf(out, "  host, %zu bytes\n", tb->code_bytes);
        x64_dump(host_rw, tb->code_bytes, (uintptr_t)tb->entry_xpage, print_line, out);
    }
    fclose(out);
    fwrite(text, 1, bytes, stderr);
    free(text);
}
