"""guest.py - the guest's files, made once and kept: kernel with its modules, device tree, initial RAM disk."""
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from .apt import Apt
from .host import Problem, cache_folder, locked
from .ramdisk import LEFT_OUT, MERGED, Archive, add_package

DTB = "vexpress-v2p-ca15-tc1.dtb"
FORMAT = 1  # of the cache; a change of what is built raises it
MODULES = ("virtio_mmio", "virtio_blk", "virtio_console", "virtio-rng", "virtio_net", "ext4", "armmmci")
INIT = (Path(__file__).parent / "init.sh").read_text(encoding="utf-8")


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
