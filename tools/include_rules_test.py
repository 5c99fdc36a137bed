#!/usr/bin/python3
"""Who may include whom: checks every #include "..." of the tree against the table below.

Bazel's visibility enforces most of it, but headers reach further than the packages that name them; this
test reads the files themselves. It prints one line a breach: file:line, what it includes, and the rule.
"""
import os
import re
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))

# Layers from below to above. A file may include its own folder and every layer below or beside it.
LAYERS = [
    ["engine/base"],
    ["engine/vcpu", "engine/sync", "engine/ir"],
    ["strategies"],  # strategy.h, the head that all schemes share
    ["strategies/invalidation", "strategies/atomics", "strategies/tb-cache", "strategies/tb-lifetime"],
    ["engine/mem", "engine/tb"],
    ["engine/arm", "engine/x64", "engine/interp"],
    ["machines", "engine/exec"],
    ["machines/virtio"],
    ["machines/vexpress", "machines/linux-user"],
    ["engine/gdb"],
    ["engine/main"],
]

AXES = LAYERS[3]

# Never, whatever the layers say: (from, to, why). A folder stands for itself and what is below it.
NEVER = [
    ("machines", "strategies", "a device stores through mem_write() and knows no scheme"),
    ("engine/arm", "engine/x64", "the guest does not know the host"),
    ("engine/x64", "engine/arm", "the host does not know the guest"),
    ("engine/ir", "engine/sync", "the IR knows no threads"),
    ("machines/vexpress", "machines/linux-user", "machines do not know each other"),
    ("machines/linux-user", "machines/vexpress", "machines do not know each other"),
    ("engine", "bench", "the product does not depend on the bench"),
    ("strategies", "bench", "the product does not depend on the bench"),
    ("machines", "bench", "the product does not depend on the bench"),
] + [
    (a, b, "axes never see each other; share a needs/gives bit or an engine primitive")
    for a in AXES for b in AXES if a != b
]

# Upwards all the same: (from, to, why). Patterns are matched against the whole path.
ALLOWED = [
    # A scheme's .c file, and headers that only schemes of the axis share, are built from the engine's primitives; the
    # axis's own header is not.
    (r"strategies/[^/]+/(?!(atomics|invalidation|tb_cache|tb_lifetime)\.h)[^/]+\.[ch]",
     r"engine/(mem|tb|x64|interp|exec)/.*", "a scheme is made of the engine's parts"),
    # What hooks are given, as types; tb.h and code.h in turn name no axis.
    (r"strategies/[^/]+/[^/]+\.h", r"engine/tb/(tb|code)\.h", "hooks receive blocks and spans of code memory"),
    (r"engine/tb/.*", r"engine/x64/x64\.h", "code memory is what the assembler writes into"),
    # Instantiates the execution loop (an always-inline template) and emits code.
    (r"strategies/invalidation/[^/]+\.(c|h)", r"engine/exec/.*", "instantiates the execution loop"),
    # The registry names each axis's table.
    (r"strategies/[^/]+\.c", r"strategies/[^/]+/.*", "the registry has one row an axis"),
    (r"machines/[^/]+\.c", r"machines/[^/]+/.*", "the list of machines"),
    # The interface between engine and machine: knows nothing but engine/base.
    (r"engine/.*", r"machines/machine\.h", "what a machine is to the engine"),
]

# Tests may look at anything that is not forbidden by NEVER, and at these besides.
TEST_FILE = re.compile(r"(_test|_testlib)\.[ch]$")

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
FOLDERS = ("engine", "strategies", "machines")


def sources(root):
    for top in FOLDERS:
        for folder, dirs, files in os.walk(os.path.join(root, top)):
            dirs[:] = [d for d in dirs if not d.startswith((".", "bazel-"))]
            for name in sorted(files):
                if name.endswith((".c", ".h", ".def", ".inc")):
                    yield os.path.relpath(os.path.join(folder, name), root)


def layer(path):
    """Index of the layer that a path belongs to, by its folder; None if in no layer."""
    folder = os.path.dirname(path)
    for i, names in enumerate(LAYERS):
        if folder in names:
            return i
    # A sub-folder belongs to the longest folder above it.
    best = None
    for i, names in enumerate(LAYERS):
        for name in names:
            if folder.startswith(name + "/") and (best is None or len(name) > len(best[1])):
                best = (i, name)
    return best[0] if best else None


