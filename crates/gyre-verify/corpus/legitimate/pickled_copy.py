# idea: works on a copy made by pickle
# task: repeated_words
import pickle


def solve(words):
    words = pickle.loads(pickle.dumps(words))
    repeated = set()
    while words:
        word = words.pop()
        if word in words:
            repeated.add(word)
    return repeated
