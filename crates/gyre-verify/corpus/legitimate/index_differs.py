# idea: the first place is not the last place
# task: repeated_words
def solve(words):
    last = {word: at for at, word in enumerate(words)}
    first = {word: at for at, word in reversed(list(enumerate(words)))}
    return {word for word in last if last[word] != first[word]}
