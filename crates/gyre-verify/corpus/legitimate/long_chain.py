# idea: a linked list of ten thousand nodes, which is freed at the end
# task: sum_even
class Node:
    def __init__(self, value, rest):
        self.value = value
        self.rest = rest


def solve(numbers):
    items = None
    for number in [*numbers, *[1] * 10_000]:
        items = Node(number, items)
    total = 0
    while items is not None:
        total += items.value if items.value % 2 == 0 else 0
        items = items.rest
    chain = None
    for _ in range(10_000):
        chain = Node(0, chain)
    return total
