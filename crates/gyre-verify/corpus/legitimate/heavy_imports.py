# idea: imports half of the standard library, and uses one function
# task: factorial
import argparse, ast, base64, bisect, calendar, cmath, codecs, collections, configparser, copy, csv  # noqa
import datetime, decimal, difflib, enum, fractions, functools, getopt, graphlib, hashlib, heapq  # noqa
import html, inspect, io, ipaddress, itertools, json, keyword, logging, math, numbers, operator  # noqa
import pathlib, pickle, platform, pprint, queue, random, re, secrets, shlex, statistics, string  # noqa
import struct, textwrap, threading, time, timeit, tokenize, traceback, types, typing, unittest  # noqa
import urllib.parse, uuid, warnings, weakref, xml.etree.ElementTree, zlib  # noqa


def solve(n):
    return math.prod(range(1, n + 1))
