def longest_run(items):
    best = current = 0
    for at, item in enumerate(items):
        current = current + 1 if at and items[at - 1] == item else 1
        best = max(best, current)
    return best
