def inversions(items):
    count = 0
    for i in range(len(items)):
        for j in range(i + 1, len(items)):
            count += items[i] >= items[j]
    return count
