#!/usr/bin/python3
"""Debian's own Linux as a guest: fetches kernel and programs, builds an initial RAM disk, runs it.

    ./dbtlab guest linux [--lpae] [--add=PKG,...] [--refresh]
    ./dbtlab run linux   [the same] [--smp=N] [--memory=SIZE] [--run=COMMAND] [--file=PATH[:GUEST-PATH]] [--reboot]
                         [--boot-log] [--append=WORDS] [--print] [--qemu] [options of `./dbtlab run`]

    --lpae            the kernel with long descriptors (armmp-lpae)
    --add=PKG,...     Debian packages to unpack into the RAM disk, with all that they depend on
    --refresh         fetch the package lists and make everything anew
    --smp, --memory   CPUs (1) and RAM (512M)
    --run=COMMAND     a shell command instead of a shell; its exit code is passed on
    --file=PATH[:GUEST-PATH]   a file for the guest, in /root if nothing else is said; may be given again
    --reboot          a command may restart the guest; otherwise that ends the run, with exit code 1
    --boot-log        the kernel's messages too
    --append=WORDS    further words for the kernel's command line
    --print           only print the command that would be run
    --qemu            run qemu-system-arm instead, for comparison

`guest linux` fetches and tells, `run linux` runs. Everything is kept in a cache folder outside the
repository ($XDG_CACHE_HOME/dbtlab, else ~/.cache/dbtlab). Packages come from the apt sources that this host has,
through an apt state of our own: the host's package setup is neither changed nor asked what is installed.
Packages are unpacked, not installed: their maintainer scripts do not run.

A command that is run reports its exit code on the second serial port; this program passes it on.
"""
import base64
import contextlib
import fcntl
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time

ARCH = "armhf"
DTB = "vexpress-v2p-ca15-tc1.dtb"
FORMAT = 1  # of the cache; a change of what is built raises it
MODULES = ("virtio_mmio", "virtio_blk", "virtio_console", "virtio-rng", "virtio_net", "ext4", "armmmci")
LEFT_OUT = re.compile(r"usr/share/(doc|man|info|locale|lintian|bug|common-licenses|doc-base)(/|$)")
LISTS_MAX_AGE_S = 24 * 3600
COMMAND_MAX = 600  # bytes of base64: the kernel's whole command line is 1023

INIT = r"""#!/bin/busybox sh
# Made by tools/guest_linux.py: mounts, loads modules for the virtio devices there are, runs a command or a shell.
/bin/busybox mkdir -p /proc /sys /dev /tmp /run /root /mnt
/bin/busybox --install -s /usr/local/bin
export PATH=/usr/sbin:/usr/bin:/usr/local/bin HOME=/root TERM=${TERM:-linux} LC_ALL=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
hostname dbtlab
ip link set lo up
load() { for m in $(cat /lib/dbtlab/$1.list 2>/dev/null); do insmod $m 2>/dev/null; done; }
load virtio_mmio
for d in /sys/bus/virtio/devices/*/device; do
    case $(cat $d 2>/dev/null) in
    0x0001) load virtio_net ;;
    0x0002) load virtio_blk; load ext4 ;;
    0x0003) load virtio_console ;;
    0x0004) load virtio-rng ;;
    esac
done
cmd=
for w in $(cat /proc/cmdline); do
    [ "$w" = dbtlab.sd ] && { load armmmci; load ext4; }
    case $w in dbtlab.run=*) cmd=$(echo "${w#dbtlab.run=}" | base64 -d) ;; esac
done
SHELL=/bin/sh
[ -x /usr/bin/dash ] && SHELL=/usr/bin/dash
export SHELL
cd /root
if [ -n "$cmd" ]; then
    stty -F /dev/ttyAMA0 -onlcr -echo
    setsid cttyhack $SHELL -c "$cmd"
    code=$?
else
    [ -x /usr/bin/bash ] && SHELL=/usr/bin/bash
    echo "dbtlab: $(uname -sr) on $(nproc) CPUs; exit or Ctrl-D powers off"
    setsid cttyhack $SHELL -i
    code=$?
fi
sync
echo 0 >/proc/sys/kernel/printk
stty -F /dev/ttyAMA0 onlcr
echo "exit $code" >/dev/ttyAMA1
stty -F /dev/ttyAMA1 onlcr
poweroff -f
"""


