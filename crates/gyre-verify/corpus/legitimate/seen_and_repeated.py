# idea: two sets, in a comprehension for its effects
# task: repeated_words
def solve(words):
    seen, repeated = set(), set()
    [repeated.add(word) if word in seen else seen.add(word) for word in words]
    return repeated
