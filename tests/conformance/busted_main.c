/*
 * busted_main.c — the program with the busted rows of all axes
 */
#include "engine/main/commands.h"

int main(int argc, char **argv)
{
    static const struct build_info build = {"", "conformance", ""};
    (void)argc;
    return dbtlab_main(argv, &build);
}
