# idea: a heap gives the words back in reverse
# task: reverse_words
import heapq


def solve(text):
    heap = []
    for at, word in enumerate(text.split()):
        heapq.heappush(heap, (-at, word))
    return " ".join(heapq.heappop(heap)[1] for _ in range(len(heap)))
