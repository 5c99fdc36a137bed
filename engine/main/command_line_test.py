"""command_line_test.py - what the program says and how it ends, for good and bad command lines.

Rows are data: the words typed, the exit code, and what stands in the answer. Images are a few words of A32 code
made here, so that no compiler for the guest is needed.
"""

from __future__ import annotations

import json
import os
import re
import signal
import struct
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

PROGRAM = Path(os.environ.get("DBTLAB_BIN", "dbtlab")).resolve()
LIMIT_S = 60

B_SELF = 0xEAFFFFFE  # b .
SVC = 0xEF123456
EXIT_42 = [
    0xE3A00020,  # mov r0, #SYS_EXIT_EXTENDED
    0xE28F1004,  # add r1, pc, #4
    SVC,
    B_SELF,
    0x20026,
    42,
]
# Semihosting SYS_WRITEC of 'A', then the argument count is not looked at: exit 0.
HELLO = [
    0xE3A00003,  # mov r0, #SYS_WRITEC
    0xE28F100C,  # add r1, pc, #12
    SVC,
    0xE3A00018,  # mov r0, #SYS_EXIT
    0xE59F1008,  # ldr r1, [pc, #8]
    SVC,
    0x0A41,  # "A\n"
    0,
    0x20026,
]
WRITE0 = [
    0xE3A00004,  # mov r0, #SYS_WRITE0
    0xE28F100C,  # add r1, pc, #12
    SVC,
    0xE3A00018,  # mov r0, #SYS_EXIT
    0xE59F1008,  # ldr r1, [pc, #8]
    SVC,
    0x000A4948,  # "HI\n"
    0,
    0x20026,
]
UNDEFINED = [0xE7F000F0]
ADDS = [0xE3A00000] + [0xE2800001] * 20 + [B_SELF]  # mov r0, #0; add r0, r0, #1 ...
SLEEP = [0xE320F003, 0xEAFFFFFD]  # wfi; b .-4
READC = [0xE3A00007, SVC, B_SELF]  # SYS_READC
# The vector of undefined instructions, placed in RAM, is itself undefined.
BAD_VECTOR = [
    0xE24F0008,  # sub r0, pc, #8      @ this word's address
    0xEE0C0F10,  # mcr p15, 0, r0, c12, c0, 0   @ VBAR
    0xE7F000F0,  # udf
] + [0xE7F000F0] * 8
# A word of SRAM outlives a reset: the first time the board is reset, the second time it is shut down.
RESET_ONCE = [
    0xE59F0028,  # ldr r0, =0x14001000
    0xE5901000,  # ldr r1, [r0]
    0xE3A02001,  # mov r2, #1
    0xE5802000,  # str r2, [r0]
    0xE59F301C,  # ldr r3, =0x1c010000
    0xE3510000,  # cmp r1, #0
    0x059F4018,  # ldreq r4, =reboot
    0x159F4018,  # ldrne r4, =shutdown
    0xE58340A4,  # str r4, [r3, #0xa4]
    B_SELF,
    0,
    0,
    0x14001000,
    0x1C010000,
    0xC0900000,
    0xC0800000,
]

