/* semihost.c — every semihosting call that the project offers, with what it must answer.
 *
 * Forces: the semihosting trap in A32 (SVC 0x123456) and T32 (SVC 0xAB); lr_svc and the flags
 *   survive it.
 * Parameters: file= (a file of the host to read, by default none); write=0 (1: also create, rename
 *   and remove the file dbtlab-semihost.tmp in the current folder, on an implementation that allows
 *   it).
 * Metrics: "#! SYS_..." lines with what the implementation says about itself.
 * Self-check: failing calls answer -1 and set SYS_ERRNO; SYS_ELAPSED and SYS_CLOCK do not run
 *   backwards; SYS_ISERROR is right; a file reads the same by one call and byte by byte. CPU 0
 *   only.
 */
#include "rt.h"

RT_GUEST("semihost");

enum {
    SYS_OPEN = 0x01,
    SYS_CLOSE,
    SYS_WRITEC,
    SYS_WRITE0,
    SYS_WRITE,
    SYS_READ,
    SYS_READC,
    SYS_ISERROR,
    SYS_ISTTY,
    SYS_SEEK,
    SYS_FLEN = 0x0c,
    SYS_TMPNAM,
    SYS_REMOVE,
    SYS_RENAME,
    SYS_CLOCK,
    SYS_TIME,
    SYS_SYSTEM,
    SYS_ERRNO,
    SYS_GET_CMDLINE = 0x15,
    SYS_HEAPINFO,
    SYS_ELAPSED = 0x30,
    SYS_TICKFREQ
};
#define FAILED 0xffffffffu

static uint32_t call1(uint32_t op, uint32_t a)
{
    return rt_semi(op, &a);
}
static uint32_t call2(uint32_t op, uint32_t a, uint32_t b)
{
    uint32_t v[2] = {a, b};
    return rt_semi(op, v);
}
static uint32_t call3(uint32_t op, uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t v[3] = {a, b, c};
    return rt_semi(op, v);
}
static uint32_t addr(const void *p)
{
    return (uint32_t)(uintptr_t)p;
}
static uint32_t open_file(const char *name, uint32_t mode)
{
    return call3(SYS_OPEN, addr(name), mode, strlen(name));
}

static void check_registers(void)
{
    uint32_t before, after, lr = 0x12345678, got;
    asm volatile("mov r3, lr\n\tmov lr, %3\n\tmov r0, #0x10\n\tmov r1, #0\n\tcmp r1, r1\n\tmrs %0, cpsr\n\t"
#ifdef __thumb__
                 "svc 0xab\n\t"
#else
                 "svc 0x123456\n\t"
#endif
                 "mrs %1, cpsr\n\tmov %2, lr\n\tmov lr, r3"
                 : "=&r"(before), "=&r"(after), "=&r"(got)
                 : "r"(lr)
                 : "r0", "r1", "r3", "lr", "cc", "memory");
    rt_printf("#! lr_svc %s\n", got == lr ? "kept" : "overwritten");
    if (before != after)
        rt_fail("cpsr was %08x, is %08x after a call", before, after);
}

static void check_file(const char *name)
{
    static uint8_t whole[4096], single;
    uint32_t h = open_file(name, 1), sum = 0, n;
    if (h == FAILED)
        rt_fail("cannot open the file");
    uint32_t len = call1(SYS_FLEN, h);
    n = len < sizeof(whole) ? len : sizeof(whole);
    if (call3(SYS_READ, h, addr(whole), n) != 0)
        rt_fail("SYS_READ came back with too little");
    if (call2(SYS_SEEK, h, 0) != 0)
        rt_fail("SYS_SEEK");
    for (uint32_t i = 0; i < n; i++) {
        if (call3(SYS_READ, h, addr(&single), 1) != 0 || single != whole[i])
            rt_fail("byte %u read differently", i);
        sum = sum * 31 + single;
    }
    call2(SYS_SEEK, h, len);
    if (call3(SYS_READ, h, addr(&single), 1) != 1)
        rt_fail("SYS_READ at the end must answer that nothing was read");
    if (call1(SYS_ISTTY, h) == 1)
        rt_fail("a file is not a terminal");
    if (call1(SYS_CLOSE, h) != 0)
        rt_fail("SYS_CLOSE");
    if (call1(SYS_CLOSE, h) != FAILED)
        rt_fail("a closed handle was closed again");
    rt_printf("file: %u bytes, sum of the first %u: %08x\n", len, n, sum);
}

