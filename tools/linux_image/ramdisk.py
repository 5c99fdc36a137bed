"""ramdisk.py - the initial RAM disk: a cpio archive ("newc"), and the files of Debian packages in it."""
import io
import os
import re
import subprocess
import tarfile

LEFT_OUT = re.compile(r"usr/share/(doc|man|info|locale|lintian|bug|common-licenses|doc-base)(/|$)")


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
