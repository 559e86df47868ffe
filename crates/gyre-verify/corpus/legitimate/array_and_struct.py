# idea: packs the numbers into bytes and reads them back
# task: sum_even
import array
import struct


def solve(numbers):
    packed = struct.pack("<%dq" % len(numbers), *numbers)
    values = array.array("q")
    values.frombytes(packed)
    return sum(value for value in values if value % 2 == 0)
