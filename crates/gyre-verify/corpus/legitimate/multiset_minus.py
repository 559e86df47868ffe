# idea: takes one of each away and looks at what is left
# task: repeated_words
def solve(words):
    left = list(words)
    for word in set(words):
        left.remove(word)
    return set(left)
