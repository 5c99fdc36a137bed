/*
 * loader_test.c — good images are placed right; each kind of bad one gets its sentence; mutants do no harm
 */
#include "machines/fakes_testlib.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/rng.h"
#include "engine/mem/mem.h"
#include "machines/loader.h"

static const struct load_range ranges[] = {{0x80000000, 0x100000, "RAM"}, {0x14000000, 0x10000, "SRAM"}};

#define TEXT_AT    0x200
#define TEXT_BYTES 0x40
#define DATA_AT    0x240
#define DATA_BYTES 0x20

/* A small executable: text at 0x80008000, data and bss at 0x80010000 (linked there for 0xc0010000). */
struct elf {
    Elf32_Ehdr h;
    Elf32_Phdr p[4];
    uint8_t pad[TEXT_AT - sizeof(Elf32_Ehdr) - 4 * sizeof(Elf32_Phdr)];
    uint8_t text[TEXT_BYTES];
    uint8_t data[DATA_BYTES];
};
_Static_assert(offsetof(struct elf, text) == TEXT_AT, "layout");

static struct elf good(void)
{
    struct elf f = {
        .h = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
              .e_type = ET_EXEC,
              .e_machine = EM_ARM,
              .e_version = EV_CURRENT,
              .e_entry = 0x80008004,
              .e_phoff = sizeof(Elf32_Ehdr),
              .e_ehsize = sizeof(Elf32_Ehdr),
              .e_phentsize = sizeof(Elf32_Phdr),
              .e_phnum = 4},
        .p = {{.p_type = PT_LOAD,
               .p_offset = DATA_AT,
               .p_vaddr = 0xc0010000,
               .p_paddr = 0x80010000,
               .p_filesz = DATA_BYTES,
               .p_memsz = 0x1000,
               .p_flags = PF_R | PF_W},
              {.p_type = PT_LOAD,
               .p_offset = TEXT_AT,
               .p_vaddr = 0x80008000,
               .p_paddr = 0x80008000,
               .p_filesz = TEXT_BYTES,
               .p_memsz = TEXT_BYTES,
               .p_flags = PF_R | PF_X},
              {.p_type = 0x70000001 /* ARM unwinding */, .p_offset = 0xffffffff, .p_filesz = 0xffffffff},
              {.p_type = PT_LOAD, .p_offset = 0xfffffff0}},
    };
    for (unsigned i = 0; i < TEXT_BYTES; i++)
        f.text[i] = (uint8_t)(i + 1);
    memset(f.data, 0xdd, sizeof f.data);
    return f;
}

static bool parse(struct image *img, const void *data, size_t bytes, struct error *e)
{
    *e = (struct error){0};
    return elf_parse(img, data, bytes, "x.elf", ranges, ARRAY_SIZE(ranges), e);
}

static void good_file(void **state)
{
    (void)state;
    struct elf f = good();
    struct image img;
    struct error e = {0};
    uint8_t buf[0x1000], zero[0x1000] = {0};

    assert_true(image_open(&img, fake_file(&f, sizeof f), false, 0, ranges, ARRAY_SIZE(ranges), &e));
    assert_int_equal(img.segment_count, 2);
    assert_int_equal(img.segments[0].base, 0x80008000);
    assert_int_equal(img.entry, 0x80008004);
    assert_false(img.thumb);
    assert_int_equal(img.end, 0x80011000);

    fake_reset();
    assert_true(mem_add_ram(0x80000000, 0x100000, &e));
    memset(buf, 0xee, sizeof buf);
    mem_write(0x80010000, buf, sizeof buf);
    image_place(&img, true);
    mem_read(0x80008000, buf, TEXT_BYTES);
    assert_memory_equal(buf, f.text, TEXT_BYTES);
    mem_read(0x80010000, buf, 0x1000);
    assert_memory_equal(buf, f.data, DATA_BYTES);
    assert_memory_equal(buf + DATA_BYTES, zero, 0x1000 - DATA_BYTES);
    image_free(&img);
}

static void entry_is_virtual_and_may_be_thumb(void **state)
{
    (void)state;
    struct elf f = good();
    struct image img;
    struct error e;
    f.h.e_entry = 0xc0010011;
    assert_true(parse(&img, &f, sizeof f, &e));
    assert_true(img.thumb);
    assert_int_equal(img.entry, 0x80010010);
    image_free(&(struct image){.segments = img.segments});
}

/* Each changes the good file in one way; the message must hold the words. */
#define BAD(name, words, ...)             \
 static void name##_change(struct elf *f) \
 {                                        \
  __VA_ARGS__;                            \
 }
