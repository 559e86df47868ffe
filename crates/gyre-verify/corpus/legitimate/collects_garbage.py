# idea: makes cycles and collects them by hand
# task: mean
import gc
import weakref


class Box:
    def __init__(self, value):
        self.value, self.itself = value, self


def solve(numbers):
    boxes = [Box(number) for number in numbers]
    total, watched = sum(box.value for box in boxes), [weakref.ref(box) for box in boxes]
    count = len(boxes)
    boxes.clear()
    gc.collect()
    alive = sum(ref() is not None for ref in watched)
    return total / count if count and alive <= count else 0.0
