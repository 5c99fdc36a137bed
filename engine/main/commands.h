/*
 * commands.h — the commands of the binary
 */
#ifndef ENGINE_MAIN_COMMANDS_H
#define ENGINE_MAIN_COMMANDS_H

struct build_info {
    const char *revision, *config, *flags;
};

/* Everything that main() does. Returns the exit code of the process. */
int dbtlab_main(char **argv, const struct build_info *build);

#endif
