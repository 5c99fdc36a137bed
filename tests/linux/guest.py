"""guest.py — boots of Debian's Linux for the tests of this folder"""
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

RUNFILES = Path(os.environ.get("TEST_SRCDIR", "/nonexistent")) / os.environ.get("TEST_WORKSPACE", "")
HERE = RUNFILES / "tests/linux" if RUNFILES.exists() else Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TOOL = ROOT / "tools/guest_linux.py"
# By hand what was built last.
BINARY = Path(os.environ.get("DBTLAB_BIN") or (RUNFILES if RUNFILES.exists() else ROOT / "bazel-bin") / "engine/main/dbtlab")
BOOT_S = 300  # a boot takes 1 to 4 s on an idle host; this one may be busy
CANNOT_FETCH = ("could not fetch", "is needed to fetch")


class CannotFetch(Exception):
    """The packages are neither in the cache nor to be had; the reason."""


class Ended:
    """How a run ended. code None: it did not within the time."""

    def __init__(self, code, out, err, seconds):
        self.code, self.out, self.err, self.seconds = code, out, err, seconds

    def __str__(self):
        said = "not within the time" if self.code is None else f"exit code {self.code}"
        return f"{said} after {self.seconds:.1f} s; output: {self.out[-2000:]!r}; errors: {self.err[-1000:]!r}"


def _call(words, seconds):
    # No test environment that would hide the cache: HOME as the account has it.
    env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "DBTLAB_BIN": str(BINARY)}
    env |= {k: os.environ[k] for k in ("HOME", "XDG_CACHE_HOME", "http_proxy", "https_proxy") if k in os.environ}
    begin = time.monotonic()
    with subprocess.Popen(["/usr/bin/python3", "-B", TOOL, *words], env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace") as p:
        try:
            out, err = p.communicate(timeout=seconds)
            code = p.returncode
        except subprocess.TimeoutExpired:
            p.terminate()  # it passes that on to the emulator
            try:
                out, err = p.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                p.kill()
                out, err = p.communicate()
            code = None
    return Ended(code, out, err, time.monotonic() - begin)


def prepare(packages=(), lpae=False):
    """Fetch what is missing; CannotFetch if it is not to be had."""
    add = [f"--add={','.join(packages)}"] if packages else []
    done = _call(["prepare", *add, *["--lpae"] * lpae], 900)
    if done.code:
        last = (done.err.strip().splitlines() or ["no reason given"])[-1]
        if any(w in last for w in CANNOT_FETCH):
            raise CannotFetch(last)
        raise AssertionError(str(done))


def boot(command, *options, smp=2, packages=(), files=(), seconds=BOOT_S):
    """Run a shell command in a guest that boots for it and powers off after it."""
    words = ["run", f"--smp={smp}", f"--run={command}", *options, *(f"--file={f}" for f in files)]
    if packages:
        words.append(f"--add={','.join(packages)}")
    return _call(words, seconds)


def axes():
    """{axis: [schemes]} as the program lists them, without those that are unsound by purpose."""
    out = subprocess.run([BINARY, "--list-strategies=json"], check=True, capture_output=True, text=True).stdout
    return {a["name"]: [s["name"] for s in a["schemes"] if not s.get("unsound") and not s.get("busted")]
            for a in json.loads(out)["axes"]}


def scratch():
    return tempfile.TemporaryDirectory(prefix="dbtlab-test-")