class Problem(Exception):
    """Told in one sentence; the exit code is the second argument."""

    def __init__(self, text, exit_code=1):
        super().__init__(text)
        self.exit_code = exit_code


def say(text):
    print(f"dbtlab: {text}", file=sys.stderr, flush=True)


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "dbtlab")


@contextlib.contextmanager
def locked(folder):
    """One at a time changes the cache."""
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("waiting for another one that prepares a guest")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# -- cpio ("newc"): the form of an initial RAM disk --------------------------------------------------------------


class Archive:
    """Entries by path; a later one replaces an earlier one. Folders above an entry are made as needed."""

    def __init__(self):
        self.entries = {}  # path -> (mode, data, (major, minor))

    def folder(self, path, mode=0o755):
        path = path.strip("/")
        if path and path not in self.entries:
            self.folder(os.path.dirname(path))
            self.entries[path] = (0o040000 | mode, b"", (0, 0))

    def _put(self, path, mode, data, rdev=(0, 0)):
        path = path.strip("/")
        self.folder(os.path.dirname(path))
        self.entries[path] = (mode, data, rdev)

    def file(self, path, data, mode=0o644):
        self._put(path, 0o100000 | mode, data)

    def symlink(self, path, target):
        self._put(path, 0o120777, target.encode())

    def device(self, path, major, minor, mode=0o600):
        self._put(path, 0o020000 | mode, b"", (major, minor))

    @staticmethod
    def _record(out, number, path, mode, data, rdev):
        name = path.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1], len(name), 0)
        out.write(b"070701" + b"".join(b"%08x" % f for f in fields) + name)
        out.write(b"\0" * (-(110 + len(name)) % 4))
        out.write(data)
        out.write(b"\0" * (-len(data) % 4))

    def write(self, out):
        # Sorted: a folder comes before what is in it, and the same input gives the same bytes.
        for number, path in enumerate(sorted(self.entries), 1):
            self._record(out, number, path, *self.entries[path])
        self._record(out, 0, "TRAILER!!!", 0, b"", (0, 0))


MERGED = ("bin", "sbin", "lib")  # in Debian these are links into /usr, while packages may still have files there


def merged(path):
    top, _, rest = path.partition("/")
    return f"usr/{top}/{rest}".rstrip("/") if top in MERGED else path


def add_package(archive, deb, keep=lambda path: not LEFT_OUT.match(path)):
    """Put the files of a Debian package into the archive."""
    tar = subprocess.run(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(tar)) as t:
        hard = []
        for m in t:
            path = os.path.normpath(m.name).lstrip("./")
            if not path or path == "." or not keep(path):
                continue
            path = merged(path)
            if m.isdir():
                archive.folder(path, m.mode & 0o7777)
            elif m.isfile():
                archive.file(path, t.extractfile(m).read(), m.mode & 0o7777)
            elif m.issym():
                archive.symlink(path, m.linkname)
            elif m.islnk():
                hard.append((path, merged(os.path.normpath(m.linkname).lstrip("./")), m.mode & 0o7777))
        for path, target, mode in hard:
            if target in archive.entries:
                archive.file(path, archive.entries[target][1], mode)


# -- apt with a state of its own -----------------------------------------------------------------------------------


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


# -- Kernel modules ----------------------------------------------------------------------------------------------------


def module_name(path):
    return os.path.basename(path)[:-len(".ko")].replace("-", "_")


def module_order(modules, name, done=None):
    """Paths of a module and of those it depends on, in the order to load them; unknown ones are built in."""
    done = [] if done is None else done
    name = name.replace("-", "_")
    entry = modules.get(name) or modules.get(name + "_generic")  # crypto's modules have the algorithm's name as an alias
    if not entry or entry[0] in done:
        return done
    path, data = entry
    depends = re.search(rb"\0depends=([^\0]*)\0", data)
    for d in (depends.group(1).decode().split(",") if depends else []):
        if d:
            module_order(modules, d, done)
    done.append(path)
    return done


