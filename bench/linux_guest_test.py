"""linux_guest_test.py - the programs of the Linux suite: names, command lines, and the script that runs them."""

from __future__ import annotations

import base64
import subprocess
import unittest
from pathlib import Path

import linux_guest
import suites


class LinuxGuest(unittest.TestCase):
    def test_command_line_fits_the_kernel(self) -> None:
        words = ("loops=6000000", "expect=0x8e4d6d3f", "copies=2")
        for name in linux_guest.PROGRAMS:
            line = linux_guest.append(linux_guest.PREFIX + name, words)
            self.assertLess(len(line), 1023)
            coded = line.rpartition("dbtlab.run=")[2]
            command = base64.b64decode(coded).decode()
            self.assertEqual(command.split()[1:], [name, *words])

    def test_the_script_knows_every_program(self) -> None:
        text = (linux_guest.HERE / "bench.sh").read_text()
        labels = {w for line in text.splitlines() if line.endswith(")") for w in line[:-1].split(" | ")}
        self.assertLessEqual(set(linux_guest.PROGRAMS), labels)
        subprocess.run(["sh", "-n", linux_guest.HERE / "bench.sh"], check=True)

    def test_the_script_refuses_what_it_does_not_know(self) -> None:
        done = subprocess.run(
            ["sh", linux_guest.HERE / "bench.sh", "nosuch"], capture_output=True, text=True, check=False
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn("FAIL nosuch: there is no such measurement", done.stdout)

    def test_programs_that_the_suite_names(self) -> None:
        data = suites.read(suites.path_of("linux-peers"))
        used = {w["guest"] for e in data["experiment"] for w in e["workload"]}
        self.assertEqual(used, {linux_guest.PREFIX + p for p in linux_guest.PROGRAMS})

    def test_what_both_sides_load(self) -> None:
        images = linux_guest.images(Path("g"))
        own = linux_guest.load_options(images)
        peer = linux_guest.qemu_options(images, "line")
        for name in ("zImage", "board.dtb", "initrd"):
            self.assertTrue(any(w.endswith(f"g/linux/{name}") for w in own))
            self.assertIn(f"g/linux/{name}", peer)


if __name__ == "__main__":
    unittest.main()
