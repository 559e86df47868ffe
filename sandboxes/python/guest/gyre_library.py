"""The part of the standard library that is not imported beforehand, as code
that is imported when it is asked for; and the world's time zones.

`carry` is called while the image is made, when the library's files can still be
read.  What is left out cannot work here: user interfaces, installers, and what
needs a C module that this build has not.
"""

import io
import marshal
import os
import sys
import zlib
import zoneinfo
import zoneinfo._common
from importlib.machinery import ModuleSpec

_LEFT_OUT = {
    "_aix_support", "_android_support", "_apple_support", "_ios_support", "_osx_support",
    "__phello__", "antigravity", "config-3.14-wasm32-wasi", "ctypes", "curses", "ensurepip", "idlelib",
    "lib-dynload", "pydoc_data", "site-packages", "tkinter", "turtle", "turtledemo", "venv", "__pycache__",
}  # fmt: skip
_PACKAGE = 1
_code = {}
_zones = {}


class _Loader:
    """A finder and loader; the last of `sys.meta_path`."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        entry = _code.get(name)
        if entry is None:
            return None
        spec = ModuleSpec(name, _Loader, origin="library", is_package=entry[0] == _PACKAGE)
        return spec

    @staticmethod
    def create_module(spec):
        return None

    @staticmethod
    def get_code(name):
        if name not in _code:
            raise ImportError("not carried: %r" % (name,), name=name)
        return marshal.loads(zlib.decompress(_code[name][1]))

    @staticmethod
    def get_source(name):
        return None

    @staticmethod
    def is_package(name):
        return _code[name][0] == _PACKAGE

    @staticmethod
    def exec_module(module):
        exec(_Loader.get_code(module.__name__), module.__dict__)


def carry(root):
    """Compiles every module below `root` that is not imported yet."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(set(folders) - _LEFT_OUT)
        inside = os.path.relpath(folder, root).replace(os.sep, ".")
        inside = "" if inside == "." else inside + "."
        for file in sorted(files):
            stem, ending = os.path.splitext(file)
            if ending != ".py" or stem in _LEFT_OUT:
                continue
            package = stem == "__init__"
            name = inside[:-1] if package else inside + stem
            if not name or name in sys.modules:
                continue
            path = os.path.join(folder, file)
            with open(path, "rb") as source:
                code = compile(source.read(), path, "exec", dont_inherit=True)
            _code[name] = (_PACKAGE if package else 0, zlib.compress(marshal.dumps(code), 9))
    # What was a folder of files leads nowhere from now on.
    for module in list(sys.modules.values()):
        path = getattr(module, "__path__", None)
        if type(path) is list and path and path[0].startswith(root):
            path[:] = []
    sys.meta_path.append(_Loader)


def _load_zone(key):
    try:
        return io.BytesIO(zlib.decompress(_zones[key]))
    except KeyError:
        raise zoneinfo.ZoneInfoNotFoundError("No time zone found with key " + key) from None


def _available_timezones():
    """Returns a set of all time zones that there are."""
    return set(_zones)


def carry_zones():
    """Takes what the package `tzdata` holds in the place of a system's files."""
    import tzdata

    root = os.path.dirname(tzdata.__file__)
    with open(os.path.join(root, "zones")) as names:
        for name in names.read().split():
            with open(os.path.join(root, "zoneinfo", name), "rb") as data:
                _zones[name] = zlib.compress(data.read(), 9)
    zoneinfo._common.load_tzdata = _load_zone
    zoneinfo.available_timezones = _available_timezones
    del sys.modules["tzdata"]
