/*
 * log.c — whole lines to stderr from any thread
 */
#include "engine/base/log.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

uint32_t log_mask;

static const struct {
    const char *name, *help;
} categories[] = {
#define X(id, name, help) {name, help},
    LOG_CATEGORIES(X)
#undef X
};

void log_line(const char *category, const char *fmt, ...)
{
    /* One write() a line: lines of two threads may change places, but do not mix. */
    char buf[1024];
    size_t n = 0;
    for (; category[n] && n < 31; n++)
        buf[n] = (char)tolower((unsigned char)category[n]);
    buf[n++] = ':';
    buf[n++] = ' ';

    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(buf + n, sizeof buf - n - 1, fmt, ap);
    va_end(ap);
    if (len > 0)
        n += (size_t)len < sizeof buf - n - 1 ? (size_t)len : sizeof buf - n - 2;
    if (buf[n - 1] != '\n')
        buf[n++] = '\n';

    for (size_t done = 0; done < n;) {
        ssize_t w = write(STDERR_FILENO, buf + done, n - done);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            break; /* nobody reads; a log is not worth dying for */
        done += (size_t)w;
    }
}

bool log_parse(const char *list, struct error *e)
{
    uint32_t mask = 0;
    const char *p = list;
    for (;;) {
        size_t n = strcspn(p, ",");
        bool found = false;
        if (n == 3 && !memcmp(p, "all", 3)) {
            mask |= BIT(ARRAY_SIZE(categories)) - 1;
            found = true;
        }
        for (size_t i = 0; i < ARRAY_SIZE(categories); i++) {
            if (strlen(categories[i].name) == n && !memcmp(p, categories[i].name, n)) {
                mask |= BIT(i);
                found = true;
            }
        }
        if (!found) {
            char choices[400];
            size_t len = 0;
            for (size_t i = 0; i < ARRAY_SIZE(categories) && len < sizeof choices; i++)
                len += (size_t)snprintf(choices + len, sizeof choices - len, "\n  %-6s %s", categories[i].name,
                                        categories[i].help);
            error_set(e, 2, "no log category is named '%.*s'; there are, apart from `all`:%s", (int)(n < 40 ? n : 40),
                      p, choices);
            return false;
        }
        if (!p[n])
            break;
        p += n + 1;
    }
    log_mask = mask;
    return true;
}
