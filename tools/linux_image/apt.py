"""apt.py - packages from the apt sources that this host has, through an apt with a state of its own."""
import os
import re
import subprocess
import tempfile
import time

from .host import Problem, say

ARCH = "armhf"
LISTS_MAX_AGE_S = 24 * 3600


class Apt:
    def __init__(self, folder):
        self.folder = folder
        self.state, self.cache = os.path.join(folder, "state"), os.path.join(folder, "cache")
        for d in (os.path.join(self.state, "lists", "partial"), os.path.join(self.cache, "archives", "partial")):
            os.makedirs(d, exist_ok=True)
        status = os.path.join(folder, "status")
        open(status, "a", encoding="utf-8").close()
        self.options = [
            f"APT::Architecture={ARCH}", f"APT::Architectures={ARCH}", f"Dir::State={self.state}",
            f"Dir::State::Lists={self.state}/lists", f"Dir::State::status={status}", f"Dir::Cache={self.cache}",
            "APT::Sandbox::User=root", "Debug::NoLocking=1", "APT::Install-Recommends=0", "Acquire::Retries=2",
            "Acquire::Languages=none",
        ]

    def call(self, tool, *words, cwd=None):
        command = [tool] + [x for o in self.options for x in ("-o", o)] + list(words)
        return subprocess.run(command, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              env={**os.environ, "LC_ALL": "C"})

    def update(self, force):
        stamp = os.path.join(self.folder, "updated")
        if not force and os.path.exists(stamp) and time.time() - os.path.getmtime(stamp) < LISTS_MAX_AGE_S:
            return
        say(f"fetching the package lists for {ARCH} (into {self.folder}; the host's own stay as they are)")
        done = self.call("apt-get", "-qq", "update")
        if not any(f"binary-{ARCH}_Packages" in f for f in os.listdir(os.path.join(self.state, "lists"))):
            raise Problem(f"apt could not fetch the package lists for {ARCH}: {last_line(done.stdout)}")
        if done.returncode:
            say("a package list could not be fetched; going on with the others")
        open(stamp, "w", encoding="utf-8").close()

    def depends(self, package):
        """(version, what it depends on) of the newest version."""
        done = self.call("apt-cache", "show", "--no-all-versions", package)
        version = re.search(r"^Version: (\S+)", done.stdout, re.M)
        if done.returncode or not version:
            raise Problem(f"Debian has no package \"{package}\" for {ARCH} in the sources of this host", 2)
        line = re.search(r"^Depends: (.*)", done.stdout, re.M)
        return version.group(1), re.findall(r"(?:^|, )([a-z0-9.+-]+)", line.group(1) if line else "")

    def closure(self, packages):
        """[(name, version)] of the packages and all that they depend on."""
        done = self.call("apt-get", "-s", "install", *packages)
        if done.returncode:
            lines = [l.strip() for l in done.stdout.splitlines() if l.startswith(("E:", " "))]
            raise Problem("apt cannot resolve the packages: " + (lines[-1] if lines else last_line(done.stdout)), 2)
        return re.findall(r"^Inst (\S+) \((\S+)", done.stdout, re.M)

    def fetch(self, wanted, into):
        """Download what is not there; the paths of all."""
        os.makedirs(into, exist_ok=True)
        missing = [f"{n}={v}" for n, v in wanted if not glob_deb(into, n, v)]
        if missing:
            say(f"fetching {len(missing)} package{'s' if len(missing) > 1 else ''}")
            # In a folder of its own: what was cut short never lies where whole packages are looked for.
            with tempfile.TemporaryDirectory(prefix=".new-", dir=into) as temp:
                done = self.call("apt-get", "-qq", "download", *missing, cwd=temp)
                if done.returncode:
                    raise Problem(f"apt could not fetch the packages: {last_line(done.stdout)}")
                for name in os.listdir(temp):
                    os.replace(os.path.join(temp, name), os.path.join(into, name))
        for name, version in wanted:
            if not glob_deb(into, name, version):
                raise Problem(f"apt fetched no {name} {version}; --refresh fetches the package lists anew")
        return [glob_deb(into, n, v) for n, v in wanted]


def last_line(text):
    lines = [l for l in text.splitlines() if l.strip()]
    return lines[-1].strip() if lines else "no reason given"


def glob_deb(folder, name, version):
    for arch in (ARCH, "all"):
        path = os.path.join(folder, f"{name}_{version.replace(':', '%3a')}_{arch}.deb")
        if os.path.exists(path):
            return path
    return None
