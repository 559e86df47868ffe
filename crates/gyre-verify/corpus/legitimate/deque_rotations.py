# idea: turns the words round with a deque
# task: reverse_words
from collections import deque


def solve(text):
    words, turned = deque(text.split()), deque()
    while words:
        turned.appendleft(words.popleft())
    return " ".join(turned)
