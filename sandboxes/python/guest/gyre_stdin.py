"""What a program reads as its input, by whatever name it asks for it.

There is no file behind descriptor 0 in the guest, so the ways that lead there
(`sys.stdin`, `open(0)`, `os.read(0, n)`, `os.fstat(0)` and their like) are sent
to one text in memory, which they share with its position, as they share an
open file elsewhere.
"""

import builtins
import io
import os
import stat
import sys

_NAMES = ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
_input = {"data": b"", "at": 0, "given": False}


def _is_stdin(file):
    if type(file) is int:
        return file == 0
    if isinstance(file, os.PathLike):
        file = os.fspath(file)
    return type(file) is str and file in _NAMES


def _take(size):
    at = _input["at"]
    data = _input["data"][at : at + size]
    _input["at"] = at + len(data)
    return data


def _seek(offset, whence):
    base = {os.SEEK_SET: 0, os.SEEK_CUR: _input["at"], os.SEEK_END: len(_input["data"])}[whence]
    if base + offset < 0:
        raise OSError(22, "Invalid argument")
    _input["at"] = base + offset
    return _input["at"]


class _Raw(io.RawIOBase):
    """Descriptor 0, unbuffered."""

    name = 0
    mode = "rb"

    def readable(self):
        return True

    def seekable(self):
        return True

    def fileno(self):
        return 0

    def readinto(self, buffer):
        with memoryview(buffer).cast("B") as view:
            data = _take(len(view))
            view[: len(data)] = data
        return len(data)

    def seek(self, offset, whence=os.SEEK_SET):
        return _seek(offset, whence)


def _open_stdin(mode, buffering, encoding, errors, newline):
    raw = _Raw()
    if buffering == 0:
        if "b" not in mode:
            raise ValueError("can't have unbuffered text I/O")
        return raw
    binary = io.BufferedReader(raw, buffering) if buffering > 1 else io.BufferedReader(raw)
    if "b" in mode:
        return binary
    text = io.TextIOWrapper(binary, encoding, errors, newline)
    text.mode = mode
    return text


def _install():
    open_file = io.open
    read, fstat, stat_path, lseek = os.read, os.fstat, os.stat, os.lseek
    readinto = os.readinto

    def open(
        file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None
    ):
        if opener is None and _is_stdin(file) and mode in ("r", "rt", "rb", "br", "tr"):
            return _open_stdin(mode, buffering, encoding, errors, newline)
        return open_file(file, mode, buffering, encoding, errors, newline, closefd, opener)

    def read_descriptor(fd, length, /):
        if not _is_stdin(fd):
            return read(fd, length)
        if length < 0:
            raise OSError(22, "Invalid argument")
        return _take(length)

    def readinto_descriptor(fd, buffer, /):
        return _Raw().readinto(buffer) if _is_stdin(fd) else readinto(fd, buffer)

    def status():
        size = len(_input["data"])
        return os.stat_result((stat.S_IFREG | 0o400, 0, 0, 1, 0, 0, size, 0, 0, 0))

    def fstat_descriptor(fd):
        return status() if _is_stdin(fd) else fstat(fd)

    def stat_any(path, *, dir_fd=None, follow_symlinks=True):
        if _is_stdin(path):
            return status()
        return stat_path(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)

    def lseek_descriptor(fd, position, whence, /):
        return _seek(position, whence) if _is_stdin(fd) else lseek(fd, position, whence)

    replaced = [
        (io, "open", open), (builtins, "open", open), (os, "read", read_descriptor),
        (os, "readinto", readinto_descriptor), (os, "fstat", fstat_descriptor),
        (os, "lseek", lseek_descriptor), (os, "stat", stat_any),
    ]
    for module, name, function in replaced:
        function.__module__ = module.__name__
        function.__name__ = function.__qualname__ = name
        setattr(module, name, function)
    for supported in (os.supports_fd, os.supports_dir_fd, os.supports_follow_symlinks):
        if stat_path in supported:
            supported.add(stat_any)


def give(text):
    """Makes `text` the program's input. What it writes to stderr is kept out of
    what it prints."""
    _input.update(data=text.encode(), at=0, given=True)
    sys.stdin = _open_stdin("r", -1, "utf-8", None, None)
    sys.stderr = io.StringIO()


def end_of_program():
    """Whether a program that was given its input has ended now."""
    given = _input["given"]
    _input["given"] = False
    return given


_install()
