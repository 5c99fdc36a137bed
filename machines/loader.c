/*
 * loader.c — reads and checks guest images, and stores them to guest memory
 *
 * ELF: System V ABI chapters 4 and 5 (gabi4+), and ELF for the ARM Architecture (ARM IHI 0044). The
 * loader looks at the file header and the program headers; sections and symbols do not matter here.
 *
 * Messages say what, where, and what would be right, in one sentence.
 */
#include "machines/loader.h"

#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/mem/mem.h"

/* -- Files --------------------------------------------------------------------------------------- */

bool load_file(const char *path, uint64_t max_bytes, uint8_t **data, size_t *bytes, struct error *e)
{
    *data = NULL;
    *bytes = 0;
    /* Without O_NONBLOCK, opening a FIFO would wait for its writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        error_set(e, 1, "%s: %s", path, strerror(errno));
        return false;
    }
    struct stat st;
    uint8_t *buf = NULL;
    if (fstat(fd, &st) < 0) {
        error_set(e, 1, "%s: %s", path, strerror(errno));
        goto fail;
    }
    if (!S_ISREG(st.st_mode)) {
        error_set(e, 1, "%s: not a regular file; a guest image is an ELF or a binary file", path);
        goto fail;
    }
    if (st.st_size == 0) {
        error_set(e, 1, "%s: the file is empty; a guest image is an ELF or a binary file", path);
        goto fail;
    }
    if ((uint64_t)st.st_size > max_bytes) {
        error_set(e, 1, "%s: %" PRIu64 " bytes are too many for this machine, which takes up to %" PRIu64, path,
                  (uint64_t)st.st_size, max_bytes);
        goto fail;
    }
    size_t size = (size_t)st.st_size, done = 0;
    buf = malloc(size);
    if (!buf) {
        error_set(e, 1, "%s: the host has no memory for its %zu bytes", path, size);
        goto fail;
    }
    while (done < size) {
        ssize_t n = read(fd, buf + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            error_set(e, 1, "%s: reading stopped at byte %zu of %zu: %s", path, done, size,
                      n < 0 ? strerror(errno) : "the file has become shorter");
            goto fail;
        }
        done += (size_t)n;
    }
    close(fd);
    *data = buf;
    *bytes = size;
    return true;

fail:
    free(buf);
    close(fd);
    return false;
}

/* -- ELF ----------------------------------------------------------------------------------------- */

static const char *class_name(unsigned c)
{
    return c == ELFCLASS64 ? "64-bit" : c == ELFCLASS32 ? "32-bit" : "of no known class";
}

static const char *machine_name(unsigned m)
{
    switch (m) {
    case EM_ARM: return "ARM";
    case EM_AARCH64: return "AArch64";
    case EM_X86_64: return "x86-64";
    case EM_386: return "i386";
    case EM_RISCV: return "RISC-V";
    case EM_MIPS: return "MIPS";
    case EM_PPC: return "PowerPC";
    default: return "another machine";
    }
}

static const char *type_advice(unsigned t)
{
    switch (t) {
    case ET_REL: return "a relocatable object: link it";
    case ET_DYN: return "a shared or position-independent object: link with -static -no-pie";
    case ET_CORE: return "a core dump";
    default: return "of no known type";
    }
}

static bool check_header(const Elf32_Ehdr *h, size_t bytes, const char *path, struct error *e)
{
    unsigned type = le16toh(h->e_type), machine = le16toh(h->e_machine);

    if (h->e_ident[EI_CLASS] != ELFCLASS32) {
        error_set(e, 1, "%s: this ELF file is %s; a guest is 32-bit ARM", path, class_name(h->e_ident[EI_CLASS]));
        return false;
    }
    if (h->e_ident[EI_DATA] != ELFDATA2LSB) {
        error_set(e, 1, "%s: this ELF file is %s; a guest is little-endian", path,
                  h->e_ident[EI_DATA] == ELFDATA2MSB ? "big-endian" : "of no known byte order");
        return false;
    }
    if (h->e_ident[EI_VERSION] != EV_CURRENT || le32toh(h->e_version) != EV_CURRENT) {
        error_set(e, 1, "%s: ELF version %u/%" PRIu32 " is not known; it should be 1", path, h->e_ident[EI_VERSION],
                  le32toh(h->e_version));
        return false;
    }
    if (machine != EM_ARM) {
        error_set(e, 1, "%s: this ELF file is for %s (machine %u); a guest is for ARM (machine %u)", path,
                  machine_name(machine), machine, EM_ARM);
        return false;
    }
    if (type != ET_EXEC) {
        error_set(e, 1, "%s: ELF type %u is %s; a guest is an executable (type %u)", path, type, type_advice(type),
                  ET_EXEC);
        return false;
    }
    if (le16toh(h->e_phnum) == 0) {
        error_set(e, 1, "%s: no program headers, so nothing to load; was it linked?", path);
        return false;
    }
    if (le16toh(h->e_phnum) == PN_XNUM) {
        error_set(e, 1, "%s: more than %u program headers; that many are not supported", path, PN_XNUM - 1);
        return false;
    }
    if (le16toh(h->e_phentsize) != sizeof(Elf32_Phdr)) {
        error_set(e, 1, "%s: program headers of %u bytes each; they should have %zu", path, le16toh(h->e_phentsize),
                  sizeof(Elf32_Phdr));
        return false;
    }
    uint64_t ph_end = (uint64_t)le32toh(h->e_phoff) + (uint64_t)le16toh(h->e_phnum) * sizeof(Elf32_Phdr);
    if (ph_end > bytes) {
        error_set(e, 1, "%s: the program headers reach to byte %" PRIu64 " of a file of %zu bytes; is it truncated?",
                  path, ph_end, bytes);
        return false;
    }
    return true;
}

/* The ranges as text: "RAM 0x80000000..0x8fffffff, SRAM ...". */
static void ranges_text(char *buf, size_t bytes, const struct load_range *r, unsigned n)
{
    size_t at = 0;
    buf[0] = 0;
    for (unsigned i = 0; i < n && at < bytes; i++) {
        int w = snprintf(buf + at, bytes - at, "%s%s 0x%" PRIx64 "..0x%" PRIx64, i ? ", " : "", r[i].name, r[i].base,
                         r[i].base + r[i].bytes - 1);
        if (w < 0)
            return;
        at += (size_t)w;
    }
}

static const struct load_range *range_of(gpa base, uint64_t bytes, const struct load_range *r, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (base >= r[i].base && bytes <= r[i].bytes && base - r[i].base <= r[i].bytes - bytes)
            return &r[i];
    return NULL;
}

static bool check_segment(const Elf32_Phdr *p, unsigned index, size_t bytes, const char *path,
                          const struct load_range *ranges, unsigned range_count, struct error *e)
{
    uint64_t off = le32toh(p->p_offset), filesz = le32toh(p->p_filesz);
    uint64_t memsz = le32toh(p->p_memsz), base = le32toh(p->p_paddr);

    if (filesz > memsz) {
        error_set(e, 1,
                  "%s: segment %u has %" PRIu64 " bytes in the file and only %" PRIu64
                  " in memory; memory cannot be the smaller",
                  path, index, filesz, memsz);
        return false;
    }
    if (filesz && off + filesz > bytes) {
        error_set(e, 1, "%s: segment %u reaches to byte %" PRIu64 " of a file of %zu bytes; is it truncated?", path,
                  index, off + filesz, bytes);
        return false;
    }
    if (!range_of(base, memsz, ranges, range_count)) {
        char where[200];
        ranges_text(where, sizeof where, ranges, range_count);
        error_set(e, 1,
                  "%s: segment %u (0x%" PRIx64 "..0x%" PRIx64 ") is outside the memory of this machine, which has %s",
                  path, index, base, base + memsz - 1, where);
        return false;
    }
    return true;
}

static int by_base(const void *a, const void *b)
{
    const struct image_segment *x = a, *y = b;
    return x->base < y->base ? -1 : x->base > y->base;
}

bool elf_parse(struct image *img, const uint8_t *data, size_t bytes, const char *path, const struct load_range *ranges,
               unsigned range_count, struct error *e)
{
    Elf32_Ehdr h;

    img->segments = NULL;
    img->segment_count = 0;
    if (bytes < SELFMAG || memcmp(data, ELFMAG, SELFMAG) != 0) {
        error_set(e, 1, "%s: not an ELF file; a raw binary needs --raw", path);
        return false;
    }
    /* The class decides the size of the header, so it is looked at first. */
    if (bytes > EI_CLASS && data[EI_CLASS] != ELFCLASS32) {
        error_set(e, 1, "%s: this ELF file is %s; a guest is 32-bit ARM", path, class_name(data[EI_CLASS]));
        return false;
    }
    if (bytes < sizeof h) {
        error_set(e, 1, "%s: the file has %zu bytes, less than an ELF header (%zu); is it truncated?", path, bytes,
                  sizeof h);
        return false;
    }
    memcpy(&h, data, sizeof h);
    if (!check_header(&h, bytes, path, e))
        return false;

    unsigned n = le16toh(h.e_phnum);
    const uint8_t *table = data + le32toh(h.e_phoff);
    struct image_segment *seg = calloc(n, sizeof *seg);
    if (!seg) {
        error_set(e, 1, "%s: the host has no memory for %u program headers", path, n);
        return false;
    }
    unsigned count = 0;
    uint32_t entry = le32toh(h.e_entry);
    bool thumb = entry & 1;
    bool entry_found = false;
    entry &= ~UINT32_C(1);
    uint32_t entry_pa = entry;

    for (unsigned i = 0; i < n; i++) {
        Elf32_Phdr p;
        memcpy(&p, table + (size_t)i * sizeof p, sizeof p);
        if (le32toh(p.p_type) == PT_INTERP) {
            error_set(e, 1,
                      "%s: this is a program for an operating system (it names an interpreter); "
                      "a guest is linked for the bare machine",
                      path);
            goto fail;
        }
        if (le32toh(p.p_type) != PT_LOAD || (p.p_memsz == 0 && p.p_filesz == 0))
            continue;
        if (!check_segment(&p, i, bytes, path, ranges, range_count, e))
            goto fail;
        seg[count++] = (struct image_segment){
            .base = le32toh(p.p_paddr),
            .mem_bytes = le32toh(p.p_memsz),
            .file_off = le32toh(p.p_offset),
            .file_bytes = le32toh(p.p_filesz),
        };
        /* The entry is a virtual address; vCPUs start with the MMU off, where its code was loaded. */
        uint32_t off = entry - le32toh(p.p_vaddr);
        if (!entry_found && entry >= le32toh(p.p_vaddr) && off < le32toh(p.p_memsz)) {
            entry_found = true;
            entry_pa = le32toh(p.p_paddr) + off;
        }
    }
    if (count == 0) {
        error_set(e, 1, "%s: no loadable segment among its %u program headers; was it linked?", path, n);
        goto fail;
    }
    qsort(seg, count, sizeof *seg, by_base);
    for (unsigned i = 1; i < count; i++) {
        if (seg[i].base - seg[i - 1].base < seg[i - 1].mem_bytes) {
            error_set(e, 1,
                      "%s: two segments overlap at 0x%" PRIx64 " (0x%" PRIx64 "..0x%" PRIx64 " and 0x%" PRIx64
                      "..0x%" PRIx64 "); each byte must have one source",
                      path, seg[i].base, seg[i - 1].base, seg[i - 1].base + seg[i - 1].mem_bytes - 1, seg[i].base,
                      seg[i].base + seg[i].mem_bytes - 1);
            goto fail;
        }
    }
    const struct load_range *home = range_of(entry_pa, thumb ? 2 : 4, ranges, range_count);
    if (!home) {
        char where[200];
        ranges_text(where, sizeof where, ranges, range_count);
        error_set(e, 1, "%s: the entry point 0x%" PRIx32 " is outside the memory of this machine, which has %s", path,
                  entry_pa, where);
        goto fail;
    }
    if (!thumb && (entry_pa & 3)) {
        error_set(e, 1, "%s: the entry point 0x%" PRIx32 " is neither word-aligned (A32) nor odd (T32)", path,
                  entry_pa);
        goto fail;
    }

    img->segments = seg;
    img->segment_count = count;
    img->entry = entry_pa;
    img->thumb = thumb;
    img->end = home->base;
    for (unsigned i = 0; i < count; i++)
        if (seg[i].base >= home->base && seg[i].base - home->base < home->bytes)
            img->end = seg[i].base + seg[i].mem_bytes;
    return true;

fail:
    free(seg);
    return false;
}

/* -- Images -------------------------------------------------------------------------------------- */

static bool raw_image(struct image *img, const char *path, gpa base, const struct load_range *ranges,
                      unsigned range_count, struct error *e)
{
    const struct load_range *home = range_of(base, 1, ranges, range_count);
    if (!home || !range_of(base, img->data_bytes, ranges, range_count)) {
        error_set(e, 1, "%s: %zu bytes at 0x%" PRIx64 " reach beyond the end of RAM (0x%" PRIx64 ")", path,
                  img->data_bytes, base, ranges[0].base + ranges[0].bytes);
        return false;
    }
    img->segments = calloc(1, sizeof *img->segments);
    CHECK(img->segments, "out of memory");
    img->segments[0] =
        (struct image_segment){.base = base, .mem_bytes = img->data_bytes, .file_bytes = img->data_bytes};
    img->segment_count = 1;
    img->entry = (uint32_t)base;
    img->thumb = false;
    img->end = base + img->data_bytes;
    return true;
}

bool image_open(struct image *img, const char *path, bool raw, gpa raw_base, const struct load_range *ranges,
                unsigned range_count, struct error *e)
{
    *img = (struct image){0};
    /* Debug information makes ELF files larger than the memory they fill. */
    uint64_t max = raw ? ranges[0].bytes : UINT64_C(1) << 32;
    if (!load_file(path, max, &img->data, &img->data_bytes, e))
        return false;
    bool ok = raw ? raw_image(img, path, raw_base, ranges, range_count, e)
                  : elf_parse(img, img->data, img->data_bytes, path, ranges, range_count, e);
    if (!ok)
        image_free(img);
    return ok;
}

void image_place(const struct image *img, bool clear)
{
    static const uint8_t zeros[65536];

    for (unsigned i = 0; i < img->segment_count; i++) {
        const struct image_segment *s = &img->segments[i];
        enum mem_result r = MEM_OK;
        if (s->file_bytes)
            r = mem_write(s->base, img->data + s->file_off, s->file_bytes);
        CHECK(r == MEM_OK, "segment at 0x%" PRIx64 " was checked to be in RAM", s->base);
        for (uint64_t at = s->file_bytes; clear && at < s->mem_bytes;) {
            uint64_t n = s->mem_bytes - at < sizeof zeros ? s->mem_bytes - at : sizeof zeros;
            r = mem_write(s->base + at, zeros, n);
            CHECK(r == MEM_OK, "segment at 0x%" PRIx64 " was checked to be in RAM", s->base);
            at += n;
        }
    }
}

void image_free(struct image *img)
{
    free(img->data);
    free(img->segments);
    *img = (struct image){0};
}
