/*
 * main.c — the program: everything is in commands.c; this file alone knows the revision, so that alone is rebuilt for a commit
 */
#include "engine/main/commands.h"
#include "engine/main/version.h"

int main(int argc, char **argv)
{
    static const struct build_info build = {DBT_REVISION, DBT_CONFIG, DBT_FLAGS};
    (void)argc;
    return dbtlab_main(argv, &build);
}
