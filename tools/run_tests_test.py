#!/usr/bin/python3
"""The counting of test cases in logs."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import run_tests  # noqa: E402

CMOCKA_FINE = """[==========] Running 2 test(s).
[ RUN      ] a
[       OK ] a
[==========] 2 test(s) run.
[  PASSED  ] 2 test(s).
"""
CMOCKA_BAD = """[  FAILED  ] a
[==========] 3 test(s) run.
[  PASSED  ] 2 test(s).
[  FAILED  ] 1 test(s), listed below:
[  FAILED  ] a

 1 FAILED TEST(S)
"""


class CountCases(unittest.TestCase):
    def check(self, log, ok, passed, failed):
        self.assertEqual((passed, failed), tuple(run_tests.count_cases(log, ok)))

    def test_cmocka(self):
        self.check(CMOCKA_FINE, True, 2, 0)
        self.check(CMOCKA_BAD, False, 2, 1)
        self.check(CMOCKA_FINE + CMOCKA_FINE, True, 4, 0)

    def test_unittest(self):
        self.check("Ran 3 tests in 0.001s\n\nOK\n", True, 3, 0)
        self.check("Ran 1 test in 0.001s\n\nOK\n", True, 1, 0)
        self.check("Ran 5 tests in 0.1s\n\nFAILED (failures=1, errors=2)\n", False, 2, 3)
        self.check("Ran 5 tests in 0.1s\n\nOK (skipped=2)\n", True, 3, 0)
        self.check("Ran 5 tests in 0.1s\n\nFAILED (failures=1, skipped=2)\n", False, 2, 1)

    def test_own_line_wins(self):
        self.check("noise\n200 passed, 0 failed\n", True, 200, 0)
        self.check("3 passed, 1 failed\n7 passed, 2 failed\n", False, 7, 2)

    def test_failure_is_never_lost(self):
        self.check("", False, 0, 1)
        self.check(CMOCKA_FINE + "WARNING: ThreadSanitizer: data race", False, 2, 1)
        self.check("5 passed, 0 failed\nSegmentation fault\n", False, 5, 1)
        self.check(CMOCKA_BAD, True, 2, 1)

    def test_silent_target_counts_one(self):
        self.check("", True, 1, 0)


if __name__ == "__main__":
    unittest.main()
