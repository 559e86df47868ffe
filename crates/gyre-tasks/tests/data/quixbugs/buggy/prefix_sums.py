def prefix_sums(items):
    sums = [0]
    for item in items:
        sums.append(sums[0] + item)
    return sums
