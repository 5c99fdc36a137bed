#!/usr/bin/python3
"""Builds and runs the tests, counts their cases, and ends with the line `N passed, N failed`.

    ./dbtlab test                     everything, then the targets tagged asan and tsan once more under the sanitizers
    ./dbtlab test --quick             without the sanitizers and the targets tagged slow
    ./dbtlab test //engine/tb/...     Bazel's target patterns; a bare word keeps the targets whose name holds it
    ./dbtlab test --only=tsan llsc    one configuration: opt, asan or tsan

A case is a cmocka test, a Python unittest, what a target's own last line `N passed, N failed` says, or else the
target itself. A target that does not build, crashes or runs out of time counts as at least one failure.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections import namedtuple

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
CONFIGS = ("opt", "asan", "tsan")
TAIL_LINES = 40

Counts = namedtuple("Counts", "passed failed")

OWN = re.compile(r"^(\d+) passed, (\d+) failed\s*$", re.MULTILINE)
CMOCKA_PASSED = re.compile(r"^\[  PASSED  \] (\d+) test\(s\)\.", re.MULTILINE)
CMOCKA_FAILED = re.compile(r"^\[  FAILED  \] (\d+) test\(s\)", re.MULTILINE)
UNITTEST = re.compile(r"^Ran (\d+) tests? in .*\n\n(OK|FAILED)(?: \((.*)\))?", re.MULTILINE)
UNITTEST_BAD = re.compile(r"(failures|errors|unexpected successes)=(\d+)")


def count_cases(log, ok):
    """How many cases a target's log reports. ok: what Bazel said of the target as a whole."""
    passed = failed = 0
    own = OWN.findall(log)
    if own:
        passed, failed = int(own[-1][0]), int(own[-1][1])
    else:
        for n in CMOCKA_PASSED.findall(log):
            passed += int(n)
        for n in CMOCKA_FAILED.findall(log):
            failed += int(n)
        for ran, _verdict, detail in UNITTEST.findall(log):
            bad = sum(int(n) for _kind, n in UNITTEST_BAD.findall(detail))
            skipped = re.search(r"\bskipped=(\d+)", detail)
            failed += bad
            passed += int(ran) - bad - (int(skipped.group(1)) if skipped else 0)
    if passed + failed == 0 and ok:
        passed = 1
    if failed == 0 and not ok:
        failed = 1  # crashed after the last case, timed out, or a sanitizer ended it
    return Counts(passed, failed)


def read_log(uri):
    path = urllib.parse.unquote(urllib.parse.urlparse(uri).path)
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return ""


class Run:
    """One `bazel test` and what its event stream says while it goes on."""

    def __init__(self, config, total, out):
        self.config, self.total, self.out = config, total, out
        self.attempts = {}  # (label, run, shard) -> (status, log, seconds, cached)
        self.shown = set()
        self.unbuilt = {}  # label -> what the compiler said, if anything
        self.done = 0
        self.counts = Counts(0, 0)
        self.failures = []  # (label, status, log)

    def event(self, e):
        ident = e.get("id", {})
        if "testResult" in ident and "testResult" in e:
            i, r = ident["testResult"], e["testResult"]
            log = next((o.get("uri", "") for o in r.get("testActionOutput", []) if o.get("name") == "test.log"), "")
            key = (i["label"], i.get("run", 1), i.get("shard", 1))
            seconds = int(r.get("testAttemptDurationMillis", 0)) / 1000
            cached = r.get("cachedLocally", False)
            self.attempts[key] = (r.get("status", "NO_STATUS"), log, seconds, cached)
        elif "testSummary" in ident and "testSummary" in e:
            self.finish(ident["testSummary"]["label"], e["testSummary"].get("overallStatus", "NO_STATUS"))
        elif "targetCompleted" in ident:
            done = e.get("completed", {})
            if not done.get("success", False) and "aborted" not in e:
                self.unbuilt.setdefault(ident["targetCompleted"]["label"], "")

    def finish(self, label, status):
        if label in self.shown or status in ("NO_STATUS",):
            return
        self.shown.add(label)
        ok = status in ("PASSED", "FLAKY")
        passed = failed = 0
        seconds, cached, logs = 0.0, True, []
        for (name, _run, _shard), (s, uri, t, c) in sorted(self.attempts.items()):
            if name != label:
                continue
            log = read_log(uri)
            n = count_cases(log, s == "PASSED")
            passed, failed = passed + n.passed, failed + n.failed
            seconds, cached = max(seconds, t), cached and c
            if s != "PASSED" or n.failed:
                logs.append(log)
        if not ok and failed == 0:
            failed = 1
        self.add(label, status if failed else "PASSED", passed, failed, seconds, cached, "\n".join(logs))

    def add(self, label, status, passed, failed, seconds=0.0, cached=False, log=""):
        self.done += 1
        self.counts = Counts(self.counts.passed + passed, self.counts.failed + failed)
        word = "ok  " if not failed else "FAIL"
        cases = f"{passed + failed} case" + ("s" if passed + failed != 1 else "")
        if failed and passed:
            cases += f", {failed} failed"
        where = "cached" if cached else f"{seconds:.1f} s"
        self.out(f"[{self.config} {self.done:>3}/{self.total}] {word} {label:<52} {cases}, {where}")
        if failed:
            self.failures.append((label, status, log))

    def unfinished(self, labels):
        """Targets that never ran: they did not build."""
        for label in labels:
            if label not in self.shown:
                self.shown.add(label)
                self.add(label, "DOES NOT BUILD", 0, 1)


