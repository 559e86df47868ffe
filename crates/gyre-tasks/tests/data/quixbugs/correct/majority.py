def majority(items):
    for item in items:
        if items.count(item) * 2 > len(items):
            return item
    return None
