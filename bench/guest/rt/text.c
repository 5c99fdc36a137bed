/* text.c — the parts of the guests' runtime that need no machine: memory and strings, printing, parameters.
 *
 * Shared by the bare machine (rt.c) and Linux (bench/linux/rt_linux.c), which have rt_putc(), rt_exit() and rt_cmdline.
 */
#include "rt.h"

char rt_cmdline[RT_CMDLINE];

/* -- C library pieces the compiler calls ------------------------------------------------------- */

void *memcpy(void *d, const void *s, size_t n)
{
    char *dp = d;
    const char *sp = s;
    if ((((uintptr_t)d | (uintptr_t)s) & 3) == 0)
        for (; n >= 4; n -= 4, dp += 4, sp += 4)
            *(uint32_t *)(void *)dp = *(const uint32_t *)(const void *)sp;
    while (n--)
        *dp++ = *sp++;
    return d;
}

void *memset(void *d, int c, size_t n)
{
    char *dp = d;
    uint32_t w = (uint8_t)c * 0x01010101u;
    if (((uintptr_t)d & 3) == 0)
        for (; n >= 4; n -= 4, dp += 4)
            *(uint32_t *)(void *)dp = w;
    while (n--)
        *dp++ = (char)c;
    return d;
}

void *memmove(void *d, const void *s, size_t n)
{
    char *dp = d;
    const char *sp = s;
    if (dp <= sp)
        return memcpy(d, s, n);
    while (n--)
        dp[n] = sp[n];
    return d;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a, *y = b;
    for (; n; n--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

size_t strlen(const char *s)
{
    const char *p = s;
    while (*p)
        p++;
    return (size_t)(p - s);
}

int strcmp(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return (uint8_t)*a - (uint8_t)*b;
}

char *strcpy(char *d, const char *s)
{
    char *r = d;
    while ((*d++ = *s++))
        ;
    return r;
}

/* -- output ------------------------------------------------------------------------------------ */

static void put_number(uint64_t v, unsigned base, bool neg, int width, bool zero, bool left)
{
    char buf[24];
    int n = 0;
    do {
        unsigned d = (unsigned)(v % base);
        buf[n++] = (char)(d < 10 ? '0' + d : 'a' + d - 10);
        v /= base;
    } while (v);
    int pad = width - n - neg;
    if (!zero && !left)
        for (; pad > 0; pad--)
            rt_putc(' ');
    if (neg)
        rt_putc('-');
    if (zero)
        for (; pad > 0; pad--)
            rt_putc('0');
    while (n)
        rt_putc(buf[--n]);
    if (left)
        for (; pad > 0; pad--)
            rt_putc(' ');
}

static void vprint(const char *f, va_list ap)
{
    for (; *f; f++) {
        if (*f != '%') {
            rt_putc(*f);
            continue;
        }
        bool left = false, zero = false;
        int width = 0, longs = 0;
        for (f++; *f == '-' || *f == '0'; f++)
            *f == '-' ? (left = true) : (zero = true);
        for (; *f >= '0' && *f <= '9'; f++)
            width = width * 10 + *f - '0';
        for (; *f == 'l' || *f == 'z'; f++)
            longs++;
        switch (*f) {
        case 'd': {
            int64_t v = longs > 1 ? va_arg(ap, int64_t) : va_arg(ap, int32_t);
            put_number(v < 0 ? -(uint64_t)v : (uint64_t)v, 10, v < 0, width, zero, left);
            break;
        }
        case 'u':
        case 'x':
            put_number(longs > 1 ? va_arg(ap, uint64_t) : va_arg(ap, uint32_t), *f == 'u' ? 10 : 16, false, width, zero,
                       left);
            break;
        case 's': {
            const char *s = va_arg(ap, const char *);
            int n = (int)strlen(s);
            for (; !left && width > n; width--)
                rt_putc(' ');
            for (const char *p = s; *p; p++)
                rt_putc(*p);
            for (; left && width > n; width--)
                rt_putc(' ');
            break;
        }
        case 'c': rt_putc((char)va_arg(ap, int)); break;
        default: rt_putc(*f);
        }
    }
}

void rt_printf(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vprint(fmt, ap);
    va_end(ap);
}

void rt_metric(const char *name, uint64_t value, const char *unit)
{
    rt_printf("#! metric %s=%llu unit=%s\n", name, (unsigned long long)value, unit);
}

void rt_metric_rate(const char *name, uint64_t count, uint64_t ns, const char *unit)
{
    uint64_t r = 0;
    if (ns)
        r = count > UINT64_MAX / 1000000000u ? count / (ns / 1000000000u + 1) : count * 1000000000u / ns;
    rt_metric(name, r, unit);
}

void rt_pass(void)
{
    rt_printf("PASS %s\n", rt_name);
    rt_exit(0);
}

void rt_fail(const char *fmt, ...)
{
    va_list ap;
    rt_printf("FAIL %s: ", rt_name);
    va_start(ap, fmt);
    vprint(fmt, ap);
    va_end(ap);
    rt_putc('\n');
    rt_exit(1);
}

/* -- parameters -------------------------------------------------------------------------------- */

bool rt_streq(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

const char *rt_param_str(const char *key, const char *def)
{
    static char values[32][64];
    static unsigned used;
    size_t n = strlen(key);
    for (const char *p = rt_cmdline; *p;) {
        while (*p == ' ')
            p++;
        if (memcmp(p, key, n) == 0 && p[n] == '=' && used < ARRAY_LEN(values)) {
            char *v = values[used++];
            size_t i = 0;
            for (p += n + 1; *p && *p != ' ' && i < sizeof(values[0]) - 1; p++)
                v[i++] = *p;
            v[i] = 0;
            return v;
        }
        while (*p && *p != ' ')
            p++;
    }
    return def;
}

uint32_t rt_param(const char *key, uint32_t def)
{
    const char *s = rt_param_str(key, "");
    uint32_t v = 0, base = 10;
    if (!*s)
        return def;
    if (s[0] == '0' && s[1] == 'x')
        base = 16, s += 2;
    for (; *s; s++) {
        uint32_t d = *s >= 'a' && *s <= 'f' ? (uint32_t)(*s - 'a' + 10) : (uint32_t)(*s - '0');
        if (d >= base)
            rt_fail("parameter %s is not a number", key);
        v = v * base + d;
    }
    return v;
}