NOISE = re.compile(r"^(Loading|Analyzing|INFO|WARNING: .*cycle|FAIL|TIMEOUT|\s*$|//|Executed|There were|Use --)")


def essence(lines):
    """Bazel's messages without progress and without the command lines of the compiler."""
    command = False
    for line in lines:
        line = line.rstrip()
        command = command or line.startswith("  (cd ")
        if not command and not NOISE.match(line):
            yield line
        if command and line.endswith(")"):
            command = False


def follow(path, process, run):
    """Feed the event file to `run` while Bazel writes it."""
    rest = ""
    with open(path, encoding="utf-8") as f:
        while True:
            ended = process.poll() is not None
            chunk = f.read()
            rest += chunk
            while "\n" in rest:
                line, rest = rest.split("\n", 1)
                if line:
                    run.event(json.loads(line))
            if ended and not chunk:
                return
            if not chunk:
                time.sleep(0.1)


def bazel(*args, **kw):
    return subprocess.run(["bazel", *args], cwd=ROOT, text=True, **kw)


def query(expression):
    r = bazel("query", "--noshow_progress", "--keep_going", "--ui_event_filters=-info,-debug", expression,
              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    # With --keep_going, 3 means that some packages are in error; their message has to be seen.
    if r.returncode:
        sys.stderr.write("".join(line + "\n" for line in r.stderr.splitlines() if line.startswith("ERROR")))
        if r.returncode != 3:
            sys.exit("dbtlab test: Bazel does not understand these targets")
    return r.stdout.split(), r.returncode == 0


def is_label(word):
    return word.startswith(("//", ":", "@")) or "..." in word


def select(patterns, tag=None, without=()):
    """Labels of the tests that the patterns name, with a tag and without others."""
    labels = [p for p in patterns if is_label(p)] or ["//..."]
    expression = f"tests(set({' '.join(labels)}))"
    if tag:
        expression = f"attr(tags, '\\b{tag}\\b', {expression})"
    for t in without:
        expression = f"({expression}) except attr(tags, '\\b{t}\\b', {expression})"
    found, whole = query(expression)
    words = [p for p in patterns if not is_label(p)]
    if words:
        found = [t for t in found if any(w in t for w in words)]
    return sorted(found), whole


def run_config(config, targets, options, out):
    with tempfile.TemporaryDirectory(prefix="dbtlab-test-") as tmp:
        events = os.path.join(tmp, "events.json")
        listed = os.path.join(tmp, "targets")
        with open(listed, "w", encoding="utf-8") as f:
            f.write("\n".join(targets))
        open(events, "w", encoding="utf-8").close()
        command = ["bazel", "test", f"--config={config}", "--keep_going", "--noshow_progress", "--show_result=0",
                   "--test_output=summary", "--test_summary=none", "--ui_event_filters=-info,-debug,-warning",
                   f"--build_event_json_file={events}", f"--target_pattern_file={listed}", *options]
        if config != "opt":
            command.append("--symlink_prefix=/")  # the links in the tree stay with opt
        if os.environ.get("DBTLAB_JOBS"):
            command.append(f"--jobs={os.environ['DBTLAB_JOBS']}")
        run = Run(config, len(targets), out)
        process = subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = []
        reader = threading.Thread(target=lambda: said.extend(process.stdout), daemon=True)
        reader.start()
        try:
            follow(events, process, run)
        except KeyboardInterrupt:
            process.wait()
            raise
        reader.join()
        run.unfinished(targets)
        if any(status == "DOES NOT BUILD" for _, status, _ in run.failures):
            lines = list(essence(said))
            out("\n".join(["", f"-- {config}: what Bazel said of the targets that do not build"] + lines[-80:]))
        for label, status, log in run.failures:
            if log:
                out(f"\n-- {config}: {label}: {status.lower()}; the end of its log:")
                out("\n".join(log.rstrip().splitlines()[-TAIL_LINES:]))
        return run


def main(argv):
    p = argparse.ArgumentParser(prog="./dbtlab test", description=__doc__.split("\n\n")[0],
                                epilog=__doc__.split("\n\n", 1)[1],
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("filters", nargs="*", metavar="FILTER", help="target patterns, or words that targets' names hold")
    p.add_argument("--quick", action="store_true", help="no sanitizers, no targets tagged slow")
    p.add_argument("--only", choices=CONFIGS, help="one configuration only")
    p.add_argument("--again", action="store_true", help="run also what is known to have passed")
    args = p.parse_args(argv)

    configs = [args.only] if args.only else ["opt"] if args.quick else list(CONFIGS)
    without = ["slow"] if args.quick else []
    options = ["--nocache_test_results"] if args.again else []
    passed = failed = 0
    bad = []
    started = time.monotonic()

    def out(text):
        print(text, flush=True)

    complete = True
    for config in configs:
        targets, whole = select(args.filters, None if config == "opt" else config, without)
        if not whole and complete:
            complete = False
            failed += 1  # packages that cannot even be read
            bad.append("(packages in error, see above)")
        if not targets:
            if config == "opt" or args.only:
                out(f"[{config}] no tests match")
            continue
        run = run_config(config, targets, options, out)
        passed, failed = passed + run.counts.passed, failed + run.counts.failed
        bad += [f"{config} {label}: {status.lower()}" for label, status, _ in run.failures]

    if bad:
        out("\nFailed:")
        for line in bad:
            out(f"  {line}")
    if passed + failed == 0:
        out("nothing ran: no test matches")
    out(f"{time.monotonic() - started:.0f} s")
    out(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("dbtlab test: interrupted")