# words, exit code, pattern in stderr
BAD = [
    ([], 2, r"dbtlab run \[options\] FILE"),
    (["walk"], 2, r'unknown command "walk"; the commands are run, '),
    (["run"], 2, r"no image: "),
    (["run", "nowhere.elf"], 1, r"nowhere.elf: No such file"),
    (["run", "folder"], 1, r"folder"),
    (["run", "text.elf"], 1, r"text.elf: not an ELF file"),
    (["run", "--smp=0", "x"], 2, r"--smp=0 is not a whole number from 1 to 8"),
    (["run", "--smp=9", "x"], 2, r"--smp=9 is not a whole number from 1 to 8"),
    (["run", "--smp=-1", "x"], 2, r"--smp=-1 is not a whole number"),
    (["run", "--smp=1x", "x"], 2, r"--smp=1x is not a whole number"),
    (["run", "--smp", "2", "x"], 2, r"--smp needs a value: --smp=N"),
    (["run", "--smpp=2", "x"], 2, r"no option --smpp; do you mean --smp\?"),
    (["run", "--atomic=llsc", "x"], 2, r"no option --atomic; do you mean --atomics\?"),
    (["run", "--zzzzzzzz", "x"], 2, r"no option --zzzzzzzz; `dbtlab help run` lists"),
    (["run", "-m", "x"], 2, r"-m: options begin with two dashes"),
    (["run", "--memory=3G", "x"], 2, r"--memory=3G: vexpress-a15 takes 1M to 2G"),
    (["run", "--memory=1K", "x"], 2, r"--memory=1K: vexpress-a15 takes 1M to 2G"),
    (["run", "--memory=99999999999G", "x"], 2, r"--memory=99999999999G is not a size"),
    (["run", "--memory=2MB", "x"], 2, r"--memory=2MB is not a size"),
    (["run", "--memory=1500K", "x"], 2, r"--memory=1500K: .* in whole M"),
    (["run", "--code-memory=4K", "x"], 2, r"--code-memory=4K is not a size from 1M to 1G"),
    (["run", "--machine=vexpress-a9", "x"], 2, r"no such machine; do you mean vexpress-a15\?"),
    (["run", "--machine=pdp11", "x"], 2, r"no such machine; choose one of: vexpress-a15"),
    (["run", "--engine=fast", "x"], 2, r"--engine=fast: choose one of jit\|interp"),
    (["run", "--no-chain=yes", "x"], 2, r"--no-chain takes no value"),
    (["run", "--atomics=magic", "x"], 2, r"no such scheme; choose one of: llsc, cmpxchg"),
    (["run", "--atomics=", "x"], 2, r"--atomics needs a value"),
    (["run", "--invalidation=per-tb:x=1", "x"], 2, r"takes no parameters"),
    (["run", "--tb-cache=shared", "x"], 2, r"no such scheme; choose one of: unified, per-cpu"),
    (["run", "--dump=asm", "x"], 2, r"write a list of guest, ir, host"),
    (["run", "--dump-pc=9..1", "x"], 2, r"two addresses in hexadecimal"),
    (["run", "--log=every", "x"], 2, r"no log category is named 'every'"),
    (["run", "--pin=0-", "x"], 2, r"write auto, none, or a list"),
    (["run", "--raw", "--pin=0", "--smp=2", "hello.bin"], 2, r"names 1 host CPU for 2 vCPUs"),
    (["run", "--raw", "--pin=9999", "hello.bin"], 2, r"no host CPU 9999 that this process may use"),
    (["run", "--chaos=gremlins", "x"], 2, r'no kind "gremlins"'),
    (["run", "--chaos=flush=2000000", "x"], 2, r"flush takes a number of events per million"),
    (["run", "--stats=csv", "x"], 2, r"--stats for a table or --stats=json:FILE"),
    (["run", "--raw", "--stats=json:no/such/folder/f", "hello.bin"], 1, r"cannot write no/such/folder/f"),
    (["run", "--raw", "--stats=json:folder", "hello.bin"], 1, r"folder is a folder"),
    (["run", "--insns=5", "--smp=2", "x"], 2, r"--insns=5 counts on one vCPU"),
    (["run", "--gdb", "x"], 2, r"--gdb needs a value: --gdb=PORT\|unix:PATH"),
    (["run", "--gdb=soon", "x"], 2, r"--gdb=soon: write a port from 1 to 65535, or unix:PATH"),
    (["run", "--gdb=0", "x"], 2, r"--gdb=0: write a port from 1 to 65535"),
    (["run", "--gdb=65536", "x"], 2, r"--gdb=65536: write a port from 1 to 65535"),
    (["run", "--gdb=12x", "x"], 2, r"--gdb=12x: write a port from 1 to 65535"),
    (["run", "--gdb=host:1234", "x"], 2, r"--gdb=host:1234: write a port from 1 to 65535"),
    (["run", "--gdb=unix:", "x"], 2, r"write unix:PATH with a path of 1 to 107 bytes"),
    (["run", "--gdb=unix:" + "p" * 108, "x"], 2, r"write unix:PATH with a path of 1 to 107 bytes"),
    (["run", "--raw", "--gdb=unix:folder", "hello.bin"], 1, r"--gdb=unix:folder: cannot listen there: Address already in use"),
    (["run", "--raw", "--gdb=unix:no/such/s", "hello.bin"], 1, r"cannot listen there: No such file or directory"),
    (["run", "--gdb=1234", "--insns=5", "x"], 2, r"--gdb steps by itself: leave out --insns"),
    (["run", "--gdb-nowait", "x"], 2, r"--gdb-nowait says how --gdb begins; give --gdb="),
    (["run", "--print-config=xml", "x"], 2, r"the only form is json"),
    (["run", "--timeout=soon", "x"], 2, r"--timeout=soon is not a whole number"),
    (["--list-strategies=xml"], 2, r"write --list-strategies or --list-strategies=json"),
    (["help", "run", "x"], 0, r"^$"),
]

