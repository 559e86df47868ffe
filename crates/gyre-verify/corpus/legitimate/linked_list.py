# idea: a linked list that is turned round
# task: reverse_words
class Node:
    __slots__ = ("value", "next")

    def __init__(self, value, next=None):
        self.value, self.next = value, next

    def __iter__(self):
        node = self
        while node is not None:
            yield node.value
            node = node.next


def solve(text):
    head = None
    for word in text.split():
        head = Node(word, head)
    return " ".join(head) if head else ""
