"""Macros that keep this project's BUILD files to what differs between packages.

A package of C code is one dbt_library and one dbt_tests; both glob, so a new file needs no edit:

    *.c *.h *.def           the library           (//engine/mem:mem, its headers alone: //engine/mem:headers)
    *_test.c                one cmocka test each  (//engine/mem:page_flags_test from page_flags_test.c)
    *_testlib.c *_testlib.h helpers that the package's tests share, and others' by "//engine/mem:testlib"
    *_test.py *_test.sh     one test each: Python's unittest; an executable script that ends in `N passed, N failed`
    testdata/** golden/**   files that the tests find under their path in the tree
"""

_TEST_C = ["*_test.c", "*_testlib.c", "*_testlib.h"]

# What a sanitizer run leaves out: targets without these tags (see tools/run_tests.py).
_ASAN = "asan"
_TSAN = "tsan"

def system_library(name, linkopts = [], defines = []):
    """A library of the host system: nothing to compile, found by the linker."""
    native.cc_library(
        name = name,
        defines = defines,
        linkopts = linkopts,
    )

def _headers_of(label):
    """//engine/mem or //engine/mem:mem -> //engine/mem:headers; third_party targets stay as they are."""
    if label.startswith("//third_party") or label.startswith("//tools"):
        return label
    if label.startswith(":"):
        return label
    return label.split(":")[0] + ":headers"

def _unique(labels):
    return {label: None for label in labels}.keys()

def dbt_library(name, uses = [], sees = [], system = [], exclude = [], copts = [], visibility = None):
    """The C code of one directory.

    Args:
      name: the target; the directory's last word by custom.
      uses: packages (//engine/base) whose headers are included, also by our headers, and whose code is linked in.
      sees: packages whose headers only our .c files include. They are not linked in: the whole program, and tests
        declared `whole`, have them. This is how two packages may know each other without a cycle.
      system: //third_party targets.
      exclude: files that the globs should leave out.
      copts: further flags for these files.
      visibility: as usual; the package's default if not given.
    """
    hdrs = native.glob(["*.h", "*.def"], exclude = _TEST_C + exclude)
    native.cc_library(
        name = "headers",
        hdrs = hdrs,
        deps = _unique([_headers_of(u) for u in uses] + system),
        visibility = visibility,
    )
    native.cc_library(
        name = name,
        srcs = native.glob(["*.c"], exclude = _TEST_C + exclude),
        copts = copts,
        linkstatic = 1,
        alwayslink = 1,
        deps = _unique([":headers"] + uses + [_headers_of(s) for s in sees]),
        visibility = visibility,
    )

def dbt_busted(name):
    """busted.c: a scheme that does not do what it claims. Linked into tests only, whose table then has its row."""
    native.cc_library(
        name = name,
        testonly = 1,
        srcs = ["busted.c"],
        linkstatic = 1,
        alwayslink = 1,
        deps = [_CORE_HEADERS],
        visibility = ["//tests:__subpackages__"],
    )

def dbt_test(name, srcs, deps = [], tags = [], size = "medium", data = [], copts = [], args = [], shard_count = None):
    """One cmocka test."""
    native.cc_test(
        name = name,
        srcs = srcs,
        copts = copts,
        args = args,
        data = data,
        deps = deps + ["//third_party:cmocka"],
        linkstatic = 1,
        malloc = "@bazel_tools//tools/cpp:malloc",
        shard_count = shard_count,
        size = size,
        tags = tags,
    )

def dbt_script_test(name, src, data = [], args = [], tags = [], size = "medium"):
    """A test written in Python (unittest) or as an executable shell script.

    Python runs as `python3 -m unittest` in the test's own folder, so neighbours are imported by their bare names.
    """
    if src.endswith(".py"):
        native.sh_test(
            name = name,
            srcs = ["//tools:py_test.sh"],
            args = ["$(location %s)" % src] + args,
            data = [src] + [d for d in data if d != src],
            size = size,
            tags = tags,
        )
    else:
        native.sh_test(
            name = name,
            srcs = [src],
            args = args,
            data = data,
            size = size,
            tags = tags,
        )

