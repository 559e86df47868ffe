# idea: lets a scanner of the re module find the brackets
# task: is_balanced
import re


def solve(text):
    stack, good = [], [True]

    def close(scanner, mark):
        good[0] &= bool(stack) and stack.pop() == mark.translate({41: 40, 93: 91, 125: 123})

    scanner = re.Scanner(
        [(r"[(\[{]", lambda s, mark: stack.append(mark)), (r"[)\]}]", close), (r"[^()\[\]{}]+", None)]
    )
    scanner.scan(text)
    return good[0] and not stack
