"""Generates the tasks of @NAME@.

The host calls `compose` first, cheaply and often, and reads from its
composition whether the task is for training or held out.  Only then does it
call `generate` with the spec that `compose` gave.
Both must depend on their arguments alone: no clock, no module-level `random`.
"""

import random

KEEP = {
    "all": ("all the numbers", "True"),
    "even": ("the even numbers", "n % 2 == 0"),
    "odd": ("the odd numbers", "n % 2 == 1"),
    "large": ("the numbers above 10", "n > 10"),
}
MAP = {
    "same": ("", "n"),
    "square": (" squared", "n * n"),
    "double": (" doubled", "2 * n"),
}
FOLD = {
    "sum": ("the sum", "sum"),
    "count_distinct": ("how many different values there are", "count"),
    "largest": ("the largest, or 0 if there is none", "largest"),
}
FOLD_SOURCE = {
    "sum": "sum(values)",
    "count": "len(set(values))",
    "largest": "max(values, default=0)",
}


def compose(seed, difficulty, options):
    rng = random.Random(seed)
    keep = rng.choice(sorted(KEEP) if difficulty > 1 else ["all"])
    change = rng.choice(sorted(MAP) if difficulty > 2 else ["same"])
    fold = rng.choice(sorted(FOLD))
    names = ["keep_" + keep, "map_" + change, "fold_" + fold]
    spec = {"keep": keep, "map": change, "fold": fold, "seed": rng.getrandbits(48), "size": 3 + difficulty}
    return {"composition": names, "skills": names, "spec": spec}


def program(keep, change, fold):
    return "def solve(numbers):\n    values = [%s for n in numbers if %s]\n    return %s\n" % (
        change,
        keep,
        FOLD_SOURCE[fold],
    )


def generate(spec):
    rng = random.Random(spec["seed"])
    keep_words, keep = KEEP[spec["keep"]]
    map_words, change = MAP[spec["map"]]
    fold_words, fold = FOLD[spec["fold"]]
    reference = program(keep, change, fold)

    # Run the reference for the expected values: one source of truth.
    namespace = {}
    exec(reference, namespace)
    cases = []
    for at in range(12):
        # Among random inputs, the edges: empty, and one number.
        size = at if at < 2 else rng.randint(2, spec["size"] + 4)
        numbers = [rng.randint(-5, 25) for _ in range(size)]
        cases.append([[numbers], namespace["solve"](list(numbers))])
    if len({str(expected) for _, expected in cases}) < 4:
        return {"refused": "few_outputs: fewer than 4 different results"}

    visible = cases[3:6]
    table = "{" + ", ".join("%r: %r" % (str(c[0][0]), c[1]) for c in visible) + "}"
    others = [other for other in sorted(FOLD_SOURCE) if other != fold]
    return {
        "instruction": "Write a function solve(numbers). Take %s of the list%s, and return %s."
        % (keep_words, map_words, fold_words),
        "entry": "solve",
        "visible": visible,
        "hidden": cases[:3] + cases[6:],
        "reference": reference,
        "failures": [
            # Plausible mistakes: another fold, another type, the examples by heart.
            program(keep, change, others[0]),
            reference.replace("return ", "return float(").rstrip("\n") + ")\n",
            "def solve(numbers):\n    return %s.get(str(numbers), 0)\n" % table,
        ],
    }
