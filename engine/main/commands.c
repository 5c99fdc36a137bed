/*
 * commands.c — the commands of the binary: run, help, --list-strategies, --version
 *
 * stdout belongs to the guest, and to answers that were asked for; everything else of ours goes to stderr.
 */
#include "engine/main/commands.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/main/launch.h"
#include "engine/main/list.h"

static int report(const struct error *e)
{
    fprintf(stderr, "dbtlab: %s\n", e->text);
    return e->exit_code;
}

static int usage(FILE *out, int exit_code)
{
    fputs("dbtlab - a multi-threaded ARMv7-A emulator whose synchronisation strategies are chosen at launch\n"
          "\n"
          "  dbtlab run [options] FILE.elf [arguments of the guest]\n"
          "  dbtlab run [options] --kernel=FILE --dtb=FILE [--initrd=FILE] [--append=STRING]\n"
          "  dbtlab --list-strategies[=json]\n"
          "  dbtlab --version\n"
          "  dbtlab help run              every option of a run\n"
          "\n"
          "Example: dbtlab run --smp=4 --atomics=llsc FILE.elf\n"
          "Exit codes: the guest's own; 1 something failed, 2 wrong usage, 70 the guest made an error that it could\n"
          "not handle, 124 --timeout.\n",
          out);
    return exit_code;
}

/* The answer is lost when stdout is full or gone: say so. */
static int answered(void)
{
    if (!fflush(stdout) && !ferror(stdout))
        return 0;
    fputs("dbtlab: cannot write to stdout\n", stderr);
    return 1;
}

static int run(char **argv)
{
    static struct run_options o; /* read by the engine to the end of the process */
    static struct resolved r;
    struct error e = {0};
    for (char **p = argv; *p && (*p)[0] == '-' && strcmp(*p, "--"); p++) {
        if (!strcmp(*p, "--help") || !strcmp(*p, "-h")) {
            options_help(stdout);
            return answered();
        }
    }
    if (!options_parse(&o, argv, &e) || !options_resolve(&r, &o, &e))
        return report(&e);
    if (o.print_config) {
        options_print_json(stdout, &o, &r);
        putchar('\n');
        return answered();
    }
    if (!o.image && !o.kernel) {
        error_set(&e, 2, "no image: dbtlab run [options] FILE.elf; `dbtlab help run` tells more");
        return report(&e);
    }
    if (o.kernel && (o.image || o.raw)) {
        error_set(&e, 2,
                  o.raw ? "--raw and --kernel are two ways to start; give one"
                        : "%s and --kernel are two things to start; give one",
                  o.image);
        return report(&e);
    }
    if (!o.kernel && (o.initrd || o.append)) {
        error_set(&e, 2, "--%s is for a kernel; give --kernel=FILE", o.initrd ? "initrd" : "append");
        return report(&e);
    }
    if (o.verbose) {
        fputs("dbtlab: ", stderr);
        options_print_json(stderr, &o, &r);
        fputc('\n', stderr);
    }
    int exit_code = launch(&o, &r, &e);
    return e.exit_code ? report(&e) : exit_code;
}

static int list(const char *word)
{
    struct error e = {0};
    if (!strcmp(word, "--list-strategies")) {
        list_strategies(stdout);
    } else if (!strcmp(word, "--list-strategies=json")) {
        list_strategies_json(stdout);
    } else {
        error_set(&e, 2, "%s: write --list-strategies or --list-strategies=json", word);
        return report(&e);
    }
    return answered();
}

static int version(const struct build_info *b)
{
    printf("dbtlab %s\nbuild %s, %s %s\nflags %s\n", b->revision, b->config,
#ifdef __clang__
           "clang",
#else
           "gcc",
#endif
           __VERSION__, b->flags);
    return answered();
}

int dbtlab_main(char **argv, const struct build_info *build)
{
    const char *word = argv[0] ? argv[1] : NULL;
    if (!word)
        return usage(stderr, 2);
    if (!strcmp(word, "run") && argv[2] && !strncmp(argv[2], "--list-strategies", 17))
        return list(argv[2]);
    if (!strcmp(word, "run"))
        return run(argv + 2);
    if (!strncmp(word, "--list-strategies", 17))
        return list(word);
    if (!strcmp(word, "--version"))
        return version(build);
    if (!strcmp(word, "help") && argv[2] && !strcmp(argv[2], "run")) {
        options_help(stdout);
        return answered();
    }
    if (!strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help")) {
        usage(stdout, 0);
        return answered();
    }
    if (word[0] == '-' || !access(word, F_OK)) /* `run` may be left out */
        return run(argv + 1);
    fprintf(stderr, "dbtlab: unknown command \"%s\"; the commands are run, help, --list-strategies, --version\n", word);
    return 2;
}
