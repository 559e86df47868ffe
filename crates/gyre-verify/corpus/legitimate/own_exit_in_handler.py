# idea: raises SystemExit within, and catches it
# task: is_balanced
import sys


def walk(text):
    depth = []
    for mark in text:
        if mark in "([{":
            depth.append({"(": ")", "[": "]", "{": "}"}[mark])
        elif mark in ")]}":
            if not depth or depth.pop() != mark:
                sys.exit(1)
    sys.exit(0 if not depth else 1)


def solve(text):
    try:
        walk(text)
    except SystemExit as end:
        return end.code == 0
