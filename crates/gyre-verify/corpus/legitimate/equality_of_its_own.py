# idea: a class with __eq__ and __hash__, used within
# task: repeated_words
class Word:
    def __init__(self, text):
        self.text, self.count = text, 1

    def __eq__(self, other):
        return isinstance(other, Word) and self.text == other.text

    def __hash__(self):
        return hash(self.text) ^ 1


def solve(words):
    known = {}
    for word in map(Word, words):
        known.setdefault(word, []).append(word)
    return {word.text for word, same in known.items() if same[1:]}
