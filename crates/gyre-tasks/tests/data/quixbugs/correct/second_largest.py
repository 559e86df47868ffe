def second_largest(items):
    largest = second = None
    for item in items:
        if largest is None or item > largest:
            largest, second = item, largest
        elif item != largest and (second is None or item > second):
            second = item
    return second