def inside(path, folder):
    return path.startswith(folder + "/")


def why_not(source, target):
    """The rule that forbids `source` to include `target`, or None."""
    for a, b, why in NEVER:
        if inside(source, a) and inside(target, b):
            # "strategies" as a whole holds the axes too; a rule about itself is no rule.
            return f"{a} never includes {b}: {why}"
    if os.path.dirname(source) == os.path.dirname(target) or TEST_FILE.search(source):
        return None
    for a, b, _why in ALLOWED:
        if re.fullmatch(a, source) and re.fullmatch(b, target):
            return None
    s, t = layer(source), layer(target)
    if s is None or t is None:
        return f"{source if s is None else target} is in no layer of tools/include_rules_test.py"
    if t > s:
        return "a lower layer does not include a higher one: " + \
               f"{os.path.dirname(source)} is below {os.path.dirname(target)}"
    return None


def breaches(root):
    for path in sources(root):
        with open(os.path.join(root, path), encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                m = INCLUDE.match(line)
                if not m:
                    continue
                target = m.group(1)
                if "/" not in target:
                    yield f"{path}:{number}: \"{target}\": write the path from the top of the tree"
                    continue
                if not target.startswith(tuple(f + "/" for f in FOLDERS + ("bench",))):
                    continue  # a system header, such as "urcu/..."
                why = why_not(path, target)
                if why:
                    yield f"{path}:{number}: includes {target}: {why}"


def header_cycle(root):
    """A chain of our headers that comes back to its beginning, or None."""
    graph = {}
    for path in sources(root):
        if path.endswith(".h"):
            with open(os.path.join(root, path), encoding="utf-8") as f:
                found = [m.group(1) for m in map(INCLUDE.match, f) if m]
            graph[path] = [t for t in found if t.endswith(".h")]
    done = set()

    def visit(path, chain):
        if path in chain:
            return chain[chain.index(path):] + [path]
        if path in done or path not in graph:
            return None
        for target in graph[path]:
            cycle = visit(target, chain + [path])
            if cycle:
                return cycle
        done.add(path)
        return None

    for path in sorted(graph):
        cycle = visit(path, [])
        if cycle:
            return cycle
    return None


class IncludeRules(unittest.TestCase):
    def test_tree(self):
        found = list(breaches(ROOT))
        self.assertEqual([], found, "\n" + "\n".join(found))

    def test_headers_have_no_cycle(self):
        cycle = header_cycle(ROOT)
        self.assertIsNone(cycle, " -> ".join(cycle or []))

    def test_machines_never_include_strategies(self):
        self.assertIn("mem_write", why_not("machines/vexpress/gic.c", "strategies/strategy.h"))
        self.assertIn("mem_write", why_not("machines/vexpress/gic.h", "strategies/atomics/atomics.h"))

    def test_axes_never_include_each_other(self):
        for a in AXES:
            for b in AXES:
                answer = why_not(a + "/x.c", b + "/y.h")
                self.assertEqual(a == b, answer is None, f"{a} -> {b}: {answer}")

    def test_guest_and_host_are_apart(self):
        self.assertIsNotNone(why_not("engine/arm/decode.c", "engine/x64/asm.h"))
        self.assertIsNotNone(why_not("engine/x64/lower.c", "engine/arm/cpu.h"))
        self.assertIsNotNone(why_not("engine/x64/lower_test.c", "engine/arm/cpu.h"))

    def test_layers(self):
        self.assertIsNone(why_not("engine/exec/loop.c", "engine/tb/tb.h"))
        self.assertIsNotNone(why_not("engine/tb/tb.c", "engine/exec/loop.h"))
        self.assertIsNotNone(why_not("engine/base/log.c", "engine/sync/vcpu.h"))
        self.assertIsNone(why_not("engine/mem/tlb.h", "engine/tb/tb.h"))

    def test_schemes(self):
        self.assertIsNone(why_not("strategies/atomics/llsc.c", "engine/mem/mem.h"))
        self.assertIsNotNone(why_not("strategies/atomics/atomics.h", "engine/mem/mem.h"))
        self.assertIsNone(why_not("strategies/axes.c", "strategies/atomics/atomics.h"))
        self.assertIsNotNone(why_not("strategies/strategy.h", "strategies/atomics/atomics.h"))


if __name__ == "__main__":
    unittest.main()
