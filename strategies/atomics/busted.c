/*
 * busted.c — a store-exclusive that succeeds whenever there was a load-exclusive: for tests
 *
 * Claims everything and watches nothing. If the conformance test passes it, the test is wrong.
 */
#include "strategies/atomics/exclusive.h"

static uint64_t ldrex(struct vcpu *v, gva va, uint32_t mem)
{
    gpa canon;
    uint8_t *host = softmmu_host(v, va, excl_bytes(mem), false, mem, &canon);
    v->excl_state = 0;
    if (!host)
        return excl_device_load(v, va, mem);
    v->excl_state = 1;
    return excl_read(host, excl_bytes(mem));
}

struct blind_store {
    uint8_t *host;
    uint64_t val;
    unsigned bytes;
};

static bool store_it(void *ctx)
{
    const struct blind_store *s = ctx;
    host_store(s->host, &s->val, s->bytes);
    return true;
}

static uint32_t strex(struct vcpu *v, gva va, uint64_t val, uint32_t mem)
{
    gpa canon;
    uint8_t *host = softmmu_host(v, va, excl_bytes(mem), true, mem, &canon);
    struct blind_store s = {host, val, excl_bytes(mem)};
    bool stored = host && v->excl_state && excl_modify(v, canon, s.bytes, store_it, &s);
    v->excl_state = 0;
    return !stored;
}

static void clear(struct vcpu *v)
{
    v->excl_state = 0;
}

const struct atomics_ops atomics_busted = {
    .head = {.name = "busted",
             .summary = "wrong: a store-exclusive watches nothing",
             .source = "",
             .gives = GIVES(ABA) | GIVES(PLAIN_STORES) | GIVES(DEVICE_STORES) | GIVES(ALIASES) | GIVES(PROGRESS) |
                      GIVES(WAKES_WFE) | GIVES(NO_STOP),
             .busted = true},
    .ldrex = ldrex,
    .strex = strex,
    .swp = excl_swap,
    .clear = clear,
};
