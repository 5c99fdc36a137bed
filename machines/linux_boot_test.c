/*
 * linux_boot_test.c — kernels, device trees and RAM disks, good and bad
 *
 * Paths: what the edited tree tells; PSCI nodes; places that do not overlap; every refusal; random damage to a tree.
 */
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machines/fakes_testlib.h"

#include "engine/base/rng.h"
#include "engine/mem/mem.h"
#include "machines/linux_boot.h"
#include "machines/linux_dtb.h"

#define RAM UINT64_C(0x80000000)
#define MIB UINT64_C(0x100000)

static const char *const absent[] = {"nobody,chip", NULL};
static struct linux_board board;
static char kernel[300], dtb[300], initrd[300];

static void store(char path[300], const char *name, const void *data, size_t bytes)
{
    const char *dir = getenv("TEST_TMPDIR");
    snprintf(path, 300, "%s/dbtlab-boot-%d-%s", dir ? dir : "/tmp", (int)getpid(), name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, bytes, f), bytes);
    fclose(f);
}

static void store_zimage(uint32_t magic, uint32_t end)
{
    static uint32_t words[4096];
    memset(words, 0, sizeof words);
    words[0] = 0xe1a00000;
    words[9] = magic;
    words[11] = end;
    store(kernel, "kernel", words, sizeof words);
}

static size_t make_tree(uint8_t *buf, size_t bytes, const char *compatible)
{
    assert_int_equal(fdt_create(buf, (int)bytes), 0);
    fdt_finish_reservemap(buf);
    fdt_begin_node(buf, "");
    fdt_property_string(buf, "compatible", compatible);
    fdt_property_string(buf, "model", "Test");
    fdt_property_u32(buf, "#address-cells", 2);
    fdt_property_u32(buf, "#size-cells", 2);
    fdt_begin_node(buf, "chip@1000");
    fdt_property_string(buf, "compatible", "nobody,chip");
    fdt_end_node(buf);
    fdt_begin_node(buf, "memory@0");
    fdt_property_string(buf, "device_type", "memory");
    fdt_end_node(buf);
    fdt_begin_node(buf, "cpus");
    fdt_property_u32(buf, "#address-cells", 1);
    fdt_property_u32(buf, "#size-cells", 0);
    fdt_begin_node(buf, "cpu@77");
    fdt_end_node(buf);
    fdt_end_node(buf);
    fdt_end_node(buf);
    assert_int_equal(fdt_finish(buf), 0);
    return fdt_totalsize(buf);
}

static int setup(void **state)
{
    static uint8_t tree[4096];
    (void)state;
    fake_reset();
    board = (struct linux_board){
        .compatible = "test,board",
        .model = "the test board",
        .cpu = "test,cpu",
        .ram_base = RAM,
        .ram_bytes = 256 * MIB,
        .smp = 3,
        .absent = absent,
        .virtio_base = 0x1000,
        .virtio_bytes = 0x200,
        .virtio_slots = 2,
        .virtio_spi = 40,
    };
    store_zimage(0x016f2818, 4096 * 4);
    store(dtb, "dtb", tree, make_tree(tree, sizeof tree, "test,board"));
    store(initrd, "initrd", "070701", 6);
    return 0;
}

static bool try(struct linux_image *img, struct error *e, bool with_initrd)
{
    const struct linux_files f = {kernel, dtb, with_initrd ? initrd : NULL, "console=x"};
    *e = (struct error){0};
    return linux_open(img, &f, &board, e);
}

static void refused(const char *why)
{
    struct linux_image img;
    struct error e;
    assert_false(try(&img, &e, true));
    if (!strstr(e.text, why))
        fail_msg("\"%s\" does not say \"%s\"", e.text, why);
    assert_true(e.exit_code == 1 || e.exit_code == 2);
}

static void edited_tree(void **state)
{
    struct linux_image img;
    struct error e;
    int len;
    (void)state;
    assert_true(try(&img, &e, true));
    const void *fdt = img.dtb.data;
    assert_int_equal(fdt_check_full(fdt, img.dtb.bytes), 0);
    assert_true(fdt_node_offset_by_compatible(fdt, -1, "nobody,chip") < 0);
    assert_true(fdt_path_offset(fdt, "/cpus/cpu@2") > 0);
    assert_true(fdt_path_offset(fdt, "/cpus/cpu@3") < 0 && fdt_path_offset(fdt, "/cpus/cpu@77") < 0);
    assert_string_equal(fdt_getprop(fdt, fdt_path_offset(fdt, "/chosen"), "bootargs", NULL), "console=x");
    const fdt32_t *reg = fdt_getprop(fdt, fdt_path_offset(fdt, "/memory@80000000"), "reg", &len);
    assert_int_equal(len, 16);
    assert_int_equal(fdt32_to_cpu(reg[1]), RAM);
    assert_int_equal(fdt32_to_cpu(reg[3]), 256 * MIB);
    assert_true(fdt_path_offset(fdt, "/virtio_mmio@1200") > 0);
    const void *end = fdt_getprop(fdt, fdt_path_offset(fdt, "/chosen"), "linux,initrd-end", &len);
    assert_int_equal(fdt64_ld(end), img.initrd.base + 6);
    assert_true(img.kernel.base + img.kernel.bytes <= img.dtb.base && img.dtb.base + img.dtb.bytes <= img.initrd.base);
    assert_int_equal(img.kernel.base & 3, 0);
    linux_free(&img);
}

