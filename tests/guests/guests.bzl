"""guests.bzl — tests that run guest programs through matrix.py."""

def guest_test(name, args, tags = [], size = "enormous", binary = "//engine/main:dbtlab"):
    """One run of matrix.py with the program and the guests of this build.

    They run alone (`exclusive`): vCPUs are threads, and a guest that waits for another one is slow beside other tests.

    Args:
      name: the target.
      args: matrix.py's arguments.
      tags: more tags.
      size: Bazel's size: enormous is an hour at most; each run has a bound of its own (matrix.py --timeout).
      binary: the program.
    """
    native.sh_test(
        name = name,
        srcs = ["matrix.py"],
        args = [
            "--binary=$(location %s)" % binary,
            "--guests=bench/guest",
        ] + args,
        data = [
            binary,
            "//bench/guest:all_guests",
            "//bench/guest:guests.json",
        ],
        size = size,
        tags = ["exclusive"] + tags,
    )
