"""suites_test.py - every suite and every paper of the tree loads, names real guests, and is big enough."""

from __future__ import annotations

import json
import unittest
from pathlib import Path

import claims
import papers
import suites
from analysis import ENOUGH
from binary import GUEST_LIST, Axis, Binary, Guest, linux_guests
from errors import UsageError
from plan import schedule

AXES = {
    "invalidation": ("flush-counter", "per-cpu", "per-tb"),
    "atomics": ("llsc", "cmpxchg", "none"),
    "tb-cache": ("unified", "per-cpu"),
    "tb-lifetime": ("flush", "rcu"),
}
BINARY = Binary(
    Path("dbtlab"),
    "v",
    {n: Axis(n, s[0], s, frozenset(["none"]) & frozenset(s)) for n, s in AXES.items()},
)


def guests() -> dict[str, Guest]:
    rows = json.loads(GUEST_LIST.read_text())["guests"]
    return linux_guests(Path("guests")) | {
        row["name"]: Guest(
            row["name"], {isa: Path("x.elf") for isa in row["isa"]}, tuple(row["cpus"])
        )
        for row in rows
    }


class Tree(unittest.TestCase):
    def test_every_suite_loads(self) -> None:
        paths = [suites.path_of(name) for name in suites.names()]
        paths += [paper.suite for paper in papers.all_papers()]
        self.assertGreater(len(paths), 5)
        for path in paths:
            with self.subTest(path=path.parent.name + "/" + path.name):
                suite = suites.load(path, BINARY, guests())
                # Five are enough to see a factor of two; each run boots a kernel.
                self.assertGreaterEqual(suite.repeat, 5 if path.stem.startswith("linux-") else ENOUGH)
                self.assertTrue(all(e.aa_cells for e in suite.experiments))
                self.assertTrue(schedule(suite.experiments, 1, 1))

    def test_every_papers_claims_fit_its_suite(self) -> None:
        for paper in papers.all_papers():
            suite = suites.load(paper.suite, BINARY, guests())
            for claim in claims.read(paper.folder / "claims.toml"):
                with self.subTest(paper=paper.name, claim=claim.id):
                    claims.judge(claim, suite.experiments, [], 1)
                    found = next(e for e in suite.experiments if e.name == claim.experiment)
                    self.assertTrue(claims._selected(found.cells, claim.where))
                    self.assertLessEqual({claim.a, claim.b} - {""}, set(found.variants))


class Loading(unittest.TestCase):
    def load(self, **options: object) -> suites.Suite:
        path = suites.path_of("default")
        return suites.load(path, BINARY, guests(), **options)  # type: ignore[arg-type]

    def test_unsound_schemes_are_left_out_unless_named(self) -> None:
        found = {e.name: e.variants for e in self.load().experiments}
        self.assertEqual(found["atomics"], ("llsc", "cmpxchg"))

    def test_options_of_the_user_win(self) -> None:
        suite = self.load(axis="invalidation", vcpus=[4], repeat=3)
        self.assertEqual([e.name for e in suite.experiments], ["invalidation"])
        self.assertEqual({c.vcpus for c in suite.experiments[0].cells}, {4})
        self.assertEqual(suite.repeat, 3)

    def test_unknown_names_list_the_choices(self) -> None:
        with self.assertRaisesRegex(UsageError, "unknown suite 'x'; choose from: .*default"):
            suites.path_of("x")
        with self.assertRaisesRegex(UsageError, "unknown axis .*'tb-cache'; choose from: atomics"):
            self.load(axis="tb-cache")

    def test_a_guest_that_does_not_exist(self) -> None:
        with self.assertRaisesRegex(UsageError, "unknown guest 'intmix_dhry'; choose from: x"):
            suites.load(suites.path_of("default"), BINARY, {"x": Guest("x", {})})


if __name__ == "__main__":
    unittest.main()
