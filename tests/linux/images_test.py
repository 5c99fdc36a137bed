"""images_test.py — kernels, device trees and RAM disks that are none, through the whole program: one sentence and exit code

machines/linux_boot_test.c has the parts; what is damaged at random is there.
"""
import struct
import subprocess
import unittest
from pathlib import Path

import guest

ZIMAGE_MAGIC = 0x016F2818


def zimage(size=4096):
    data = bytearray(size)
    struct.pack_into("<3I", data, 0x24, ZIMAGE_MAGIC, 0, size)
    return bytes(data)


def tree(compatible="arm,vexpress,v2p-ca15", cells="<2>"):
    source = f"""/dts-v1/;
/ {{
    model = "test"; compatible = "{compatible}"; #address-cells = {cells}; #size-cells = {cells};
    chosen {{ }}; cpus {{ #address-cells = <1>; #size-cells = <0>; cpu@0 {{ device_type = "cpu"; compatible = "arm,cortex-a15"; reg = <0>; }}; }};
    memory@80000000 {{ device_type = "memory"; reg = <0 0x80000000 0 0x40000000>; }};
}};"""
    return subprocess.run(["dtc", "-I", "dts", "-O", "dtb", "-q"], input=source.encode(), capture_output=True, check=True).stdout


class Images(unittest.TestCase):
    def setUp(self):
        temp = guest.scratch()
        self.addCleanup(temp.cleanup)
        self.folder = Path(temp.name)

    def put(self, name, data):
        path = self.folder / name
        path.write_bytes(data)
        return path

    def refused(self, sentence, *options):
        p = subprocess.run([guest.BINARY, "run", "--timeout=10", *map(str, options)], capture_output=True, text=True, timeout=60,
                           stdin=subprocess.DEVNULL, check=False, errors="replace")
        self.assertIn(p.returncode, (1, 2), p)
        self.assertEqual(p.stderr.count("\n"), 1, p)
        self.assertRegex(p.stderr, sentence)
        self.assertEqual(p.stdout, "")

    def good(self):
        return {"kernel": self.put("zImage", zimage()), "dtb": self.put("dtb", tree()), "initrd": self.put("initrd", b"x" * 5000)}

    def with_(self, sentence, *more, **changed):
        files = self.good() | changed
        self.refused(sentence, *(f"--{k}={v}" for k, v in files.items() if v is not None), *more)

    def test_kernel(self):
        for name, data in (("empty", b""), ("text", b"hello\n" * 100), ("short", zimage()[:40]), ("zeros", bytes(10000)),
                           ("gzip", b"\x1f\x8b\x08" + bytes(500)), ("larger than it is", zimage(4096)[:2000])):
            with self.subTest(kernel=name):
                self.with_("bad: .*", kernel=self.put("bad", data))
        self.with_("nosuch.*No such file", kernel=self.folder / "nosuch")
        self.with_("not a regular file", kernel=self.folder)

    def test_kernel_for_another_machine(self):
        elf = bytearray(b"\x7fELF\x02\x01\x01" + bytes(57))
        struct.pack_into("<HH", elf, 16, 2, 62)
        self.with_("bad: .*", kernel=self.put("bad", bytes(elf)))

    def test_device_tree(self):
        good = tree()
        for name, data in (("empty", b""), ("text", b"/dts-v1/;"), ("cut", good[:len(good) // 2]),
                           ("wrong magic", b"\0" + good[1:]), ("wrong size", good[:4] + b"\0\0\0\x28" + good[8:])):
            with self.subTest(dtb=name):
                self.with_("bad: .*", dtb=self.put("bad", data))

    def test_device_tree_of_another_board(self):
        self.with_("board|vexpress", dtb=self.put("bad", tree("raspberrypi,4-model-b")))

    def test_initrd(self):
        self.with_("nosuch.*No such file", initrd=self.folder / "nosuch")
        huge = self.folder / "huge"
        with open(huge, "wb") as f:
            f.truncate(300 << 20)
        self.with_("huge: .*too many for this machine", "--memory=128M", initrd=huge)

    def test_without_a_kernel(self):
        files = self.good()
        self.refused("no image", f"--dtb={files['dtb']}", f"--initrd={files['initrd']}")


if __name__ == "__main__":
    unittest.main()
