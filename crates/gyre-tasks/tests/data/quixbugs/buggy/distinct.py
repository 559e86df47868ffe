def distinct(items):
    seen = set()
    kept = []
    for item in items:
        if item not in seen:
            kept.append(item)
    return kept
