"""guest_linux_test.py — tools/guest_linux.py and tools/linux_image without a kernel: RAM disk, packages, command line, trouble

apt-get and apt-cache are made-up ones that know a kernel and three packages; dpkg-deb is the real one.
"""
import base64
import io
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

RUNFILES = Path(os.environ.get("TEST_SRCDIR", "/nonexistent")) / os.environ.get("TEST_WORKSPACE", "")
TOOL = RUNFILES / "tools/guest_linux.py"
if not TOOL.exists():
    TOOL = Path(__file__).resolve().parents[2] / "tools/guest_linux.py"

sys.dont_write_bytecode = True
sys.path.insert(0, str(TOOL.parent))
import guest_linux  # noqa: E402
from linux_image.guest import DTB, module_order, soft_depends  # noqa: E402
from linux_image.ramdisk import Archive, merged  # noqa: E402

APT_GET = """\
#!/bin/sh
# Made up. REPO holds *.deb; MODE says what goes wrong.
echo "apt-get $*" >>"$REPO/log"
state=
while [ $# -gt 0 ]; do
    case $1 in
    -o) case $2 in Dir::State=*) state=${2#*=} ;; esac; shift ;;
    -*) ;;
    *) break ;;
    esac
    shift
done
verb=$1
[ "$verb" = -s ] && { shift; verb=$1; }
shift
case $verb in
update)
    [ "$MODE" = offline ] && { echo "E: Could not resolve 'deb.example'"; exit 100; }
    : >"$state/lists/x_binary-armhf_Packages" ;;
install)
    for p; do
        case $p in
        adder) echo "Inst libadd (1 x [armhf])"; echo "Inst adder (2:1.0-1 x [armhf])" ;;
        dash | libc6) echo "Inst $p (1 x [armhf])" ;;
        *) echo "E: Unable to locate package $p"; exit 100 ;;
        esac
    done ;;
download)
    for p; do
        name=${p%%=*}
        [ "$MODE" = cut ] && { head -c 100 "$REPO/$name.deb" >"${name}_half"; echo "E: Connection reset"; exit 100; }
        version=$(echo "${p#*=}" | sed 's/:/%3a/')
        cp "$REPO/$name.deb" "${name}_${version}_armhf.deb"
    done ;;
esac
"""
APT_CACHE = """\
#!/bin/sh
for last; do :; done
case $last in
linux-image-armmp) echo "Version: 6.1"; echo "Depends: linux-image-6.1.0-1-armmp (= 6.1)" ;;
busybox-static) echo "Version: 1" ;;
*) echo "N: Unable to locate package"; exit 100 ;;
esac
"""


