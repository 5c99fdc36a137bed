/*
 * reference.c — snippets as a static ELF for qemu-arm, and its answers
 *
 * The program is made of bytes alone, so that no cross compiler is needed: a runtime of 90 words that for each snippet
 * copies the template over the arena, loads all registers and flags, jumps; and from LAYOUT_DONE on saves
 * them and writes save area and arena to standard output, where we read.
 */
#include "engine/interp/difftest/reference.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* -- The runtime -------------------------------------------------------------------------------------- */

/* It keeps its variables in the page that follows it, reached by PC-relative loads and stores because all
 * registers are the snippet's: entry +0x1000, left +4, target +8, r0 +12. */
static const uint32_t runtime_start[] = {
    0xe59f4168, /*         ldr r4, tests */
    0xe59f5168, /*         ldr r5, count */
    0xe59f0168, /* next:   ldr r0, arena */
    0xe59f1168, /*         ldr r1, template */
    0xe59f2168, /*         ldr r2, arena_bytes */
    0xe8b13fc0, /* copy:   ldm r1!, {r6-r13} */
    0xe8a03fc0, /*         stm r0!, {r6-r13} */
    0xe2522020, /*         subs r2, r2, #32 */
    0x1afffffb, /*         bne copy */
    0xe58f4fd4, /*         str r4, entry */
    0xe58f5fd4, /*         str r5, left */
    0xe5940040, /*         ldr r0, [r4, #64] */
    0xe58f0fd0, /*         str r0, target */
    0xe594003c, /*         ldr r0, [r4, #60] */
    0xe12cf000, /*         msr cpsr_fs, r0 */
    0xf57ff01f, /*         clrex */
    0xe8947fff, /*         ldm r4, {r0-r14} */
    0xe59fffbc, /*         ldr pc, target */
};
static const uint32_t runtime_done[] = {
    0xe58f0f04, /* done:   str r0, r0 */
    0xe59f0078, /*         ldr r0, save */
    0xe9807ffe, /*         stmib r0, {r1-r14} */
    0xe59f1ef8, /*         ldr r1, r0 */
    0xe5801000, /*         str r1, [r0] */
    0xe10f1000, /*         mrs r1, cpsr */
    0xe580103c, /*         str r1, [r0, #60] */
    0xe1a01000, /*         mov r1, r0 */
    0xe3a00001, /*         mov r0, #1 */
    0xe59f205c, /*         ldr r2, out_bytes */
    0xe3a07004, /*         mov r7, #4: write */
    0xef000000, /* again:  svc #0 */
    0xe3500000, /*         cmp r0, #0 */
    0xda00000a, /*         ble fail */
    0xe0811000, /*         add r1, r1, r0 */
    0xe0522000, /*         subs r2, r2, r0 */
    0xe3a00001, /*         mov r0, #1 */
    0x1afffff8, /*         bne again */
    0xe59f4eb0, /*         ldr r4, entry */
    0xe59f5eb0, /*         ldr r5, left */
    0xe2844044, /*         add r4, r4, #68 */
    0xe2555001, /*         subs r5, r5, #1 */
    0x1affffaa, /*         bne next */
    0xe3a00000, /*         mov r0, #0 */
    0xea000000, /*         b exit */
    0xe3a00001, /* fail:   mov r0, #1 */
    0xe3a07001, /* exit:   mov r7, #1 */
    0xef000000, /*         svc #0 */
};
enum { RUNTIME_CONSTANTS = 0x170 }; /* tests, count, arena, template, arena_bytes, save, out_bytes */

/* -- Images --------------------------------------------------------------------------------------------- */

void batch_init(struct batch *im, unsigned max_snippets, uint64_t template_seed)
{
    memset(im, 0, sizeof *im);
    im->max = max_snippets;
    im->code_max = 4096 + max_snippets * (MAX_CODE_BYTES + 64) + 4096;
    im->snippets = calloc(max_snippets, sizeof *im->snippets);
    im->pcs = calloc(max_snippets, sizeof *im->pcs);
    im->states = calloc(max_snippets, sizeof *im->states);
    im->code = calloc(1, im->code_max);
    CHECK(im->snippets && im->pcs && im->states && im->code, "out of memory");
    struct rng r;
    rng_seed(&r, template_seed);
    for (unsigned i = 0; i < ARENA_BYTES; i += 8) {
        uint64_t x = rng_u64(&r);
        memcpy(im->template + i, &x, 8);
    }
    gen_fp_template(im->template);
    batch_clear(im);
}

void batch_clear(struct batch *im)
{
    im->n = 0;
    im->code_bytes = 4096;
    memset(im->code, 0, im->code_max);
}

void batch_add(struct batch *im, const struct snippet *s)
{
    CHECK(im->n < im->max, "batch is full");
    uint32_t pc = LAYOUT_CODE - 4096 + im->code_bytes;
    unsigned bytes = gen_layout(s, pc, im->code + im->code_bytes, NULL);
    im->code_bytes += bytes;
    im->snippets[im->n] = s;
    im->pcs[im->n] = pc | s->thumb;
    memcpy(im->states[im->n], s->regs, sizeof s->regs);
    im->states[im->n][15] = s->cpsr;
    im->states[im->n][16] = pc | s->thumb;
    im->n++;
}

/* -- The ELF file ------------------------------------------------------------------------------------------ */

static bool put(FILE *f, long at, const void *data, size_t bytes)
{
    return fseek(f, at, SEEK_SET) == 0 && fwrite(data, 1, bytes, f) == bytes;
}

