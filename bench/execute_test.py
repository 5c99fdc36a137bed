"""execute_test.py - what a guest prints becomes values with units; what went wrong becomes a reason."""

from __future__ import annotations

import unittest

import execute
from execute import with_unit


# A busy host lets a thread here wait: what is late is tried again with more time.
SCALES = (1, 5, 25)


class Output(unittest.TestCase):
    def test_units_end_up_in_the_keys_once(self) -> None:
        self.assertEqual(with_unit("roi_ns", "ns"), "roi_ns")
        self.assertEqual(with_unit("roi", "ns"), "roi_ns")
        self.assertEqual(with_unit("ops_per_s", "1/s"), "ops_per_s")
        self.assertEqual(with_unit("lost", "1/s"), "lost_per_s")
        self.assertEqual(with_unit("rate", "MB/s"), "rate_MB_per_s")
        self.assertEqual(with_unit("retries", "1"), "retries")
        self.assertEqual(with_unit("code_bytes", "B"), "code_bytes")
        self.assertEqual(with_unit("retries", None), "retries")

    def test_metrics_and_verdict(self) -> None:
        text = "A32\n#! metric roi_ns=123 unit=ns\n#! metric x=1.5e3 unit=1\nPASS hello\n"
        self.assertEqual(execute.parse_output(text), ({"roi_ns": 123, "x": 1500}, "pass"))

    def test_a_guest_that_says_nothing_has_not_passed(self) -> None:
        self.assertEqual(execute.parse_output("hello\n")[1], "no verdict printed")
        self.assertEqual(execute.parse_output("PASS x\nFAIL late\n")[1], "FAIL late")

    def test_stats_file(self) -> None:
        stats = {
            "wall_ns": 5,
            "counters": {"code": {"value": 7, "unit": "bytes", "help": "h"}, "n": {"value": 1}},
            "hooks_per_minsn": {"ldrex": 2.0},
            "unheard_of": [1],
        }
        flat = execute.flatten_stats(stats)
        self.assertEqual(flat["counters"], {"code_bytes": 7, "n": 1})
        self.assertEqual((flat["wall_ns"], flat["unheard_of"]), (5, [1]))
        self.assertEqual(execute.counter_help(stats), {"code_bytes": "h", "n": ""})

    def test_records_hold_no_absolute_paths(self) -> None:
        config = {"image": "/some/where/a.elf", "axes": {"x": "y"}, "n": 1}
        want = {"image": "a.elf", "axes": {"x": "y"}, "n": 1}
        self.assertEqual(execute.portable(config), want)


class Process(unittest.TestCase):
    def run_it(self, script: str, timeout_s: float = 60) -> tuple[execute.Finished, str]:
        done = execute.start_and_wait(["sh", "-c", script], timeout_s)
        _, printed = execute.parse_output(done.output)
        return done, execute._verdict(done, printed, timeout_s)

    def test_marks_get_the_hosts_time(self) -> None:
        for scale in SCALES:
            done, verdict = self.run_it(
                f"echo '#! mark up'; sleep {0.1 * scale}; echo '#! mark begin'; echo 'x #! mark no'; sleep {0.2 * scale}; "
                f"printf '#! mark'; sleep {0.1 * scale}; echo ' end'; echo '#! mark end'; echo PASS g",
                timeout_s=100,
            )
            self.assertEqual((verdict, set(done.marks)), ("pass", {"up", "begin", "end"}))
            values = execute.mark_values(done.marks)
            self.assertLessEqual(values["boot_ns"], done.marks["begin"])
            self.assertEqual(values["roi_ns"], done.marks["end"] - done.marks["begin"])
            if values["boot_ns"] < done.marks["begin"] and values["roi_ns"] > 0.25e9 * scale:
                break
        else:
            self.fail(f"the marks are not where the sleeps are: {done.marks}")
        self.assertEqual(execute.mark_values({"begin": 1}), {})

    def test_pass(self) -> None:
        done, verdict = self.run_it("echo PASS g")
        self.assertEqual((done.exit_code, verdict), (0, "pass"))
        self.assertGreater(done.wall_ns, 0)
        self.assertGreater(done.usage.ru_maxrss, 0)

    def test_a_failing_exit_code_beats_a_printed_pass(self) -> None:
        _, verdict = self.run_it("echo PASS g; echo broken >&2; exit 70")
        self.assertEqual(verdict, "exit code 70: broken")

    def test_a_guests_own_words_come_first(self) -> None:
        self.assertEqual(self.run_it("echo FAIL lost 3 updates; exit 1")[1], "FAIL lost 3 updates")

    def test_time_out_kills_the_whole_group(self) -> None:
        done, verdict = self.run_it("sleep 60 & sleep 60; echo PASS g", timeout_s=0.3)
        self.assertEqual(verdict, "killed after 0.3 s")
        self.assertLess(done.wall_ns, 50e9)

    def test_threads_are_seen_where_they_run(self) -> None:
        for scale in SCALES:
            done, _ = self.run_it(f"sleep {0.3 * scale}; echo PASS g", timeout_s=100)
            if done.threads:
                break
        self.assertTrue(done.threads)
        self.assertEqual(set(done.threads[0]), {"name", "allowed", "cpu"})


if __name__ == "__main__":
    unittest.main()
