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
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile

from linux_image.guest import DTB, Guest
from linux_image.host import Problem, cache_folder, say
from linux_image.ramdisk import Archive, merged

COMMAND_MAX = 600  # bytes of base64: the kernel's whole command line is 1023


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
