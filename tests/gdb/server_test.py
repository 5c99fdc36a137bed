"""server_test.py — the socket of --gdb: addresses that are taken, clients that send nonsense, leave, or come twice"""
from __future__ import annotations

import os
import random
import socket
import subprocess
import time
import unittest

from gdbdriver import HERE, LIMIT_S, PROGRAM, Guest
from remote import Client, frame

OUTPUT = "cpu 0: result 219, product 7 halves\nwatched 30\nPASS debugme\n"
ELF = str(HERE / "debugme.a32.elf")
SEED = 20161


class Server(unittest.TestCase):
    def setUp(self) -> None:
        self.guest = Guest("--smp=1", ELF)
        self.addCleanup(self.guest.close)

    def client(self) -> Client:
        c = Client(self.guest.socket)
        self.addCleanup(c.close)
        return c

    def ends_well(self) -> None:
        out, err, code = self.guest.end()
        self.assertEqual((out, code), (OUTPUT, 0), err)

    def test_acknowledgements(self) -> None:
        c = self.client()
        c.socket.sendall(frame("qC"))
        self.assertEqual(c.byte(), b"+")
        self.assertEqual(c.reply(), "QC1")
        c.socket.sendall(b"-")  # once more
        self.assertEqual(c.reply(), "QC1")
        c.socket.sendall(b"+$qC#00")  # a wrong sum
        self.assertEqual(c.byte(), b"-")
        self.assertEqual(c.ask("QStartNoAckMode"), "OK")
        c.socket.sendall(b"+" + frame("qC"))
        self.assertEqual(c.byte(), b"$")
        for _ in range(6):
            c.byte()
        c.socket.sendall(b"$qC#00")  # is not looked at any more
        self.assertEqual(c.reply(), "QC1")
        c.socket.sendall(frame("x" * 20000))
        self.assertEqual(c.reply(), "E07")
        self.assertEqual(c.ask("D"), "OK")
        self.ends_well()

    def test_the_end_is_told(self) -> None:
        c = self.client()
        self.assertEqual(c.ask("?"), "T05thread:1;core:0;")
        self.assertEqual(c.ask("vCont;c"), "W00")
        with self.assertRaises(EOFError):
            c.byte()
        self.ends_well()
        self.assertFalse(os.path.exists(self.guest.socket))

    def test_clients_that_leave(self) -> None:
        """In the middle of a packet, with breakpoints set, while the guest runs; the next one is served."""
        self.guest.close()
        self.guest = Guest("--smp=1", ELF, "spin=1")
        self.addCleanup(self.guest.close)
        for data in (b"", b"$m8001", b"$m80010000,4#", frame("Z0,80010000,4"), b"}", b"\x03", frame("vCont;c"),
                     frame("vCont;c") + b"\x03", frame("vCont;s") + frame("m0,4")):
            c = self.client()
            c.socket.sendall(data)
            c.close()
            time.sleep(0.02)
        c = self.client()
        self.assertRegex(c.ask("?"), "^T05thread:1;")
        self.assertEqual(c.ask("vKill;1"), "OK")
        out, err, code = self.guest.end()
        self.assertEqual((out, code), ("", 0), err)

    def test_one_client_at_a_time(self) -> None:
        first, second = self.client(), self.client()
        self.assertEqual(first.ask("qC"), "QC1")
        second.socket.sendall(frame("qC"))
        second.socket.settimeout(0.2)
        with self.assertRaises(TimeoutError):
            second.byte()
        first.socket.sendall(frame("k"))
        out, err, code = self.guest.end()
        self.assertEqual((out, code), ("", 0), err)

    def test_noise(self) -> None:
        """Random bytes, packets among them: it answers the next question, and the guest is as it was."""
        rng = random.Random(SEED)
        c = self.client()
        good = [b"g", b"m80010000,40", b"p0", b"Hg1", b"qXfer:features:read:target.xml:0,100", b"Z2,80020000,4", b"?"]
        for _ in range(300):
            junk = bytes(rng.choice(b"$#}+-m0123,:;xXqvT\xff\x00") for _ in range(rng.randrange(40)))
            # Nothing in it may let the guest go on: no c, s, C, S, k, D and no vCont by chance.
            c.socket.sendall(junk + b"#00" + frame(rng.choice(good)))
            c.drain()
        c.socket.sendall(frame("qAttached"))
        while c.reply() != "1":
            pass
        self.assertEqual(c.ask("D"), "OK")
        self.ends_well()


class Addresses(unittest.TestCase):
    def test_a_port_that_is_taken(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            done = subprocess.run([PROGRAM, "run", f"--gdb={port}", ELF], capture_output=True, text=True,
                                  timeout=LIMIT_S, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(done.stderr, f"dbtlab: --gdb={port}: cannot listen there: Address already in use\n")

    def test_a_port(self) -> None:
        for _ in range(20):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            run = subprocess.Popen([PROGRAM, "run", f"--timeout={LIMIT_S}", f"--gdb={port}", ELF], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
            said = run.stderr.readline()
            if "Address already in use" not in said:  # another program was faster
                break
            run.communicate()
        self.assertEqual(said, f"dbtlab: the guest waits for a debugger: target remote localhost:{port}\n")
        with socket.create_connection(("127.0.0.1", port)) as c:
            c.sendall(frame("vCont;c"))
            out, err = run.communicate(timeout=LIMIT_S)
        self.assertEqual((out, err, run.returncode), (OUTPUT, "", 0))

    def test_a_socket_that_nobody_listens_at_is_replaced_and_others_are_not(self) -> None:
        guest = Guest("--smp=1", ELF)
        self.addCleanup(guest.close)
        done = subprocess.run([PROGRAM, "run", f"--gdb=unix:{guest.socket}", ELF], capture_output=True, text=True,
                              timeout=LIMIT_S, check=False)
        self.assertIn("Address already in use", done.stderr)
        self.assertEqual(done.returncode, 1)
        guest.process.kill()
        guest.process.wait()
        self.assertTrue(os.path.exists(guest.socket))
        again = subprocess.Popen([PROGRAM, "run", f"--timeout={LIMIT_S}", f"--gdb=unix:{guest.socket}", ELF],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertIn("waits for a debugger", again.stderr.readline())
        c = Client(guest.socket)
        self.assertEqual(c.ask("vCont;c"), "W00")
        c.close()
        self.assertEqual(again.communicate(timeout=LIMIT_S)[0], OUTPUT)


if __name__ == "__main__":
    unittest.main()