static bool write_elf(const struct batch *im, FILE *f)
{
    uint32_t states_bytes = im->n * (uint32_t)sizeof im->states[0];
    const uint32_t code_at = LAYOUT_CODE - 4096, code_bytes = im->code_bytes + 4096;
    const struct {
        uint32_t va, bytes, flags;
    } segments[] = {
        {LAYOUT_RUNTIME, 0x1000, PF_R | PF_X},
        {LAYOUT_RUNTIME + 0x1000, 0x1000, PF_R | PF_W},
        {LAYOUT_STATES, states_bytes, PF_R},
        {code_at, code_bytes, PF_R | PF_X},
        {LAYOUT_SAVE & ~0xfffu, 0x1000 + ARENA_BYTES, PF_R | PF_W},
        {LAYOUT_TEMPLATE, ARENA_BYTES, PF_R},
    };
    CHECK(LAYOUT_STATES + states_bytes <= code_at, "too many snippets in one program");
    const uint32_t constants[] = {
        LAYOUT_STATES, im->n, LAYOUT_ARENA, LAYOUT_TEMPLATE, ARENA_BYTES, LAYOUT_SAVE, SAVE_BYTES + ARENA_BYTES};
    Elf32_Ehdr eh = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = EM_ARM,
        .e_version = EV_CURRENT,
        .e_entry = LAYOUT_RUNTIME,
        .e_phoff = sizeof eh,
        .e_flags = EF_ARM_EABI_VER5,
        .e_ehsize = sizeof eh,
        .e_phentsize = sizeof(Elf32_Phdr),
        .e_phnum = ARRAY_SIZE(segments),
    };
    bool ok = put(f, 0, &eh, sizeof eh);
    long at = 0x1000;
    long offsets[ARRAY_SIZE(segments)];
    for (unsigned i = 0; i < ARRAY_SIZE(segments); i++) {
        Elf32_Phdr ph = {
            .p_type = PT_LOAD,
            .p_offset = (Elf32_Off)at,
            .p_vaddr = segments[i].va,
            .p_paddr = segments[i].va,
            .p_filesz = segments[i].bytes,
            .p_memsz = segments[i].bytes,
            .p_flags = segments[i].flags,
            .p_align = 4096,
        };
        offsets[i] = at;
        ok = ok && put(f, (long)(sizeof eh + i * sizeof ph), &ph, sizeof ph);
        at += (segments[i].bytes + 0xfff) & ~0xfffu;
    }
    ok = ok && put(f, offsets[0], runtime_start, sizeof runtime_start);
    ok = ok && put(f, offsets[0] + (LAYOUT_DONE - LAYOUT_RUNTIME), runtime_done, sizeof runtime_done);
    ok = ok && put(f, offsets[0] + RUNTIME_CONSTANTS, constants, sizeof constants);
    ok = ok && put(f, offsets[2], im->states, states_bytes);
    ok = ok && put(f, offsets[3], im->code, code_bytes);
    ok = ok && put(f, offsets[5], im->template, ARENA_BYTES);
    return ok && put(f, at, "", 1) && fflush(f) == 0;
}

/* -- Running ------------------------------------------------------------------------------------------------- */

static size_t read_all(int fd, void *buf, size_t bytes)
{
    size_t n = 0;
    while (n < bytes) {
        ssize_t got = read(fd, (char *)buf + n, bytes - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    return n;
}

bool reference_run(const struct batch *im, const char *qemu, struct outcome *out, unsigned *done, struct error *e)
{
    const char *tmp = getenv("TEST_TMPDIR");
    if (!tmp)
        tmp = getenv("TMPDIR");
    char path[4096];
    snprintf(path, sizeof path, "%s/difftest-XXXXXX", tmp ? tmp : "/tmp");
    *done = 0;
    int fd = mkstemp(path);
    FILE *f = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (!f || !write_elf(im, f) || fchmod(fd, 0700) != 0) {
        error_set(e, 1, "cannot write %s: %s", path, strerror(errno));
        return false;
    }
    fclose(f);

    int pipefd[2];
    if (pipe(pipefd) != 0) {
        error_set(e, 1, "no pipe: %s", strerror(errno));
        return false;
    }
    pid_t pid = fork();
    if (pid == 0) {
        dup2(pipefd[1], 1);
        close(pipefd[0]);
        close(pipefd[1]);
        execlp(qemu, qemu, "-cpu", "cortex-a15", path, (char *)NULL);
        _exit(127);
    }
    close(pipefd[1]);
    if (pid < 0) {
        close(pipefd[0]);
        error_set(e, 1, "cannot fork: %s", strerror(errno));
        return false;
    }
    for (unsigned i = 0; i < im->n; i++) {
        uint32_t save[SAVE_BYTES / 4];
        if (read_all(pipefd[0], save, sizeof save) != sizeof save ||
            read_all(pipefd[0], out[i].arena, ARENA_BYTES) != ARENA_BYTES)
            break;
        memcpy(out[i].regs, save, sizeof out[i].regs);
        out[i].cpsr = save[15] & CPSR_COMPARED;
        ++*done;
    }
    close(pipefd[0]);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    unlink(path);
    if (*done == im->n && status == 0)
        return true;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        error_set(e, 1, "cannot run %s (package qemu-user)", qemu);
    else
        error_set(e, 1, "%s ended with status %#x after %u of %u snippets", qemu, status, *done, im->n);
    return false;
}