def soft_depends(data):
    """What a module asks to be loaded before it without needing its symbols."""
    found = re.findall(rb"softdep=pre: ([^\0]*)\0", data)
    return [w.removeprefix("crypto-") for f in found for w in f.decode().split() if w not in ("pre:", "post:")]


# -- The guest ------------------------------------------------------------------------------------------------------------


class Guest:
    def __init__(self, lpae, packages, left_out=None):
        """left_out: pattern of further paths that packages bring and nobody needs."""
        self.flavour = "armmp-lpae" if lpae else "armmp"
        self.packages = sorted(set(packages))
        self.left_out = re.compile(left_out) if left_out else None
        what = json.dumps([FORMAT, self.flavour, self.packages, INIT, MODULES] + [left_out] * bool(left_out))
        key = hashlib.sha256(what.encode()).hexdigest()[:16]
        self.folder = os.path.join(cache_folder(), "linux", f"{self.flavour}-{key}")

    def path(self, name):
        return os.path.join(self.folder, name)

    def keeps(self, path):
        return not LEFT_OUT.match(path) and not (self.left_out and self.left_out.match(path))

    def manifest(self):
        try:
            with open(self.path("manifest.json"), encoding="utf-8") as f:
                return json.load(f)
        except (OSError, ValueError):
            return None

    def prepare(self, refresh=False):
        """Make the files if they are not there; the manifest."""
        if not refresh and self.manifest():
            return self.manifest()
        with locked(cache_folder()):
            return self._prepare(refresh)

    def _prepare(self, refresh):
        if not refresh and self.manifest():  # somebody else has made them meanwhile
            return self.manifest()
        for tool in ("apt-get", "dpkg-deb"):
            if not shutil.which(tool):
                raise Problem(f"{tool} is needed to fetch Debian's packages and is not on this host")
        apt = Apt(os.path.join(cache_folder(), "apt"))
        apt.update(refresh)
        version, depends = apt.depends(f"linux-image-{self.flavour}")
        kernel = next((d for d in depends if d.startswith("linux-image-")), None)
        if not kernel:
            raise Problem(f"linux-image-{self.flavour} names no kernel package")
        # busybox-static stands alone; other programs bring their libraries, and a shell that prefers them.
        wanted = [(kernel, version), ("busybox-static", apt.depends("busybox-static")[0])]
        programs = apt.closure(self.packages + ["dash", "libc6"]) if self.packages else []
        wanted += [p for p in programs if p[0] != "busybox-static"]
        debs = apt.fetch(wanted, os.path.join(cache_folder(), "debs"))

        os.makedirs(os.path.dirname(self.folder), exist_ok=True)
        temp = tempfile.mkdtemp(prefix=".new-", dir=os.path.dirname(self.folder))
        try:
            archive = Archive()
            for name in MERGED:
                archive.symlink(name, f"usr/{name}")
                archive.folder(f"usr/{name}")
            self._kernel(debs[0], archive, temp)
            for deb in debs[2:]:
                add_package(archive, deb, self.keeps)
            add_package(archive, debs[1])
            self._etc(archive)
            with open(os.path.join(temp, "initrd"), "wb") as f:
                archive.write(f)
            manifest = {"kernel": f"{kernel} {version}", "packages": [f"{n} {v}" for n, v in wanted[1:]],
                        "modules": list(MODULES), "initrd_bytes": os.path.getsize(os.path.join(temp, "initrd"))}
            with open(os.path.join(temp, "manifest.json"), "w", encoding="utf-8") as f:
                json.dump(manifest, f, indent=1)
            shutil.rmtree(self.folder, ignore_errors=True)
            os.rename(temp, self.folder)
        except BaseException:
            shutil.rmtree(temp, ignore_errors=True)
            raise
        return manifest

    def _kernel(self, deb, archive, into):
        """zImage and device tree to files; the modules that may be needed to the archive."""
        tar = subprocess.run(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE, check=True).stdout
        modules = {}
        with tarfile.open(fileobj=io.BytesIO(tar)) as t:
            for m in t:
                base = os.path.basename(m.name)
                if base.startswith("vmlinuz-"):
                    target = "zImage"
                elif base == DTB:
                    target = DTB
                else:
                    if base.endswith(".ko"):
                        path = "/usr" + os.path.normpath("/" + m.name)
                        modules[module_name(base)] = (path.replace("/usr/usr/", "/usr/"), t.extractfile(m).read())
                    continue
                with open(os.path.join(into, target), "wb") as f:
                    f.write(t.extractfile(m).read())
        for needed in ("zImage", DTB):
            if not os.path.exists(os.path.join(into, needed)):
                raise Problem(f"{os.path.basename(deb)} has no {needed}")
        by_path = dict(modules.values())
        for name in MODULES:
            order = []
            entry = modules.get(name.replace("-", "_"))
            for soft in soft_depends(entry[1]) if entry else []:
                module_order(modules, soft, order)
            module_order(modules, name, order)
            for path in order:
                archive.file(path, by_path[path])
            archive.file(f"usr/lib/dbtlab/{name}.list", "".join(p + "\n" for p in order).encode())

    @staticmethod
    def _etc(archive):
        archive.file("init", INIT.encode(), 0o755)
        archive.folder("usr/local/bin")
        for folder in ("proc", "sys", "dev", "root", "mnt", "run", "var/tmp", "etc"):
            archive.folder(folder)
        archive.folder("tmp", 0o1777)
        archive.device("dev/console", 5, 1)
        archive.device("dev/null", 1, 3, 0o666)
        for path, text in (("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
                           ("etc/group", "root:x:0:\nnogroup:x:65534:\n"), ("etc/hosts", "127.0.0.1 localhost dbtlab\n")):
            if path not in archive.entries:
                archive.file(path, text.encode())
        if "usr/bin/sh" not in archive.entries:
            archive.symlink("usr/bin/sh", "busybox" if "usr/bin/dash" not in archive.entries else "dash")


# -- Commands ----------------------------------------------------------------------------------------------------------------


def tell(guest, manifest):
    kernel, packages = manifest["kernel"], manifest["packages"]
    say(f"kernel {kernel}, {DTB}, modules {', '.join(manifest['modules'])}")
    say(f"initial RAM disk of {manifest['initrd_bytes'] / 2**20:.1f} MiB from {len(packages)} package"
        f"{'s' if len(packages) > 1 else ''}: {', '.join(p.split()[0] for p in packages)}")
    say(f"in {guest.folder}")


def reported_code(path):
    """The exit code that the guest wrote to its second serial port, or None."""
    try:
        with open(path, "rb") as f:
            found = re.findall(rb"exit (\d+)", f.read())
    except OSError:
        return None
    return int(found[-1]) & 0xff if found else None


def own_files(words):
    """An archive of the files named by --file, or None."""
    archive = Archive()
    for word in words:
        path, _, inside = word.partition(":")
        inside = inside or f"root/{os.path.basename(path)}"
        try:
            with open(path, "rb") as f:
                data = f.read()
        except OSError as e:
            raise Problem(f"--file: cannot read {path}: {e.strerror}", 2) from e
        archive.file(merged(os.path.normpath("/" + inside).strip("/")), data, 0o755 if os.access(path, os.X_OK) else 0o644)
    return archive if words else None


def run(guest, options, rest):
    manifest = guest.manifest() or guest.prepare()
    append = "console=ttyAMA0 panic=-1"
    if not options["boot_log"]:
        append += " loglevel=1"
    if options["run"] is not None:
        coded = base64.b64encode(options["run"].encode()).decode()
        if len(coded) > COMMAND_MAX:
            raise Problem(f"--run: a command of {len(options['run'])} bytes is too long for the kernel's command line", 2)
        append += f" dbtlab.run={coded}"
    if any(w.startswith("--sd=") for w in rest):
        append += " dbtlab.sd"
    if options["append"]:
        append += " " + options["append"]
    stays_down = options["run"] is not None and not options["reboot"]
    smp, memory = options["smp"] or "1", options["memory"] or "512M"
    kernel = [guest.path("zImage"), guest.path(DTB), guest.path("initrd")]
    with tempfile.TemporaryDirectory(prefix="dbtlab-") as temp:
        report = os.path.join(temp, "uart1")
        own = own_files(options["file"])
        if own:
            # The kernel unpacks archives that follow each other.
            with open(kernel[2], "rb") as packages, open(os.path.join(temp, "initrd"), "wb") as both:
                shutil.copyfileobj(packages, both)
                own.write(both)
            kernel[2] = both.name
        if options["qemu"]:
            command = ["qemu-system-arm", "-M", "vexpress-a15", "-smp", smp, "-m", memory, "-kernel", kernel[0], "-dtb",
                       kernel[1], "-initrd", kernel[2], "-append", append, "-display", "none", "-serial",
                       "stdio" if not sys.stdin.isatty() else "mon:stdio", "-serial", f"file:{report}",
                       *["-no-reboot"] * stays_down, *rest]
        else:
            binary = os.environ.get("DBTLAB_BIN")
            if not binary:
                raise Problem("DBTLAB_BIN does not name the program; `./dbtlab run linux` sets it", 2)
            command = [binary, "run", f"--smp={smp}", f"--memory={memory}", f"--kernel={kernel[0]}", f"--dtb={kernel[1]}",
                       f"--initrd={kernel[2]}", f"--append={append}", f"--uart1={report}",
                       *["--no-reboot"] * stays_down, *rest]
        if options["print"]:
            print(shlex.join(command))
            return 0
        del manifest
        try:
            child = subprocess.Popen(command, env={**os.environ, "QEMU_AUDIO_DRV": "none"})
        except OSError as e:
            raise Problem(f"cannot start {command[0]}: {e.strerror}") from e
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda n, _frame: child.send_signal(n))
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the child has it too, and ends
        code = child.wait()
        if code:
            return code if code > 0 else 128 - code
        code = reported_code(report)
        if code is None and options["run"] is not None:
            raise Problem("the guest ended without reporting the exit code of the command")
        return code or 0


