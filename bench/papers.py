"""papers.py - the folders of papers/: what each claims, measures and draws. papers/README.md is the guide."""

from __future__ import annotations

import importlib.util
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import claims
import report
from errors import UsageError, unknown
from plan import Experiment
from plotting import Figure

FOLDER = Path(__file__).resolve().parent.parent / "papers"
KEYS = {"title", "authors", "year", "source", "question"}


@dataclass(frozen=True)
class Paper:
    folder: Path
    title: str
    authors: str
    year: int
    source: str
    question: str

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def suite(self) -> Path:
        return self.folder / "suite.toml"

    def judge(
        self, experiments: tuple[Experiment, ...], runs: list[dict[str, Any]], seed: int
    ) -> list[claims.Judged]:
        found = claims.read(self.folder / "claims.toml")
        return [claims.judge(claim, experiments, runs, seed) for claim in found]

    def figures(
        self,
        experiments: tuple[Experiment, ...],
        runs: list[dict[str, Any]],
        manifest: dict[str, Any],
    ) -> list[Figure]:
        """What figure.py makes of the runs; a paper without one has its suite's plots only."""
        script = self.folder / "figure.py"
        if not script.exists():
            return []
        crowd = report.crowd_of(manifest)
        made: list[Figure] = _module(script).figures(
            experiments, runs, crowd, manifest["repeat"], manifest["seed"]
        )
        return made


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"paper_{path.parent.name}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _load(folder: Path) -> Paper:
    path = folder / "paper.toml"
    try:
        data = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    if set(data) != KEYS:
        raise UsageError(f"{path} must have exactly the keys {', '.join(sorted(KEYS))}")
    return Paper(folder, **data)


def all_papers() -> list[Paper]:
    return [_load(path.parent) for path in sorted(FOLDER.glob("*/paper.toml"))]


def find(name: str) -> Paper:
    for paper in all_papers():
        if paper.name == name:
            return paper
    raise unknown("paper", name, [paper.name for paper in all_papers()])


def verdict_table(judged: list[claims.Judged]) -> list[str]:
    """What the terminal shows."""
    return report.table(["", "claim", "verdict"], [[j.claim.id, j.claim.short, j.verdict] for j in judged])


def claims_table(judged: list[claims.Judged]) -> list[str]:
    """What the report shows: the claims, their tests, and the numbers behind each verdict."""
    if not judged:
        return []
    lines = ["## The claims", ""]
    rows = [[j.claim.id, j.claim.claim, j.claim.source, j.claim.test, j.verdict] for j in judged]
    lines += report.table(["", "claim", "source", "test", "verdict"], rows)
    lines += ["", "The numbers behind each verdict:", ""]
    for j in judged:
        versus = f"`{j.claim.a}` against `{j.claim.b}`" if j.claim.b else f"`{j.claim.a}`"
        lines.append(f"- {j.claim.id}, {versus}, `{j.claim.metric}`: {'; '.join(j.evidence)}.")
    return lines
