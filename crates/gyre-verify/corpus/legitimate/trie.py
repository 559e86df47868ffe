# idea: a trie with a count at the end of each word
# task: repeated_words
END = object()


def solve(words):
    root, repeated = {}, set()
    for word in words:
        node = root
        for mark in word:
            node = node.setdefault(mark, {})
        node[END] = node.get(END, 0) + 1
        if node[END] == 2:
            repeated.add(word)
    return repeated
