"""Imports the common standard library once, while the image is built.

What is imported here costs a program nothing; the rest of the library is carried
as code and imported when it is asked for (`gyre_library`).  `_strptime` and the
like are what others import on first use.
"""

import abc, argparse, array, asyncio, atexit, ast, base64, binascii, bisect, builtins, calendar, cmath, codecs  # noqa: E401
import collections, collections.abc, colorsys, concurrent.futures.thread, configparser, contextlib, contextvars, copy, copyreg, csv  # noqa: E401
import dataclasses, datetime, decimal, difflib, dis, enum, errno, fnmatch, fractions, functools  # noqa: E401
import gc, getopt, glob, graphlib, gzip, hashlib, heapq, hmac, html, html.parser, inspect, io, ipaddress, itertools, json  # noqa: E401
import keyword, linecache, locale, logging, marshal, math, numbers, operator, os, os.path  # noqa: E401
import pathlib, pickle, platform, pprint, queue, random, re, reprlib, sched, secrets, shlex, shutil, signal  # noqa: E401
import statistics, string, string.templatelib, stringprep, struct, sys, tempfile, textwrap, threading  # noqa: E401
import time, timeit, token, tokenize, traceback, types, typing, unicodedata, urllib.parse  # noqa: E401
import tomllib, unittest, uuid, warnings, weakref, xml.etree.ElementTree, zlib, zoneinfo  # noqa: E401
import _ast_unparse, _strptime  # noqa: E401, F401
import gyre_library, gyre_signals, gyre_stdin, gyre_threads, resource  # noqa: E401, F401

# Codecs are looked up by name, so they count as modules too.
for _name in ("utf-8", "utf-16", "utf-32", "ascii", "latin-1", "cp1252", "hex", "base64", "rot13"):
    codecs.lookup(_name)

# First uses that fill caches of the library itself.
datetime.datetime.strptime("2024-01-31 10:11:12", "%Y-%m-%d %H:%M:%S").strftime("%A %d %B %Y")
decimal.getcontext()
json.loads(json.dumps({"a": [1, 2.5, None, "x"]}, indent=1, sort_keys=True))
re.compile(r"(?P<a>[a-z]+)\s*(\d{1,3}|x)?$", re.I).match("abc 12")
"%s %d %.2f" % ("a", 1, 2.0)
"{:>10,.2f} {!r}".format(1234.5, "x")
pprint.pformat({"a": [1, 2]})
platform.system()
re.purge()

gyre_library.carry(os.path.dirname(asyncio.__path__[0]))
gyre_library.carry_zones()
