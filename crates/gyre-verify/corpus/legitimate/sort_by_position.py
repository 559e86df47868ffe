# idea: sorts words by their negative positions
# task: reverse_words
def solve(text):
    placed = [(-at, word) for at, word in enumerate(text.split())]
    return " ".join(word for _, word in sorted(placed))