static void check_write(void)
{
    const char *name = "dbtlab-semihost.tmp", *name2 = "dbtlab-semihost.tmp2";
    char back[8] = {0};
    uint32_t h = open_file(name, 5);
    if (h == FAILED)
        rt_fail("cannot create a file");
    if (call3(SYS_WRITE, h, addr("written"), 7) != 0)
        rt_fail("SYS_WRITE");
    call1(SYS_CLOSE, h);
    uint32_t v[4] = {addr(name), strlen(name), addr(name2), strlen(name2)};
    if (rt_semi(SYS_RENAME, v) != 0)
        rt_fail("SYS_RENAME");
    h = open_file(name2, 1);
    if (h == FAILED || call3(SYS_READ, h, addr(back), 7) != 0 || !rt_streq(back, "written"))
        rt_fail("the file does not read as written");
    call1(SYS_CLOSE, h);
    if (call2(SYS_REMOVE, addr(name2), strlen(name2)) != 0)
        rt_fail("SYS_REMOVE");
    rt_printf("file written, renamed, read and removed\n");
}

void guest_main(void)
{
    static char text[256];
    const char *file = rt_param_str("file", "");
    uint32_t v[4], t0, t1, h;

    check_registers();
    v[0] = addr(text);
    v[1] = sizeof(text);
    if (rt_semi(SYS_GET_CMDLINE, v) != 0 || v[1] != strlen(text))
        rt_fail("SYS_GET_CMDLINE");
    rt_printf("#! command line: %s\n", text);
    v[0] = addr(text);
    v[1] = 1;
    if (rt_semi(SYS_GET_CMDLINE, v) != FAILED && strlen(text) > 1)
        rt_fail("SYS_GET_CMDLINE into a buffer that is too small");

    /* Where these two go beside the UART is the implementation's choice: marked as not to be
     * compared. */
    const char *line = "#! SYS_WRITE0 and SYS_WRITEC";
    rt_semi(SYS_WRITE0, line);
    char newline = '\n';
    rt_semi(SYS_WRITEC, &newline);

    t0 = rt_semi(SYS_CLOCK, NULL);
    v[0] = v[1] = 0;
    if (rt_semi(SYS_ELAPSED, v) != 0)
        rt_fail("SYS_ELAPSED");
    uint64_t e0 = (uint64_t)v[1] << 32 | v[0];
    rt_delay_ns(30000000);
    t1 = rt_semi(SYS_CLOCK, NULL);
    rt_semi(SYS_ELAPSED, v);
    uint64_t e1 = (uint64_t)v[1] << 32 | v[0];
    rt_printf("#! SYS_TICKFREQ %u SYS_TIME %u SYS_CLOCK +%u\n", rt_semi(SYS_TICKFREQ, NULL), rt_semi(SYS_TIME, NULL),
              t1 - t0);
    if (t1 < t0)
        rt_fail("SYS_CLOCK runs backwards");
    if (e1 <= e0)
        rt_fail("SYS_ELAPSED stands still");
    if (rt_semi(SYS_TICKFREQ, NULL) == FAILED)
        rt_fail("SYS_TICKFREQ");

    v[0] = v[1] = v[2] = v[3] = 0;
    uint32_t *block = v;
    rt_semi(SYS_HEAPINFO, &block);
    rt_printf("#! SYS_HEAPINFO %08x %08x %08x %08x\n", v[0], v[1], v[2], v[3]);

    if (call1(SYS_ISERROR, 0) != 0 || call1(SYS_ISERROR, FAILED) == 0)
        rt_fail("SYS_ISERROR");
    if (open_file("no/such/file/anywhere", 1) != FAILED)
        rt_fail("a file that does not exist was opened");
    rt_printf("#! SYS_ERRNO %u\n", rt_semi(SYS_ERRNO, NULL));
    if (rt_semi(SYS_ERRNO, NULL) == 0)
        rt_fail("SYS_ERRNO is 0 after an error");
    if (call1(SYS_CLOSE, 0x7ffffff0) != FAILED || call1(SYS_FLEN, 0x7ffffff0) != FAILED)
        rt_fail("a handle that does not exist was accepted");

    h = open_file(":tt", 4);
    if (h == FAILED)
        rt_fail("cannot open the console");
    if (call3(SYS_WRITE, h, addr("#! :tt\n"), 7) != 0)
        rt_fail("SYS_WRITE to the console");
    rt_printf("#! SYS_ISTTY %u\n", call1(SYS_ISTTY, h));
    call1(SYS_CLOSE, h);

    h = open_file(":semihosting-features", 0);
    if (h != FAILED) {
        uint8_t magic[4] = {0};
        uint32_t len = call1(SYS_FLEN, h);
        if (len < 4 || call3(SYS_READ, h, addr(magic), 4) != 0 || memcmp(magic, "SHFB", 4) != 0)
            rt_fail("the features file has no magic number");
        if (len > 4 && call3(SYS_READ, h, addr(magic), 1) == 0)
            rt_printf("#! features %02x\n", magic[0]);
        call1(SYS_CLOSE, h);
    } else {
        rt_printf("#! no features file\n");
    }
    if (*file)
        check_file(file);
    if (rt_param("write", 0))
        check_write();
    rt_printf("all calls answered\n");
    rt_pass();
}
