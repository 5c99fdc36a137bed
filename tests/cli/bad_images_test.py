"""bad_images_test.py — ELF files that are wrong in some way: one sentence and exit code 1, or a guest that ends in order

Never a signal, never a hang. The loader's own unit test has many more mutants; here the whole program sees some.
"""
import concurrent.futures
import os
import random
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path

RUNFILES = Path(os.environ.get("TEST_SRCDIR", "/nonexistent")) / os.environ.get("TEST_WORKSPACE", "")
BINARY = Path(os.environ.get("DBTLAB_BIN") or RUNFILES / "engine/main/dbtlab")
GUESTS = Path(os.environ.get("DBTLAB_GUESTS") or RUNFILES / "bench/guest")
MUTANTS = 200
SEED = 20161

B_SELF = 0xEAFFFFFE
TEXT, DATA = 0x80010000, 0x80020000
EXIT_7 = [0xE3A00020, 0xE28F1004, 0xEF123456, B_SELF, 0x20026, 7]  # semihosting SYS_EXIT_EXTENDED


class Elf:
    """A small executable whose fields can be set to anything."""

    def __init__(self, words: list[int] | None = None):
        self.code = struct.pack(f"<{len(words or EXIT_7)}I", *(words or EXIT_7))
        self.ident = bytearray(b"\x7fELF\1\1\1" + bytes(9))
        self.head = {"type": 2, "machine": 40, "version": 1, "entry": TEXT, "phoff": 52, "shoff": 0,
                     "flags": 0x05000000, "ehsize": 52, "phentsize": 32, "phnum": 2, "shentsize": 0, "shnum": 0,
                     "shstrndx": 0}
        self.segments = [
            {"type": 1, "offset": 116, "vaddr": TEXT, "paddr": TEXT, "filesz": len(self.code),
             "memsz": len(self.code), "flags": 5, "align": 4},
            {"type": 1, "offset": 116, "vaddr": DATA, "paddr": DATA, "filesz": 8, "memsz": 64, "flags": 6,
             "align": 4}]

    def with_(self, head: dict | None = None, text: dict | None = None, data: dict | None = None,
              ident: dict | None = None) -> "Elf":
        self.head.update(head or {})
        self.segments[0].update(text or {})
        self.segments[1].update(data or {})
        for at, value in (ident or {}).items():
            self.ident[at] = value
        return self

    def bytes(self) -> bytes:
        out = bytes(self.ident) + struct.pack("<HHIIIIIHHHHHH", *self.head.values())
        for s in self.segments:
            out += struct.pack("<IIIIIIII", *s.values())
        return out + self.code


# name, image, options, exit code, what stderr says
BAD = [
    ("empty", b"", [], 1, "the file is empty"),
    ("text", b"hello, world\n" * 9, [], 1, "not an ELF file"),
    ("magic only", b"\x7fELF", [], 1, ""),
    ("64 bits", Elf().with_(ident={4: 2}).bytes(), [], 1, ""),
    ("big-endian", Elf().with_(ident={5: 2}).bytes(), [], 1, ""),
    ("x86", Elf().with_(head={"machine": 3}).bytes(), [], 1, ""),
    ("aarch64", Elf().with_(head={"machine": 183}).bytes(), [], 1, ""),
    ("object file", Elf().with_(head={"type": 1}).bytes(), [], 1, ""),
    ("no segments", Elf().with_(head={"phnum": 0}).bytes(), [], 1, ""),
    ("headers past the end", Elf().with_(head={"phoff": 100000}).bytes(), [], 1, ""),
    ("headers past 4 GiB", Elf().with_(head={"phoff": 0xFFFFFFF0}).bytes(), [], 1, ""),
    ("many headers", Elf().with_(head={"phnum": 65535}).bytes(), [], 1, ""),
    ("small header entries", Elf().with_(head={"phentsize": 8}).bytes(), [], 1, ""),
    ("cut short", Elf().bytes()[:-8], [], 1, ""),
    ("half a header", Elf().bytes()[:30], [], 1, ""),
    ("nowhere", Elf().with_(text={"vaddr": 0x60000000, "paddr": 0x60000000}).bytes(), [], 1, "60000000"),
    ("in a device", Elf().with_(data={"vaddr": 0x1C090000, "paddr": 0x1C090000}).bytes(), [], 1, "1c090000"),
    ("past the end of RAM", Elf().with_(data={"paddr": 0x80100000}).bytes(), ["--memory=1M"], 1, "80100000"),
    ("larger than RAM", Elf().with_(data={"memsz": 0x7FFFFFFF}).bytes(), [], 1, ""),
    ("around 4 GiB", Elf().with_(data={"paddr": 0xFFFFFFF0, "memsz": 64}).bytes(), [], 1, ""),
    ("overlapping", Elf().with_(data={"vaddr": TEXT, "paddr": TEXT}).bytes(), [], 1, "overlap"),
    ("more in the file than in memory", Elf().with_(data={"memsz": 4}).bytes(), [], 1, ""),
    ("data past the end of the file", Elf().with_(data={"offset": 0x7FFFFFF0}).bytes(), [], 1, ""),
]