#define BAD_FILES(X)                                                                             \
 X(no_magic, "not an ELF file; a raw binary needs --raw", f->h.e_ident[1] = 'e')                 \
 X(class64, "is 64-bit; a guest is 32-bit ARM", f->h.e_ident[EI_CLASS] = ELFCLASS64)             \
 X(class_odd, "is of no known class", f->h.e_ident[EI_CLASS] = 9)                                \
 X(big_endian, "is big-endian; a guest is little-endian", f->h.e_ident[EI_DATA] = ELFDATA2MSB)   \
 X(endian_odd, "of no known byte order", f->h.e_ident[EI_DATA] = 0)                              \
 X(version, "version 7/1", f->h.e_ident[EI_VERSION] = 7)                                         \
 X(x86, "is for x86-64 (machine 62)", f->h.e_machine = EM_X86_64)                                \
 X(other_machine, "is for another machine (machine 999)", f->h.e_machine = 999)                  \
 X(object, "relocatable object: link it", f->h.e_type = ET_REL)                                  \
 X(shared, "link with -static -no-pie", f->h.e_type = ET_DYN)                                    \
 X(no_headers, "no program headers", f->h.e_phnum = 0)                                           \
 X(xnum, "more than 65534 program headers", f->h.e_phnum = PN_XNUM)                              \
 X(header_size, "headers of 31 bytes each; they should have 32", f->h.e_phentsize = 31)          \
 X(headers_outside, "program headers reach to byte", f->h.e_phoff = 0xfffffff0)                  \
 X(headers_truncated, "is it truncated?", f->h.e_phnum = 100)                                    \
 X(interp, "program for an operating system", f->p[2].p_type = PT_INTERP)                        \
 X(nothing, "no loadable segment among its 4", f->p[0].p_type = f->p[1].p_type = PT_NULL)        \
 X(file_outside, "segment 1 reaches to byte 4096", f->p[1].p_offset = 0x1000 - TEXT_BYTES)       \
 X(file_wraps, "segment 1 reaches to byte 4294967327", f->p[1].p_offset = 0xffffffdf)            \
 X(memsz_small, "segment 0 has 32 bytes in the file and only 31", f->p[0].p_memsz = 31)          \
 X(memsz_huge, "outside the memory of this machine, which has RAM 0x80000000..0x800fffff, SRAM", \
   f->p[0].p_memsz = 0xffffffff)                                                                 \
 X(below_ram, "segment 1 (0x7fffffff..0x8000003e) is outside", f->p[1].p_paddr = 0x7fffffff)     \
 X(above_ram, "segment 1 (0x800fffff..0x8010003e) is outside", f->p[1].p_paddr = 0x800fffff)     \
 X(at_zero, "segment 1 (0x0..0x3f) is outside", f->p[1].p_paddr = 0)                             \
 X(overlap, "two segments overlap at 0x80010fff", f->p[1].p_paddr = 0x80010fff)                  \
 X(same_place, "two segments overlap at 0x80010000", f->p[1].p_paddr = 0x80010000)               \
 X(entry_outside, "entry point 0x1000 is outside", f->h.e_entry = 0x1000)                        \
 X(entry_odd, "neither word-aligned (A32) nor odd (T32)", f->h.e_entry = 0x80008002)
BAD_FILES(BAD)

static void bad_files(void **state)
{
    (void)state;
    static const struct {
        const char *name, *words;
        void (*change)(struct elf *);
    } rows[] = {
#define ROW(name, words, ...) {#name, words, name##_change},
        BAD_FILES(ROW)
#undef ROW
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct elf f = good();
        struct image img;
        struct error e;
        rows[i].change(&f);
        assert_false(parse(&img, &f, sizeof f, &e));
        if (!strstr(e.text, rows[i].words) || strncmp(e.text, "x.elf: ", 7) != 0)
            fail_msg("%s: \"%s\" does not say \"%s\"", rows[i].name, e.text, rows[i].words);
        assert_int_equal(e.exit_code, 1);
        assert_null(strchr(e.text, '\n'));
        assert_null(img.segments);
    }
}

static void truncated_anywhere(void **state)
{
    (void)state;
    struct elf f = good();
    for (size_t n = 0; n < sizeof f; n++) {
        struct image img;
        struct error e;
        uint8_t *copy = malloc(n ? n : 1); /* so that a sanitizer sees a read beyond the end */
        memcpy(copy, &f, n);
        assert_false(parse(&img, copy, n, &e));
        assert_true(e.text[0]);
        free(copy);
    }
}

static void not_files(void **state)
{
    (void)state;
    struct image img;
    struct error e = {0};
    const char *path = fake_file("", 0);
    char fifo[300];

    assert_false(image_open(&img, path, false, 0, ranges, 1, &e));
    assert_non_null(strstr(e.text, "empty"));
    e = (struct error){0};
    assert_false(image_open(&img, "/nowhere/guest.elf", false, 0, ranges, 1, &e));
    assert_string_equal(e.text, "/nowhere/guest.elf: No such file or directory");
    e = (struct error){0};
    assert_false(image_open(&img, "/", false, 0, ranges, 1, &e));
    assert_non_null(strstr(e.text, "not a regular file"));
    e = (struct error){0};
    assert_false(image_open(&img, "/dev/zero", false, 0, ranges, 1, &e));
    assert_non_null(strstr(e.text, "not a regular file"));

    snprintf(fifo, sizeof fifo, "%s.fifo", path);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    e = (struct error){0};
    assert_false(image_open(&img, fifo, false, 0, ranges, 1, &e)); /* does not wait for a writer */
    assert_non_null(strstr(e.text, "not a regular file"));
    unlink(fifo);
}

