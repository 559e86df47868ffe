# idea: warns and logs on standard error
# task: sum_even
import logging
import sys
import warnings

logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)


def solve(numbers):
    logging.debug("got %d numbers", len(numbers))
    if any(number < 0 for number in numbers):
        warnings.warn("negative numbers are even too")
    print("adding up", file=sys.stderr)
    return sum(number for number in numbers if number % 2 == 0)
