/*
 * pin.c — which host CPU each vCPU thread is to run on (hwloc)
 *
 * Not pinned unless asked: two runs side by side that both pin their first vCPU would share one core while others idle.
 */
#include "engine/main/pin.h"

#include <ctype.h>
#include <hwloc.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/sync/sync.h"

#define LIST_MAX 64

/* "0,2,4-7". Returns how many, 0 when it is no such list. */
static unsigned parse_list(const char *text, int *cpus)
{
    unsigned n = 0;
    for (const char *p = text;;) {
        char *end;
        if (!isdigit((unsigned char)*p))
            return 0;
        unsigned long lo = strtoul(p, &end, 10), hi = lo;
        if (*end == '-') {
            p = end + 1;
            if (!isdigit((unsigned char)*p))
                return 0;
            hi = strtoul(p, &end, 10);
        }
        if (hi < lo || hi > INT_MAX || hi - lo >= LIST_MAX)
            return 0;
        for (unsigned long c = lo; c <= hi; c++) {
            if (n == LIST_MAX)
                return 0;
            cpus[n++] = (int)c;
        }
        if (!*end)
            return n;
        if (*end != ',')
            return 0;
        p = end + 1;
    }
}

bool pin_check(const char *spec, struct error *e)
{
    int cpus[LIST_MAX];
    if (!strcmp(spec, "none") || !strcmp(spec, "auto") || parse_list(spec, cpus))
        return true;
    error_set(e, 2, "--pin=%s: write auto, none, or a list of host CPUs such as 0,2 or 4-7", spec);
    return false;
}

static bool pin_to_list(hwloc_topology_t t, const char *spec, struct error *e)
{
    int cpus[LIST_MAX];
    unsigned n = parse_list(spec, cpus);
    if (n < nvcpus) {
        error_set(e, 2, "--pin=%s names %u host CPU%s for %u vCPUs; name one for each", spec, n, n == 1 ? "" : "s",
                  nvcpus);
        return false;
    }
    for (unsigned i = 0; i < nvcpus; i++) {
        if (!hwloc_get_pu_obj_by_os_index(t, (unsigned)cpus[i])) {
            char *usable = NULL;
            hwloc_bitmap_list_asprintf(&usable, hwloc_topology_get_topology_cpuset(t));
            error_set(e, 2, "--pin=%s: there is no host CPU %d that this process may use; there are %s", spec, cpus[i],
                      usable ? usable : "others");
            free(usable);
            return false;
        }
        vcpu_thread(vcpus[i])->pin = cpus[i];
    }
    return true;
}

static void pin_to_cores(hwloc_topology_t t, bool say)
{
    int cores = hwloc_get_nbobjs_by_type(t, HWLOC_OBJ_CORE);
    if (cores < 0 || (unsigned)cores < nvcpus) {
        if (say)
            fprintf(stderr, "dbtlab: %u vCPUs on %d host cores: not pinned\n", nvcpus, cores);
        return;
    }
    hwloc_obj_t root = hwloc_get_root_obj(t);
    hwloc_cpuset_t sets[MAX_VCPUS];
    if (hwloc_distrib(t, &root, 1, sets, nvcpus, INT_MAX, 0))
        return;
    for (unsigned i = 0; i < nvcpus; i++) {
        vcpu_thread(vcpus[i])->pin = hwloc_bitmap_first(sets[i]);
        hwloc_bitmap_free(sets[i]);
    }
}

bool pin_vcpus(const char *spec, bool say, struct error *e)
{
    if (!strcmp(spec, "none"))
        return true;
    hwloc_topology_t t;
    if (hwloc_topology_init(&t)) {
        error_set(e, 1, "the topology of this host cannot be read; run with --pin=none");
        return false;
    }
    bool ok = !hwloc_topology_load(t);
    if (!ok) {
        error_set(e, 1, "the topology of this host cannot be read; run with --pin=none");
    } else {
        /* Only what this process may use (taskset, cgroups). */
        hwloc_bitmap_t mine = hwloc_bitmap_alloc();
        if (mine && !hwloc_get_cpubind(t, mine, HWLOC_CPUBIND_PROCESS))
            hwloc_topology_restrict(t, mine, 0);
        hwloc_bitmap_free(mine);
        if (!strcmp(spec, "auto"))
            pin_to_cores(t, say);
        else
            ok = pin_to_list(t, spec, e);
    }
    hwloc_topology_destroy(t);
    return ok;
}