# options, image, exit code, stdout, pattern in stderr
RUNS = [
    ([], EXIT_42, 42, "", r"^$"),
    ([], HELLO, 0, "A", r"^$"),
    ([], WRITE0, 0, "HI\n", r"^$"),
    (["--smp=8"], EXIT_42, 42, "", r"^$"),
    (["--memory=1M"], EXIT_42, 42, "", r"^$"),
    (["--memory=2G"], EXIT_42, 42, "", r"^$"),
    (["--code-memory=1M"], EXIT_42, 42, "", r"^$"),
    (["--no-chain"], EXIT_42, 42, "", r"^$"),
    (["--max-insns=1"], EXIT_42, 42, "", r"^$"),
    (["--step=1"], EXIT_42, 42, "", r"^$"),
    (["--pin=auto"], EXIT_42, 42, "", r"^$"),
    (["--chaos=all"], EXIT_42, 42, "", r"^$"),
    (["--stats"], EXIT_42, 42, "", r"tb_translated +\d+ .*blocks translated"),
    (["--verbose"], EXIT_42, 42, "", r'"strategies": {'),
    (["--log=all"], EXIT_42, 42, "", r"tb: vcpu0: block 80010000"),
    (["--dump=guest"], EXIT_42, 42, "", r"80010000  e3a00020  mov r0, #0x20"),
    (["--dump=ir", "--dump-pc=80010000"], EXIT_42, 42, "", r"set_reg r0"),
    (["--dump-pc=90000000..90000001"], EXIT_42, 42, "", r"^$"),
    ([], UNDEFINED, 70, "", r"the exception vector at 0000000c raises the exception"),
    ([], BAD_VECTOR, 70, "", r"the exception vector at 80010004 raises the exception"),
    (["--semihosting=off"], EXIT_42, 70, "", r"mode abt"),
    (["--insns=8"], ADDS, 0, "", r"pc 80010020 A32.*\n  r0  00000007"),
    (["--insns=8", "--step=1"], ADDS, 0, "", r"pc 80010020 A32.*\n  r0  00000007"),
    (["--insns=19", "--step=3"], ADDS, 0, "", r"pc 8001004c A32.*\n  r0  00000012"),
    (["--insns=5000"], ADDS, 0, "", r"pc 80010054 A32.*\n  r0  00000014"),
    (["--timeout=1"], [B_SELF], 124, "", r"timeout after 1 s\nvCPU 0: pc 80010000 A32, mode svc"),
    (["--timeout=1", "--smp=3"], [B_SELF], 124, "", r"vCPU 2: "),
    (["--timeout=1"], SLEEP, 124, "", r"timeout after 1 s"),
    (["--timeout=1", "--smp=2", "--gdb=unix:s"], EXIT_42, 124, "", r"the guest waits for a debugger.*s\n.*timeout after 1 s"),
    (["--gdb=unix:s", "--gdb-nowait"], EXIT_42, 42, "", r"open for a debugger: target remote s"),
    (["--timeout=1"], READC, 124, "", r"timeout after 1 s"),
    ([], RESET_ONCE, 0, "", r"^$"),
    (["--smp=2", "--tb-lifetime=rcu"], RESET_ONCE, 0, "", r"^$"),
    (["--smp=2", "--tb-cache=per-cpu"], RESET_ONCE, 0, "", r"^$"),
]