/* A /psci node stays, comes or goes as asked, and the CPUs' enable-method with it. */
static void psci(void **state)
{
    static const struct {
        const char *compatible, *method; /* in the file; NULL: no node */
        enum psci_method asked, now;
    } rows[] = {
        {NULL, NULL, PSCI_AUTO, PSCI_OFF},
        {NULL, NULL, PSCI_HVC, PSCI_HVC},
        {NULL, NULL, PSCI_SMC, PSCI_SMC},
        {"arm,psci-0.2", "hvc", PSCI_AUTO, PSCI_HVC},
        {"arm,psci-1.0", "smc", PSCI_AUTO, PSCI_SMC},
        {"arm,psci-1.0", "smc", PSCI_HVC, PSCI_HVC},
        {"arm,psci-0.2", "hvc", PSCI_OFF, PSCI_OFF},
        {"arm,psci-0.2", "telegraph", PSCI_AUTO, PSCI_OFF},
        {"arm,psci-0.2", NULL, PSCI_AUTO, PSCI_OFF},
        {"arm,psci", "hvc", PSCI_AUTO, PSCI_OFF}, /* 0.1: its numbers are its own */
    };
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        static uint8_t tree[8192], small[4096];
        struct linux_image img;
        struct error e;
        make_tree(small, sizeof small, "test,board");
        assert_int_equal(fdt_open_into(small, tree, sizeof tree), 0);
        if (rows[i].compatible) {
            int node = fdt_add_subnode(tree, 0, "psci");
            fdt_setprop_string(tree, node, "compatible", rows[i].compatible);
            if (rows[i].method)
                fdt_setprop_string(tree, node, "method", rows[i].method);
        }
        store(dtb, "dtb", tree, sizeof tree);
        board.psci = rows[i].asked;
        assert_true(try(&img, &e, false));
        assert_int_equal(img.psci, rows[i].now);
        assert_int_equal(linux_psci_method(img.dtb.data), rows[i].now);
        bool there = fdt_path_offset(img.dtb.data, "/psci") >= 0;
        bool method =
            fdt_getprop(img.dtb.data, fdt_path_offset(img.dtb.data, "/cpus/cpu@1"), "enable-method", NULL) != NULL;
        if (there != (rows[i].now != PSCI_OFF) || method != there)
            fail_msg("row %u: node %d, enable-method %d", i, there, method);
        linux_free(&img);
    }
}

static void memory_sizes(void **state)
{
    struct linux_image img;
    struct error e;
    (void)state;
    for (unsigned mib = 1; mib <= 2048; mib += mib < 300 ? 1 : 97) {
        board.ram_bytes = mib * MIB;
        if (!try(&img, &e, true)) {
            assert_true(mib < 64);
            continue;
        }
        assert_true(img.initrd.base + img.initrd.bytes <= RAM + board.ram_bytes);
        assert_true(img.kernel.base + img.kernel.bytes <= img.dtb.base);
        assert_true(img.dtb.base + img.dtb.bytes <= img.initrd.base && img.dtb.base < RAM + 128 * MIB);
        linux_free(&img);
    }
}

static void refusals(void **state)
{
    static uint8_t buf[8192];
    (void)state;
    store_zimage(0x18286f01, 0);
    refused("big-endian");
    store_zimage(0x016f2818, 1 << 24);
    refused("truncated");
    store_zimage(0, 0);
    memcpy(buf,
           "\x7f"
           "ELF",
           4);
    store(kernel, "kernel", buf, sizeof buf);
    refused("ELF");
    memset(buf, 0, sizeof buf);
    store(kernel, "kernel", buf, sizeof buf);
    refused("no kernel");
    store(kernel, "kernel", buf, 10);
    refused("no kernel");
    setup(NULL);
    store(initrd, "initrd", "", 0);
    refused("empty");
    setup(NULL);
    assert_int_equal(truncate(initrd, 250 * MIB), 0);
    refused("do not fit");
    setup(NULL);
    store(dtb, "dtb", "nothing", 7);
    refused("device tree");
    store(dtb, "dtb", buf, make_tree(buf, sizeof buf, "other,board") - 40);
    refused("damaged");
    store(dtb, "dtb", buf, make_tree(buf, sizeof buf, "other,board"));
    refused("the device tree of Test");
}

/* A tree with random bytes changed is taken or refused, and nothing else. */
static void damaged_trees(void **state)
{
    static uint8_t tree[4096], bad[4096];
    const uint64_t seed = 7;
    struct rng r;
    (void)state;
    rng_seed(&r, seed);
    print_message("seed %" PRIu64 "\n", seed);
    size_t n = make_tree(tree, sizeof tree, "test,board");
    unsigned taken = 0;
    for (unsigned i = 0; i < 3000; i++) {
        struct linux_image img;
        struct error e;
        memcpy(bad, tree, n);
        for (unsigned k = 0; k <= i % 3; k++)
            bad[rng_u64(&r) % n] = (uint8_t)rng_u64(&r);
        store(dtb, "dtb", bad, n);
        if (try(&img, &e, true)) {
            taken++;
            linux_free(&img);
        }
    }
    assert_true(taken > 100 && taken < 2900);
}

static int tidy(void **state)
{
    (void)state;
    unlink(kernel);
    unlink(dtb);
    unlink(initrd);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(edited_tree, setup, tidy),
        cmocka_unit_test_setup_teardown(psci, setup, tidy),
        cmocka_unit_test_setup_teardown(memory_sizes, setup, tidy),
        cmocka_unit_test_setup_teardown(refusals, setup, tidy),
        cmocka_unit_test_setup_teardown(damaged_trees, setup, tidy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
