# idea: the work is done by a thread, started for its larger stack
# task: reverse_words
import sys
import threading

sys.setrecursionlimit(1 << 20)
threading.stack_size(1 << 26)


def solve(text):
    found = []
    thread = threading.Thread(target=lambda: found.append(" ".join(text.split()[::-1])))
    thread.start()
    thread.join()
    return found[0]