def dbt_tests(
        lib = None,
        whole = True,
        deps = [],
        data = [],
        asan = True,
        tsan = [],
        sizes = {},
        tags = {},
        exclude = []):
    """One test for every *_test.c, *_test.py and *_test.sh of the directory.

    Args:
      lib: the library under test, such as ":mem". Always linked.
      whole: link the whole program but main() into each test; False for packages that need nothing above them.
        A list of files makes only those whole.
      deps: further libraries for all of them.
      data: further files for all of them; testdata/** and golden/** are always there.
      asan: run them under AddressSanitizer and UBSan too: True, False, or a list of files.
      tsan: the same for ThreadSanitizer.
      sizes: {"big_test.c": "large"}: Bazel's sizes; medium (five minutes) if not given.
      tags: {"slow_test.c": ["slow"]}: further tags; `slow` ones are left out by `dbtlab test --quick`.
      exclude: files that are no tests of this kind.
    """
    data = data + native.glob(["testdata/**", "golden/**"])
    common = list(deps)
    if lib:
        common.append(lib)

    testlib_c = native.glob(["*_testlib.c"])
    testlib_h = native.glob(["*_testlib.h"])
    if testlib_c or testlib_h:
        native.cc_library(
            name = "testlib",
            testonly = 1,
            srcs = testlib_c,
            hdrs = testlib_h,
            linkstatic = 1,
            deps = common + ["//third_party:cmocka"] + ([_CORE_HEADERS] if whole == True else []),
        )
        common = common + [":testlib"]

    for src in native.glob(["*_test.c"], exclude = exclude):
        t = list(tags.get(src, []))
        if asan == True or (asan and src in asan):
            t.append(_ASAN)
        if tsan == True or (tsan and src in tsan):
            t.append(_TSAN)
        is_whole = whole == True or (whole and src in whole)
        dbt_test(
            name = src[:-len(".c")],
            srcs = [src],
            deps = common + ([_CORE] if is_whole else []),
            data = data,
            size = sizes.get(src, "medium"),
            tags = t,
        )

    for src in native.glob(["*_test.py", "*_test.sh"], exclude = exclude):
        dbt_script_test(
            name = src[:-len(".py")],  # .sh is as long
            src = src,
            data = data + native.glob(["*.py"]),
            size = sizes.get(src, "medium"),
            tags = tags.get(src, []),
        )

_CORE = "//engine/main:dbtlab_core"
_CORE_HEADERS = "//engine/main:all_headers"

def dbt_binary(name, srcs, deps):
    """The program; absent while its main() does not exist yet."""
    if srcs:
        native.cc_binary(
            name = name,
            srcs = srcs,
            deps = deps,
            linkstatic = 1,
        )

def version_header(name):
    """<package>/version.h from the revision that tools/workspace_status.sh found and the mode in use."""
    native.genrule(
        name = name + "_h",
        outs = ["version.h"],
        cmd = " ".join([
            "rev=$$(sed -n 's/^STABLE_DBT_REVISION //p' bazel-out/stable-status.txt);",
            "{ echo '/* version.h — the revision and mode of this build; generated. */';",
            "echo '#pragma once';",
            "echo \"#define DBT_REVISION \\\"$$rev\\\"\";",
            "echo '#define DBT_CONFIG \"'$(DBT_CONFIG)'\"';",
            "echo '#define DBT_FLAGS \"'\"$(DBT_FLAGS)\"'\"'; } > $@",
        ]),
        stamp = 1,
        toolchains = ["//tools/bazel:mode"],
    )
    native.cc_library(
        name = name,
        hdrs = ["version.h"],
    )

_MODES = {
    "opt": "-std=gnu11 -O2 -g -fno-omit-frame-pointer",
    "dbg": "-std=gnu11 -O0 -g",
    "asan": "-std=gnu11 -O1 -g -fsanitize=address,undefined",
    "ubsan": "-std=gnu11 -O1 -g -fsanitize=undefined",
    "tsan": "-std=gnu11 -O1 -g -fsanitize=thread",
}

def _mode_impl(ctx):
    mode = ctx.var.get("dbt_config", "plain")
    return [platform_common.TemplateVariableInfo({
        "DBT_CONFIG": mode,
        "DBT_FLAGS": _MODES.get(mode, "-std=gnu11 -g"),
    })]

build_mode = rule(
    implementation = _mode_impl,
    doc = "Make variables DBT_CONFIG and DBT_FLAGS of the --config in use.",
)