def read_cpio(data):
    """{path: (mode, content, rdev)} of a newc archive, and where its trailer ended."""
    out, at = {}, 0
    while True:
        assert data[at:at + 6] == b"070701", data[at:at + 6]
        f = [int(data[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
        name = data[at + 110:at + 110 + f[11] - 1].decode()
        at += (110 + f[11] + 3) & ~3
        body = data[at:at + f[6]]
        at += (f[6] + 3) & ~3
        if name == "TRAILER!!!":
            return out, at
        out[name] = (f[1], body, (f[9], f[10]))


class RamDisk(unittest.TestCase):
    def archive(self):
        a = Archive()
        a.file("usr/bin/tool", b"odd", 0o755)
        a.symlink("bin", "usr/bin")
        a.device("dev/console", 5, 1)
        a.file("empty", b"")
        return a

    def written(self, a):
        out = io.BytesIO()
        a.write(out)
        return out.getvalue()

    def test_what_is_written_is_read_back(self):
        found, end = read_cpio(self.written(self.archive()))
        self.assertEqual(found["usr/bin/tool"], (0o100755, b"odd", (0, 0)))
        self.assertEqual(found["bin"], (0o120777, b"usr/bin", (0, 0)))
        self.assertEqual(found["dev/console"], (0o020600, b"", (5, 1)))
        self.assertEqual(found["empty"], (0o100644, b"", (0, 0)))
        self.assertEqual(found["usr/bin"][0], 0o040755)
        self.assertEqual(list(found), sorted(found))  # folders before what is in them
        self.assertEqual(end % 4, 0)

    def test_cpio_itself_reads_it(self):
        if not shutil.which("cpio"):
            self.skipTest("skipped: no cpio on this host")
        listed = subprocess.run(["cpio", "-t", "--quiet"], input=self.written(self.archive()), capture_output=True, check=True)
        self.assertEqual(listed.stdout.decode().split(), sorted(self.archive().entries))

    def test_the_same_input_gives_the_same_bytes(self):
        self.assertEqual(self.written(self.archive()), self.written(self.archive()))

    def test_a_later_entry_replaces_an_earlier_one(self):
        a = self.archive()
        a.file("usr/bin/tool", b"new")
        self.assertEqual(read_cpio(self.written(a))[0]["usr/bin/tool"][1], b"new")

    def test_merged_usr(self):
        self.assertEqual(merged("bin/sh"), "usr/bin/sh")
        self.assertEqual(merged("lib"), "usr/lib")
        self.assertEqual(merged("libx/a"), "libx/a")


class Modules(unittest.TestCase):
    def test_order(self):
        m = {"a": ("/a.ko", b"x\0depends=b_1,c\0"), "b_1": ("/b-1.ko", b"\0depends=c\0"), "c": ("/c.ko", b"\0depends=\0")}
        self.assertEqual(module_order(m, "a"), ["/c.ko", "/b-1.ko", "/a.ko"])
        self.assertEqual(module_order(m, "b-1"), ["/c.ko", "/b-1.ko"])
        self.assertEqual(module_order(m, "built_in"), [])

    def test_soft_dependencies(self):
        self.assertEqual(soft_depends(b"a\0softdep=pre: crc32c x\0"), ["crc32c", "x"])


class World(unittest.TestCase):
    """A cache folder of its own, a made-up apt, and small packages."""

    def setUp(self):
        if not shutil.which("dpkg-deb"):
            self.skipTest("skipped: no dpkg-deb on this host")
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.home = Path(temp.name)
        self.repo, self.bin, self.cache = self.home / "repo", self.home / "bin", self.home / "cache"
        self.repo.mkdir()
        self.bin.mkdir()
        for name, text in (("apt-get", APT_GET), ("apt-cache", APT_CACHE)):
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)
        self.deb("linux-image-6.1.0-1-armmp", {
            "boot/vmlinuz-6.1.0-1-armmp": b"kernel", "usr/lib/linux-image/" + DTB: b"tree",
            "lib/modules/6.1/virtio_blk.ko": b"\0depends=virtio_ring\0", "lib/modules/6.1/virtio_ring.ko": b"\0depends=\0"})
        self.deb("busybox-static", {"bin/busybox": b"#!busybox"})
        self.deb("adder", {"usr/bin/adder": b"add", "usr/share/doc/adder/long": b"x", "usr/share/adder/data": b"d"})
        for name in ("libadd", "dash", "libc6"):
            self.deb(name, {f"usr/lib/{name}.so": name.encode()})

    def deb(self, name, files):
        root = self.home / "deb"
        for path, data in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(data)
        (root / "DEBIAN").mkdir()
        (root / "DEBIAN/control").write_text(
            f"Package: {name}\nVersion: 1\nArchitecture: armhf\nMaintainer: x <x@y>\nDescription: x\n")
        subprocess.run(["dpkg-deb", "-Zgzip", "--build", root, self.repo / f"{name}.deb"], check=True, capture_output=True)
        shutil.rmtree(root)

    def call(self, *words, mode="", binary="", path=None, **more):
        env = {"HOME": str(self.home), "XDG_CACHE_HOME": str(self.cache), "REPO": str(self.repo), "MODE": mode,
               "PATH": path or f"{self.bin}:/usr/bin:/bin:/usr/sbin:/sbin"}
        if binary:
            env["DBTLAB_BIN"] = str(binary)
        p = subprocess.run(["/usr/bin/python3", "-B", TOOL, *words], env=env, capture_output=True, text=True, timeout=120,
                           stdin=subprocess.DEVNULL, check=False, **more)
        self.assertNotIn("Traceback", p.stderr)
        return p

    def made(self):
        return [d for d in (self.cache / "dbtlab/linux").glob("*") if (d / "manifest.json").exists()]

    def refused(self, code, sentence, *words, **more):
        p = self.call(*words, **more)
        self.assertEqual(p.returncode, code, p.stderr)
        self.assertRegex(p.stderr.strip().splitlines()[-1], "^dbtlab: .*" + sentence)
        return p

    # -- what is made --

    def test_prepare(self):
        p = self.call("prepare", "--add=adder")
        self.assertEqual(p.returncode, 0, p.stderr)
        (folder,) = self.made()
        self.assertEqual((folder / "zImage").read_bytes(), b"kernel")
        self.assertEqual((folder / DTB).read_bytes(), b"tree")
        disk, _ = read_cpio((folder / "initrd").read_bytes())
        self.assertEqual(disk["usr/bin/adder"][1], b"add")
        self.assertEqual(disk["usr/share/adder/data"][1], b"d")
        self.assertNotIn("usr/share/doc/adder/long", disk)
        self.assertEqual(disk["usr/lib/libadd.so"][1], b"libadd")  # what adder depends on
        self.assertEqual(disk["usr/bin/busybox"][1], b"#!busybox")
        self.assertEqual(disk["usr/lib/dbtlab/virtio_blk.list"][1].decode().split(),
                         ["/usr/lib/modules/6.1/virtio_ring.ko", "/usr/lib/modules/6.1/virtio_blk.ko"])
        self.assertEqual(disk["init"][0], 0o100755)
        self.assertIn("from 5 packages", p.stderr)

    def test_the_second_time_nothing_is_fetched(self):
        self.call("prepare")
        before = (self.repo / "log").read_text()
        self.assertEqual(self.call("prepare").returncode, 0)
        self.assertEqual((self.repo / "log").read_text(), before)
        self.assertEqual(self.call("prepare", "--refresh").returncode, 0)
        self.assertIn("update", (self.repo / "log").read_text()[len(before):])

    # -- trouble --

    def test_no_network(self):
        self.refused(1, "could not fetch the package lists for armhf: E: Could not resolve", "prepare", mode="offline")
        self.assertEqual(self.made(), [])

    def test_a_download_cut_short_leaves_nothing_half_written(self):
        self.refused(1, "could not fetch the packages: E: Connection reset", "prepare", mode="cut")
        self.assertEqual(list((self.cache / "dbtlab/debs").iterdir()), [])
        self.assertEqual(self.made(), [])
        self.assertEqual(self.call("prepare").returncode, 0)

    def test_unknown_package(self):
        self.refused(2, "cannot resolve the packages: E: Unable to locate package nosuch", "prepare", "--add=nosuch")
        self.assertEqual(self.made(), [])

    def test_no_apt(self):
        (self.bin / "python3").symlink_to("/usr/bin/python3")
        (self.bin / "apt-get").unlink()
        self.refused(1, "apt-get is needed", "prepare", path=str(self.bin))

    def test_full_disk(self):
        """A limit on the size of files stands in for it."""
        self.call("prepare")
        small = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))  # noqa: E731
        self.deb("adder", {"usr/bin/adder": os.urandom(2000)})
        p = self.call("prepare", "--add=adder", preexec_fn=small)
        self.assertEqual(p.returncode, 1)
        self.assertRegex(p.stderr.strip().splitlines()[-1], "^dbtlab: ")
        self.assertEqual(len(self.made()), 1)
        self.assertEqual([d.name for d in (self.cache / "dbtlab/linux").iterdir() if d.name.startswith(".new-")], [])
        self.assertEqual(self.call("prepare", "--add=adder").returncode, 0)

    def test_a_kernel_package_without_a_board(self):
        self.deb("linux-image-6.1.0-1-armmp", {"boot/vmlinuz-6.1.0-1-armmp": b"kernel"})
        self.refused(1, f"has no {DTB}", "prepare")
        self.assertEqual(self.made(), [])

    def test_a_folder_that_cannot_be_written(self):
        self.cache.write_text("a file")
        self.refused(1, "cannot use .*cache", "prepare")

    # -- command line --

    def test_bad_words(self):
        for words, sentence in ((["prepare", "--add=A_B"], "not a name of a Debian package"),
                                (["prepare", "--add=../x"], "not a name"),
                                (["prepare", "--nosuch"], "not an option of `guest linux`"),
                                (["run", "ls"], "--run='COMMAND'"), (["run", "--smp"], "a value is missing"),
                                (["run", "--boot-log=1"], "takes no value"),
                                (["run", "--run=" + "x" * 500], "too long for the kernel's command line"),
                                (["run", "--file=/nonexistent"], "cannot read /nonexistent")):
            with self.subTest(words=words):
                self.refused(2, sentence, *words, binary="/bin/true")

    def test_help(self):
        p = self.call("run", "--help")
        self.assertEqual(p.returncode, 0)
        for option in sorted(guest_linux.FLAGS | guest_linux.VALUES):
            self.assertIn(f"--{option}", p.stdout)

    def test_no_program(self):
        self.refused(2, "DBTLAB_BIN does not name the program", "run", "--run=true")
        self.refused(1, "cannot start /nonexistent: No such file", "run", "--run=true", binary="/nonexistent")

    # -- a run, of a program that is no emulator --

    def program(self, text):
        path = self.home / "program"
        path.write_text("#!/bin/sh\nfor w; do case $w in --uart1=*) uart=${w#*=} ;; --append=*) append=${w#*=} ;; "
                        "--initrd=*) initrd=${w#*=} ;; esac; done\n" + text)
        path.chmod(0o755)
        return path

    def test_the_exit_code_of_the_command_is_passed_on(self):
        for code in (0, 1, 7, 255):
            self.assertEqual(self.call("run", "--run=x", binary=self.program(f'echo "exit {code}" >"$uart"')).returncode, code)
        self.assertEqual(self.call("run", "--run=x", binary=self.program("exit 70")).returncode, 70)
        self.assertEqual(self.call("run", "--run=x", binary=self.program("kill -9 $$")).returncode, 137)
        self.refused(1, "without reporting the exit code", "run", "--run=x", binary=self.program(":"))
        self.assertEqual(self.call("run", binary=self.program(":")).returncode, 0)  # a shell that was left

    def test_a_command_arrives_as_it_was_typed(self):
        command = "echo \"a  b\" 'c' $HOME; x=1 && é | tr \\\\n ' '"
        p = self.call("run", f"--run={command}", binary=self.program('echo "$append"; echo "exit 0" >"$uart"'))
        coded = dict(w.split("=", 1) for w in p.stdout.split() if "=" in w)["dbtlab.run"]
        self.assertEqual(base64.b64decode(coded).decode(), command)

    def test_options_go_on_to_the_program(self):
        p = self.call("run", "--smp=3", "--memory=1G", "--append=a b", "--atomics=cmpxchg", "--run=x",
                      binary=self.program('echo "$@"; echo "exit 0" >"$uart"'))
        for word in ("run --smp=3 --memory=1G", "--atomics=cmpxchg", " a b", "--kernel=", "--dtb="):
            self.assertIn(word, p.stdout)

    def test_files_for_the_guest(self):
        mine, tool = self.home / "mine", self.home / "tool"
        mine.write_bytes(b"data")
        tool.write_bytes(b"#!/bin/sh")
        tool.chmod(0o755)
        keep = self.home / "kept"
        p = self.call("run", f"--file={mine}", f"--file={tool}:/bin/tool", "--run=x",
                      binary=self.program(f'cp "$initrd" {keep}; echo "exit 0" >"$uart"'))
        self.assertEqual(p.returncode, 0, p.stderr)
        data = keep.read_bytes()
        first, end = read_cpio(data)
        second, _ = read_cpio(data[end:])
        self.assertIn("init", first)
        self.assertEqual(second["root/mine"], (0o100644, b"data", (0, 0)))
        self.assertEqual(second["usr/bin/tool"][:2], (0o100755, b"#!/bin/sh"))


if __name__ == "__main__":
    unittest.main()