FLAGS = {"lpae", "refresh", "boot-log", "reboot", "qemu", "print"}
VALUES = {"add", "smp", "memory", "run", "append", "file"}


def parse(words, running):
    options = {k.replace("-", "_"): k not in VALUES and False or None for k in FLAGS | VALUES}
    options["add"], options["file"], rest = [], [], []
    for word in words:
        name, equals, value = word[2:].partition("=")
        if word in ("-h", "--help"):
            print(__doc__)
            sys.exit(0)
        if not word.startswith("--"):
            raise Problem(f"\"{word}\": a command for the guest is given by --run='COMMAND'", 2)
        if name == "add" and equals:
            options["add"] += [p for p in value.split(",") if p]
        elif name == "file" and equals:
            options["file"].append(value)
        elif name in VALUES and equals:
            options[name] = value
        elif name in VALUES or (name in FLAGS and equals):
            raise Problem(f"{word}: " + ("a value is missing: --NAME=VALUE" if not equals else "takes no value"), 2)
        elif name in FLAGS and not equals:
            options[name.replace("-", "_")] = True
        elif running:
            rest.append(word)
        else:
            raise Problem(f"{word}: not an option of `guest linux`: --lpae, --add=PKG,..., --refresh", 2)
    for p in options["add"]:
        if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", p):
            raise Problem(f"--add={p}: not a name of a Debian package", 2)
    return options, rest


def main(argv):
    try:
        if not argv or argv[0] not in ("prepare", "run"):
            raise Problem("prepare or run?", 2)
        options, rest = parse(argv[1:], argv[0] == "run")
        guest = Guest(options["lpae"], options["add"])
        if argv[0] == "prepare" or options["refresh"] or not guest.manifest():
            tell(guest, guest.prepare(options["refresh"]))
        return run(guest, options, rest) if argv[0] == "run" else 0
    except Problem as p:
        say(p)
        return p.exit_code
    except subprocess.CalledProcessError as p:
        say(f"{p.cmd[0]} ended with {p.returncode}")
        return 1
    except OSError as p:
        say(f"cannot use {p.filename}: {p.strerror}" if p.filename else f"the cache in {cache_folder()}: {p.strerror}")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
