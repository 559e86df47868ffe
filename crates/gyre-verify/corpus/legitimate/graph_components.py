# idea: places with equal words as a graph, its components counted
# task: repeated_words
def solve(words):
    parent = list(range(len(words)))

    def root(at):
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    for a in range(len(words)):
        for b in range(a):
            if words[a] == words[b]:
                parent[root(a)] = root(b)
    members = {}
    for at in range(len(words)):
        members.setdefault(root(at), []).append(at)
    return {words[group[0]] for group in members.values() if len(group) > 1}
