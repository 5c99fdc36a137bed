"""boot_test.py — Linux boots, runs a command, passes its exit code on, powers off, restarts

The boot matrix is boots.py, the programs are programs_test.py.
"""
import re
import unittest

import guest


def setUpModule():
    try:
        guest.prepare()
    except guest.CannotFetch as reason:
        raise unittest.SkipTest(f"skipped: {reason}") from reason


class Boot(unittest.TestCase):
    def test_two_cpus(self):
        done = guest.boot("nproc; uname -a; cat /proc/cpuinfo; cat /proc/meminfo | head -n 1; dmesg | grep -i 'smp.*brought'")
        self.assertEqual(done.code, 0, done)
        self.assertEqual(done.out.splitlines()[0], "2", done)
        self.assertRegex(done.out, r"Linux dbtlab \S+-armmp .* armv7l", done)
        self.assertEqual(re.findall(r"^processor\s*: (\d)", done.out, re.M), ["0", "1"], done)
        for feature in ("vfpv4", "neon", "lpae", "idiva"):
            self.assertRegex(done.out, rf"Features.*\b{feature}\b", done)
        memory = int(re.search(r"MemTotal: *(\d+) kB", done.out)[1])
        self.assertTrue(460 * 1024 < memory <= 512 * 1024, memory)
        self.assertIn("Brought up 1 node, 2 CPUs", done.out, done)

    def test_exit_codes(self):
        for command, code in (("true", 0), ("false", 1), ("exit 7", 7), ("sh -c 'kill -9 $$'", 137), ("nosuchcommand", 127)):
            with self.subTest(command=command):
                done = guest.boot(command)
                self.assertEqual(done.code, code, done)

    def test_several_in_a_row(self):
        for _ in range(3):
            done = guest.boot("cat /proc/uptime; exit 5")
            self.assertEqual(done.code, 5, done)

    def test_long_descriptors(self):
        """Four CPUs and 1.5 GiB by the LPAE kernel."""
        try:
            guest.prepare(lpae=True)
        except guest.CannotFetch as reason:
            self.skipTest(f"skipped: {reason}")
        done = guest.boot("uname -r; nproc; head -n 1 /proc/meminfo", "--lpae", "--memory=1536M", smp=4)
        self.assertEqual(done.code, 0, done)
        self.assertRegex(done.out, r"-lpae\n4\nMemTotal: *1[45]\d{5} kB", done)

    def test_a_kernel_that_panics_ends_the_run(self):
        """panic=-1 restarts at once; a restart ends the run, and no exit code was reported."""
        done = guest.boot("echo c >/proc/sysrq-trigger")
        self.assertEqual(done.code, 1, done)
        self.assertIn("without reporting the exit code", done.err, done)

    def test_restart(self):
        """What it did before the restart is on a disk."""
        with guest.scratch() as folder:
            disk = f"{folder}/disk"
            with open(disk, "wb") as f:
                f.truncate(1 << 20)
            command = '[ "$(head -c 1 /dev/vda)" = x ] && exit 9; echo first; printf x >/dev/vda; sync; reboot -f'
            done = guest.boot(command, "--reboot", f"--disk={disk}")
        self.assertEqual((done.code, done.out.split()[0], done.out.count("first")), (9, "first", 1), done)

    def test_without_reboot_a_restart_ends_the_run(self):
        done = guest.boot("echo before; reboot -f")
        self.assertEqual((done.code, done.out.split()[:1], done.out.count('before')), (1, ["before"], 1), done)
        self.assertIn("without reporting the exit code", done.err, done)

    def test_the_output_is_what_the_command_writes(self):
        done = guest.boot("printf 'a\\tb\\n\\303\\251'; seq 1 3000 | md5sum")
        self.assertEqual(done.code, 0, done)
        self.assertEqual(done.out, "a\tb\néee9762749fc5338b6c9b0948d14219c7  -\n", done)

    def test_files_and_a_long_script(self):
        with guest.scratch() as folder:
            path = f"{folder}/script"
            with open(path, "w", encoding="utf-8") as f:
                f.write("#!/bin/sh\n" + "true 'some text that makes it long'\n" * 100 + "echo \"$0 ran\"; exit 3\n")
            done = guest.boot("sh ./script", files=[path])
        self.assertEqual((done.code, done.out), (3, "./script ran\n"), done)


if __name__ == "__main__":
    unittest.main()