def elf(words: list[int]) -> bytes:
    """An executable with one segment at the start of RAM plus 64 KiB."""
    base, code = 0x80010000, struct.pack(f"<{len(words)}I", *words)
    head = b"\x7fELF\1\1\1" + bytes(9)
    head += struct.pack("<HHIIIIIHHHHHH", 2, 40, 1, base, 52, 0, 0x05000000, 52, 32, 1, 0, 0, 0)
    head += struct.pack("<IIIIIIII", 1, 84, base, base, len(code), len(code), 7, 4)
    return head + code


class CommandLine(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.temp = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temp.name)
        (cls.folder / "folder").mkdir()
        (cls.folder / "text.elf").write_text("This is a text, not a program.\n" * 9)
        (cls.folder / "hello.bin").write_bytes(struct.pack(f"<{len(HELLO)}I", *HELLO))

    @classmethod
    def tearDownClass(cls) -> None:
        cls.temp.cleanup()

    def call(self, words: list[str], **more) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, *words],
            cwd=self.folder,
            stdin=more.pop("stdin", subprocess.DEVNULL),
            stdout=more.pop("stdout", subprocess.PIPE),
            stderr=subprocess.PIPE,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    def image(self, words: list[int]) -> str:
        (self.folder / "image.elf").write_bytes(elf(words))
        return "image.elf"

    def test_bad_command_lines(self) -> None:
        for words, code, pattern in BAD:
            with self.subTest(words=" ".join(words)):
                done = self.call(words)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertRegex(done.stderr, pattern)
                if code:
                    self.assertEqual(done.stdout, "")
                if code and words:
                    self.assertTrue(done.stderr.startswith("dbtlab: "), done.stderr)

    def test_runs(self) -> None:
        for engine in ("jit", "interp"):
            for options, words, code, out, pattern in RUNS:
                with self.subTest(engine=engine, options=" ".join(options), first=hex(words[0])):
                    image = self.image(words)
                    # Somebody at the other end of stdin who says nothing: a guest that reads waits.
                    read, write = os.pipe()
                    try:
                        done = self.call(["run", f"--engine={engine}", *options, image], stdin=read)
                    finally:
                        os.close(read)
                        os.close(write)
                    self.assertEqual(done.returncode, code, done.stderr)
                    self.assertEqual(done.stdout, out)
                    self.assertRegex(done.stderr, pattern)

    def test_answers_are_json(self) -> None:
        listed = json.loads(self.call(["--list-strategies=json"]).stdout)
        names = [axis["name"] for axis in listed["axes"]]
        self.assertEqual(names, ["invalidation", "atomics", "tb-cache", "tb-lifetime"])
        for axis in listed["axes"]:
            schemes = [s["name"] for s in axis["schemes"]]
            self.assertIn(axis["default"], schemes)
            self.assertEqual(len(schemes), len(set(schemes)))
            for scheme in axis["schemes"]:
                self.assertTrue(scheme["summary"])
                self.assertTrue(scheme["source"])
        text = self.call(["--list-strategies"]).stdout
        for axis in listed["axes"]:
            for scheme in axis["schemes"]:
                self.assertIn(scheme["summary"], text)

    def test_every_scheme_can_be_named(self) -> None:
        listed = json.loads(self.call(["--list-strategies=json"]).stdout)
        for axis in listed["axes"]:
            for scheme in axis["schemes"]:
                option = f"--{axis['name']}={scheme['name']}"
                unsound = ["--allow-unsound"] if scheme["unsound"] else []
                with self.subTest(option=option):
                    done = self.call(["run", "--print-config=json", option, *unsound])
                    self.assertEqual(done.returncode, 0, done.stderr)
                    config = json.loads(done.stdout)
                    self.assertEqual(config["strategies"][axis["name"]]["scheme"], scheme["name"])
                    params = config["strategies"][axis["name"]]["params"]
                    self.assertEqual(set(params), {p["name"] for p in scheme["params"]})
                    if scheme["unsound"]:
                        refused = self.call(["run", "--print-config=json", option])
                        self.assertEqual(refused.returncode, 2)
                        self.assertIn("--allow-unsound", refused.stderr)

    def test_config_has_units_and_defaults(self) -> None:
        done = self.call(["run", "--print-config=json", "--smp=0x2", "--memory=16m", 'q"\\uote.elf', "a b", "--smp=3"])
        config = json.loads(done.stdout)
        self.assertEqual(config["smp"], 2)
        self.assertEqual(config["memory_bytes"], 16 << 20)
        self.assertEqual(config["code_memory_bytes"], 128 << 20)
        self.assertEqual(config["engine"], "jit")
        self.assertIs(config["no_chain"], False)
        self.assertEqual(config["image"], 'q"\\uote.elf')
        self.assertEqual(config["guest_args"], ["a b", "--smp=3"])

    def test_help_names_every_option(self) -> None:
        for words in (["help", "run"], ["run", "--help"], ["run", "--smp=2", "--help"]):
            done = self.call(words)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            for name in ("--smp=N", "--memory=SIZE", "--stats[=json:FILE]", "--chaos=SPEC", "--atomics="):
                self.assertIn(name, done.stdout)
            self.assertNotRegex(done.stdout, r"[ \t]\n")

    def test_version(self) -> None:
        done = self.call(["--version"])
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"^dbtlab \S+\nbuild \S+, (gcc|clang) .*\nflags \S+")

    def test_stats_file(self) -> None:
        image = self.image(EXIT_42)
        for name in ("stats.json", "folder/stats.json", "stats.json"):
            done = self.call(["run", "--smp=2", f"--stats=json:{name}", image, "one"])
            self.assertEqual((done.returncode, done.stderr), (42, ""))
            stats = json.loads((self.folder / name).read_text())
            self.assertEqual(stats["config"]["smp"], 2)
            self.assertEqual(stats["config"]["guest_args"], ["one"])
            self.assertGreater(stats["wall_ns"], 0)
            self.assertGreater(stats["counters"]["tb_translated"]["value"], 0)
            self.assertEqual(stats["counters"]["tb_code_bytes"]["unit"], "B")
            self.assertEqual(
                set(stats["histograms"]),
                {"flush_latency_ns", "inval_latency_ns", "stop_latency_ns", "request_latency_ns"},
            )
            self.assertEqual(len(stats["per_vcpu"]), 2)
            self.assertEqual([row["vcpu"] for row in stats["pinning"]], [0, 1])
            total = sum(row["tb_translated"] for row in stats["per_vcpu"])
            self.assertEqual(stats["counters"]["tb_translated"]["value"], total)
        self.assertEqual([p for p in self.folder.rglob("*.part")], [])

    def test_hook_rates_with_the_interpreter(self) -> None:
        self.call(["run", "--engine=interp", "--stats=json:i.json", self.image(EXIT_42)])
        stats = json.loads((self.folder / "i.json").read_text())
        self.assertGreater(stats["counters"]["guest_insns"]["value"], 0)
        self.assertIn("slow_loads", stats["hooks_per_minsn"])

    def test_our_own_crash_tells_what_ran(self) -> None:
        if re.search("asan|tsan", self.call(["--version"]).stdout):
            self.skipTest("the sanitizers have their own handlers")
        for engine in ("jit", "interp"):
            words = [PROGRAM, "run", f"--engine={engine}", "--smp=2", "--timeout=30", self.image([B_SELF])]
            child = subprocess.Popen(words, cwd=self.folder, stderr=subprocess.PIPE, text=True)
            while "vcpu1" not in self.threads(child.pid):
                time.sleep(0.01)
            child.send_signal(signal.SIGSEGV)
            _, said = child.communicate(timeout=LIMIT_S)
            self.assertEqual(child.returncode, -signal.SIGABRT)
            self.assertRegex(said, rf"--engine={engine} --invalidation=\S+ --atomics=\S+ .*--smp=2")
            self.assertRegex(said, r"vCPU 1: pc ")

    @staticmethod
    def threads(pid: int) -> list[str]:
        names = []
        for path in Path(f"/proc/{pid}/task").glob("*/comm"):
            try:
                names.append(path.read_text().strip())
            except OSError:  # has ended meanwhile
                pass
        return names

    def test_full_disk(self) -> None:
        if not os.access("/dev/full", os.W_OK):
            self.skipTest("no /dev/full")
        with open("/dev/full", "w") as full:
            done = self.call(["--list-strategies"], stdout=full)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot write to stdout", done.stderr)

    def test_reader_that_goes_away(self) -> None:
        read, write = os.pipe()
        os.close(read)
        done = self.call(["run", self.image(WRITE0)], stdout=write)
        os.close(write)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
