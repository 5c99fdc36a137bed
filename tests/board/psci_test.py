"""psci_test.py — PSCI calls through the whole program, and what HVC is without them"""
import unittest

from board import guest, run

SCHEMES = [[], ["--engine=interp"], ["--tb-lifetime=rcu"], ["--tb-cache=per-cpu", "--invalidation=per-cpu"]]


class Psci(unittest.TestCase):
    def test_calls(self) -> None:
        """The guest checks every answer, resets the machine once, and ends it by SYSTEM_OFF."""
        for method in ("hvc", "smc"):
            for words in SCHEMES:
                with self.subTest(method=method, words=words):
                    done = run("--smp=2", f"--psci={method}", *words, guest(f"psci_{method}"))
                    self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_the_other_instruction_is_not_answered(self) -> None:
        done = run("--smp=2", "--psci=smc", guest("psci_hvc"))
        self.assertEqual(done.returncode, 70, done.stderr)  # Undefined, and there is no handler

    def test_not_there_by_itself(self) -> None:
        for words in ([], ["--psci=off"]):
            done = run("--smp=2", *words, guest("psci_hvc"))
            self.assertEqual(done.returncode, 70, done.stderr)
            self.assertIn("exception vector", done.stderr)


if __name__ == "__main__":
    unittest.main()
