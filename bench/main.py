"""main.py - the commands `bench` and `paper`: measure, compare, draw.

./dbtlab calls this with the built program in DBTLAB_BIN and the guest images in DBTLAB_GUESTS.
"""

from __future__ import annotations

import argparse
import sys

sys.dont_write_bytecode = True  # the source tree stays as it was cloned

from pathlib import Path  # noqa: E402
from typing import Any, NoReturn  # noqa: E402

from errors import BenchError, UsageError, unknown  # noqa: E402

DEFAULT_SUITE = "default"
EXIT_INTERRUPTED = 130

BENCH_HELP = """\
Runs guest programs under several synchronisation schemes in interleaved random order, a fresh
process each, checks every run, and writes results/<date>-<suite>/ with the raw runs, a report
and plots. `./dbtlab bench` alone takes about three minutes on two cores.
"""
BENCH_EXAMPLES = """\
examples:
  ./dbtlab bench                               the default suite
  ./dbtlab bench --list                        all suites with their size
  ./dbtlab bench --axis=atomics --vcpus=1,2    only the comparisons of one axis
  ./dbtlab bench peers --repeat=15             against qemu-system-arm
  ./dbtlab bench --resume                      go on after Ctrl-C
"""
PAPER_HELP = """\
Measures what a paper or a mailing-list thread claims, draws its figure, and says in two sentences
which of its claims hold on this host.
"""
PAPER_EXAMPLES = """\
examples:
  ./dbtlab paper --list
  ./dbtlab paper fedorov-2016
  ./dbtlab paper fedorov-2016 --repeat=3 --vcpus=1    a quick look, too few runs for a claim
"""


class Parser(argparse.ArgumentParser):
    """argparse, but an error is one sentence."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; try {self.prog} --help")


def _counts(text: str) -> list[int]:
    import suites

    try:
        counts = sorted({int(part) for part in text.split(",")})
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a list like 1,2") from None
    if not all(1 <= count <= suites.MAX_VCPUS for count in counts):
        raise argparse.ArgumentTypeError(f"a vCPU count lies between 1 and {suites.MAX_VCPUS}")
    return counts


def _positive(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 1 to 10000")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"'{text}' is not a seed (a number below 2^63)")
    return int(text)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--vcpus", type=_counts, metavar="N,N", help="vCPU counts, such as 1,2")
    parser.add_argument("--repeat", type=_positive, metavar="N", help="repetitions of each variant")
    parser.add_argument("--seed", type=_seed, metavar="N", help="seed of the order (default 1)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="result folder, new or empty")
    parser.add_argument("--resume", action="store_true", help="go on with a stopped bench")
    parser.add_argument("--list", action="store_true", help="list what can be run, and stop")


def _parser() -> Parser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="./dbtlab", description="Measure and compare.", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    bench = commands.add_parser(
        "bench",
        description=BENCH_HELP,
        epilog=BENCH_EXAMPLES,
        formatter_class=raw,
        allow_abbrev=False,
    )
    bench.add_argument("name", nargs="?", metavar="SUITE", help="a suite (default: default)")
    bench.add_argument("--axis", metavar="NAME", help="only what compares the schemes of this axis")
    _options(bench)
    paper = commands.add_parser(
        "paper",
        description=PAPER_HELP,
        epilog=PAPER_EXAMPLES,
        formatter_class=raw,
        allow_abbrev=False,
    )
    paper.add_argument("name", nargs="?", metavar="NAME", help="a folder of papers/")
    _options(paper)
    return parser


def _saved_options(args: argparse.Namespace, folder: Path) -> None:
    """A resumed bench has the options that it began with, whatever is typed."""
    import record

    saved = record.read_manifest(folder).get("options", {})
    for key in ("axis", "vcpus", "repeat"):
        setattr(args, key, saved.get(key))


def _print_suites() -> None:
    import suites

    for name in suites.names():
        data = suites.read(suites.path_of(name))
        axes = ", ".join(suites.axes_of(data))
        print(f"{name:12} {data['title']} (axes: {axes}; {data.get('about', '')})")


def _suite_name(args: argparse.Namespace, binary: Any) -> str:
    """The suite asked for; --axis without one takes the default suite or the suite of that axis."""
    import suites

    if args.axis is not None and args.axis != "engine":
        binary.axis(args.axis)
    if args.name is not None:
        return str(args.name)
    if args.axis is None or args.axis in suites.axes_of(suites.read(suites.path_of(DEFAULT_SUITE))):
        return DEFAULT_SUITE
    for name in suites.names():
        if args.axis in suites.axes_of(suites.read(suites.path_of(name))):
            return name
    raise unknown("axis in the suites", args.axis, suites.names())


def _bench(args: argparse.Namespace) -> int:
    import suites

    if args.list:
        _print_suites()
        return 0
    if args.name is not None:
        suites.path_of(args.name)
    import measure
    from binary import load_binary

    binary = load_binary()
    if args.resume and args.out and args.name is None:
        import record

        args.name = record.read_manifest(args.out).get("suite")
    name = _suite_name(args, binary)
    return measure.suite(suites.path_of(name), name, binary, args, _saved_options)


def _paper(args: argparse.Namespace) -> int:
    import papers

    if args.list:
        for paper in papers.all_papers():
            print(f"{paper.name:16} {paper.title} ({paper.year}): {paper.question}")
        return 0
    if args.name is None:
        raise UsageError(f"name a paper: {', '.join(p.name for p in papers.all_papers())}")
    args.axis = None
    paper = papers.find(args.name)
    import measure
    from binary import load_binary

    return measure.suite(paper.suite, paper.name, load_binary(), args, _saved_options, paper)


def _need_packages() -> None:
    try:
        import numpy  # noqa: F401
        import scipy  # noqa: F401
    except ImportError as error:
        raise BenchError(f"Python has no {error.name}; ./dbtlab setup installs it") from error


def main(argv: list[str]) -> int:
    try:
        args = _parser().parse_args(argv)
        if not args.list:
            _need_packages()
        return _bench(args) if args.command == "bench" else _paper(args)
    except BenchError as error:
        print(f"dbtlab: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