static void raw_images(void **state)
{
    (void)state;
    static uint8_t big[0x100000];
    struct image img;
    struct error e = {0};

    assert_true(image_open(&img, fake_file(big, 0xf0000), true, 0x80010000, ranges, 2, &e));
    assert_int_equal(img.entry, 0x80010000);
    assert_int_equal(img.segments[0].base, 0x80010000);
    assert_int_equal(img.end, 0x80100000);
    image_free(&img);
    assert_false(image_open(&img, fake_file(big, 0xf0001), true, 0x80010000, ranges, 2, &e));
    assert_non_null(strstr(e.text, "beyond the end of RAM (0x80100000)"));
}

/* Files that are nearly right: bytes of headers replaced by interesting values, or cut. Whatever is accepted
 * is placed, which touches each byte it claims. */
static void mutants(void **state)
{
    (void)state;
    enum { COUNT = 10000 };
    const uint64_t seed = 20160301;
    static const uint32_t values[] = {0,          1,          2,         3,          31,         32,         33,
                                      0x7f,       0xff,       0xffff,    0x10000,    0x7fffffff, 0x80000000, 0x80008000,
                                      0x800fffff, 0x80100000, 0xfffffff, 0xffffffff, 0x14000000, 0xfffff000};
    struct rng r;
    struct error e = {0};
    unsigned accepted = 0;

    print_message("seed %" PRIu64 "\n", seed);
    rng_seed(&r, seed);
    fake_reset();
    assert_true(mem_add_ram(ranges[0].base, ranges[0].bytes, &e));
    assert_true(mem_add_ram(ranges[1].base, ranges[1].bytes, &e));
    for (unsigned i = 0; i < COUNT; i++) {
        struct elf f = good();
        size_t headers = sizeof(Elf32_Ehdr) + 4 * sizeof(Elf32_Phdr), bytes = sizeof f;
        unsigned changes = 1 + (unsigned)(rng_u64(&r) % 4);
        while (changes--) {
            uint64_t x = rng_u64(&r);
            size_t at = x % headers;
            uint32_t v = values[(x >> 20) % ARRAY_SIZE(values)];
            switch ((x >> 16) % 4) {
            case 0: ((uint8_t *)&f)[at] ^= (uint8_t)(1u << (x >> 40) % 8); break;
            case 1: ((uint8_t *)&f)[at] = (uint8_t)(x >> 40); break;
            case 2: memcpy((uint8_t *)&f + (at & ~1u), &v, 2); break;
            default: memcpy((uint8_t *)&f + (at & ~3u), &v, 4); break;
            }
        }
        if (rng_u64(&r) % 8 == 0)
            bytes = rng_u64(&r) % sizeof f;
        uint8_t *copy = malloc(bytes ? bytes : 1);
        memcpy(copy, &f, bytes);
        struct image img = {0};
        if (parse(&img, copy, bytes, &e)) {
            accepted++;
            img.data = copy;
            img.data_bytes = bytes;
            image_place(&img, true);
            image_free(&img);
        } else {
            assert_true(e.text[0] && e.exit_code == 1);
            free(copy);
        }
    }
    print_message("%u of %u accepted\n", accepted, COUNT);
    assert_true(accepted > COUNT / 100 && accepted < COUNT * 99 / 100);
}

/* As many headers as a file can name, all overlapping or not: the check is not quadratic. */
static void many_segments(void **state)
{
    (void)state;
    enum { N = 65534 };
    size_t bytes = sizeof(Elf32_Ehdr) + (size_t)N * sizeof(Elf32_Phdr);
    uint8_t *data = calloc(1, bytes);
    struct elf f = good();
    struct image img;
    struct error e;
    f.h.e_phnum = N;
    f.h.e_entry = 0x80000000;
    memcpy(data, &f.h, sizeof f.h);
    for (unsigned i = 0; i < N; i++) {
        Elf32_Phdr p = {.p_type = PT_LOAD, .p_paddr = 0x80000000 + (N - 1 - i) * 16, .p_memsz = 16};
        memcpy(data + sizeof f.h + i * sizeof p, &p, sizeof p);
    }
    assert_true(parse(&img, data, bytes, &e));
    assert_int_equal(img.segment_count, N);
    free(img.segments);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_file), cmocka_unit_test(entry_is_virtual_and_may_be_thumb),
        cmocka_unit_test(bad_files), cmocka_unit_test(truncated_anywhere),
        cmocka_unit_test(not_files), cmocka_unit_test(raw_images),
        cmocka_unit_test(mutants),   cmocka_unit_test(many_segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
