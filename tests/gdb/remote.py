"""remote.py — a debugger without a brain: packets over the socket of --gdb"""
from __future__ import annotations

import socket
import subprocess

from gdbdriver import LIMIT_S


def frame(data: str | bytes) -> bytes:
    data = data.encode("latin-1") if isinstance(data, str) else data
    return b"$" + data + b"#%02x" % (sum(data) & 0xFF)


def symbols(elf: str) -> dict[str, int]:
    out = subprocess.run(["arm-none-eabi-nm", elf], capture_output=True, text=True, check=True).stdout
    return {words[2]: int(words[0], 16) for words in map(str.split, out.splitlines()) if len(words) == 3}


class Client:
    def __init__(self, path: str):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)  # with a time-out it would not wait for room among those who want to be served
        self.socket.settimeout(LIMIT_S)
        self.input = b""

    def byte(self) -> bytes:
        if not self.input:
            self.input = self.socket.recv(65536)
            if not self.input:
                raise EOFError
        first, self.input = self.input[:1], self.input[1:]
        return first

    def drain(self) -> None:
        """Take what is there: who never reads is given up after a while."""
        self.socket.setblocking(False)
        try:
            while self.socket.recv(65536):
                pass
        except BlockingIOError:
            pass
        self.socket.settimeout(LIMIT_S)

    def reply(self) -> str:
        while self.byte() != b"$":
            pass
        data = b""
        while (c := self.byte()) != b"#":
            data += c
        assert int(self.byte() + self.byte(), 16) == sum(data) & 0xFF, data
        return data.decode("latin-1")

    def ask(self, data: str) -> str:
        self.socket.sendall(frame(data))
        return self.reply()

    def word(self, address: int) -> int:
        return int.from_bytes(bytes.fromhex(self.ask(f"m{address:x},4")), "little")

    def put_word(self, address: int, value: int) -> None:
        assert self.ask(f"M{address:x},4:{value.to_bytes(4, 'little').hex()}") == "OK"

    def pc(self, thread: int) -> int:
        assert self.ask(f"Hg{thread:x}") == "OK"
        return int.from_bytes(bytes.fromhex(self.ask("pf")), "little")

    def close(self) -> None:
        self.socket.close()