def run(image: bytes, options: list[str], folder: str, name: str, seconds: int = 30) -> subprocess.CompletedProcess:
    path = Path(folder) / name
    path.write_bytes(image)
    return subprocess.run([str(BINARY), "run", f"--timeout={seconds}", *options, str(path)], capture_output=True, timeout=60,
                          stdin=subprocess.DEVNULL, cwd=folder)


class BadImages(unittest.TestCase):
    def test_the_good_one(self) -> None:
        with tempfile.TemporaryDirectory() as tmp:
            p = run(Elf().bytes(), [], tmp, "good")
            self.assertEqual((p.returncode, p.stderr), (7, b""))

    def test_refused_in_one_sentence(self) -> None:
        with tempfile.TemporaryDirectory() as tmp:
            for name, image, options, code, text in BAD:
                with self.subTest(name):
                    p = run(image, options, tmp, "image.elf")
                    err = p.stderr.decode(errors="replace")
                    self.assertEqual(p.returncode, code, err)
                    self.assertEqual(len(err.splitlines()), 1, err)
                    self.assertIn("image.elf", err)
                    self.assertIn(text, err)
                    self.assertEqual(p.stdout, b"")

    def test_entry_outside_ends_with_a_dump(self) -> None:
        with tempfile.TemporaryDirectory() as tmp:
            p = run(Elf().with_(head={"entry": 0x70000000}).bytes(), [], tmp, "image.elf")
            self.assertIn(p.returncode, (1, 70))
            if p.returncode == 70:
                self.assertIn(b"vCPU 0: pc ", p.stderr)

    def test_exception_loop_ends_with_a_dump(self) -> None:
        with tempfile.TemporaryDirectory() as tmp:
            for engine in ("jit", "interp"):
                p = run(Elf([0xE3A00000, 0xE12FFF10]).bytes(), ["--engine=" + engine], tmp, "image.elf")  # bx to 0
                self.assertIn(p.returncode, (70, 124), p.stderr)
                self.assertIn(b"vCPU 0: pc ", p.stderr)

    def test_unwritable_stats_stop_before_the_run(self) -> None:
        with tempfile.TemporaryDirectory() as tmp:
            p = run(Elf().bytes(), ["--stats=json:no/such/folder.json"], tmp, "image.elf")
            self.assertEqual(p.returncode, 1)
            self.assertIn(b"no/such/folder.json", p.stderr)

    def test_unmapped_access_is_the_guests(self) -> None:
        """mmu_faults takes each kind of abort and checks what the fault registers say."""
        for isa in ("a32", "t32"):
            for engine in ("jit", "interp"):
                p = subprocess.run([str(BINARY), "run", "--engine=" + engine, "--timeout=20",
                                    str(GUESTS / f"mmu_faults.{isa}.elf"), "rounds=1"], capture_output=True,
                                   timeout=60, stdin=subprocess.DEVNULL)
                self.assertEqual(p.returncode, 0, p.stdout)

    def test_mutants(self) -> None:
        """Guests with a few bytes changed, mostly in the headers: any exit code, but no signal and no hang."""
        rng = random.Random(SEED)
        originals = [(GUESTS / f"{g}.elf").read_bytes() for g in ("hello.a32", "fib.t32", "sort.a32")]

        def mutant() -> bytes:
            image = bytearray(rng.choice(originals))
            kind = rng.randrange(4)
            if kind == 3:
                return bytes(image[:rng.randrange(len(image))])
            end = (52, 52 + 64, len(image))[kind]
            for _ in range(rng.randint(1, 6)):
                image[rng.randrange(end)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            return bytes(image)

        images = [mutant() for _ in range(MUTANTS)]
        with tempfile.TemporaryDirectory() as tmp, concurrent.futures.ThreadPoolExecutor(2) as pool:
            def one(i: int) -> subprocess.CompletedProcess:
                options = ["--smp=2"] if i % 3 == 0 else ["--engine=interp"] if i % 3 == 1 else []
                return run(images[i], options, tmp, f"mutant{i}.elf", seconds=1)

            ended = 0
            for i, p in enumerate(pool.map(one, range(MUTANTS))):
                with self.subTest(mutant=i, seed=SEED):
                    self.assertGreaterEqual(p.returncode, 0, p.stderr[-2000:])
                    self.assertNotIn(b"CHECK", p.stderr)
                    ended += p.returncode != 124
            self.assertGreater(ended, MUTANTS // 4)


if __name__ == "__main__":
    unittest.main()
