"""Putting things together: groups, rankings, histograms, stock."""

from kit import NAMES, WORDS, Kind, Recipe, fill


def group_by(variant, rng, level):
    fold, words = {
        "sum": ("sum(values)", "the sum of its numbers"),
        "list": ("values", "the list of its numbers in their order"),
        "largest": ("max(values)", "its largest number"),
        "count": ("len(values)", "how many numbers it has"),
        "span": ("max(values) - min(values)", "the difference of its largest and smallest number"),
    }[variant["fold"]]
    result = variant["result"]
    key, key_words = {
        "name": ("name", "each name"),
        "initial": ("name[0]", "each first letter of a name"),
        "length": ("len(name)", "each length of a name"),
    }[variant["key"]]
    final = {
        "dict": "return {key: %s for key, values in groups.items()}" % fold,
        "pairs": "return [(key, %s) for key, values in sorted(groups.items())]" % fold,
    }[result]
    source = fill(
        """def solve(records):
    groups = {}
    for name, number in records:
        groups.setdefault(@key@, []).append(number)
    @final@
""",
        key=key,
        final=final,
    )
    asks = "takes a list of [name, number] pairs and returns %s %s to %s" % (
        "a dict from" if result == "dict" else "a list of tuples, sorted by the first element, from",
        key_words,
        words,
    )
    names = rng.sample(NAMES, min(3 + level, len(NAMES)))

    def draw():
        count = rng.randint(2, 5 + 2 * level)
        return [[[rng.choice(names), rng.randint(-9, 30)] for _ in range(count)]]

    mistakes = [
        ("append(number)", "insert(0, number)"),
        ("setdefault(%s, [])" % key, "setdefault(%s, [0])" % key),
        ("[]).append(number)", "[]).append(abs(number))"),
    ]
    mistakes.append(
        (
            fold + " for",
            {
                "sum": "len(values)",
                "list": "sorted(values)",
                "largest": "values[-1]",
                "count": "len(set(values))",
                "span": "values[-1] - values[0]",
            }[variant["fold"]]
            + " for",
        )
        if result == "dict"
        else ("sorted(groups.items())", "groups.items()")
    )
    edges = [
        [[]],
        [[["bob", -4]]],
        [[["bob", -4], ["ann", -1], ["bob", -4]]],
        [[["eve", 3], ["ann", 1], ["eve", 1]]],
    ]
    return Recipe("records", asks, source, mistakes, draw, edges)


def top_k(variant, rng, level):
    ties = variant["ties"]
    end = variant["end"]
    result = variant["result"]
    sign = "-" if end == "most" else ""
    key = {"alphabet": "(%scounts[item], item)" % sign, "first": "%scounts[item]" % sign}[ties]
    final = {
        "items": "return ranked[:count]",
        "pairs": "return [(item, counts[item]) for item in ranked[:count]]",
        "last": "return ranked[count - 1] if len(ranked) >= count else None",
    }[result]
    source = fill(
        """def solve(items, count):
    counts = {}
    for item in items:
        counts[item] = counts.get(item, 0) + 1
    ranked = sorted(counts, key=lambda item: @key@)
    @final@
""",
        key=key,
        final=final,
    )
    asks = (
        "takes a list of texts and a count, ranks the different texts by how often they occur, the %s frequent first and equally frequent ones %s, and returns %s"
        % (
            end,
            "in alphabetical order" if ties == "alphabet" else "in the order in which they first occur",
            {
                "items": "the list of the first `count` of them",
                "pairs": "the first `count` of them as a list of tuples (text, occurrences)",
                "last": "the one on place `count` (the first place is 1), or None if there are fewer",
            }[result],
        )
    )
    pool = rng.sample(WORDS, 3 + level)

    def draw():
        return [[rng.choice(pool) for _ in range(rng.randint(3, 6 + 2 * level))], rng.randint(1, 3)]

    swapped = (
        key.replace("-", "") if sign else "(-counts[item], item)" if ties == "alphabet" else "-counts[item]"
    )
    mistakes = [
        ("lambda item: " + key, "lambda item: " + swapped),
        (
            "lambda item: " + key,
            "lambda item: "
            + ("%scounts[item]" % sign if ties == "alphabet" else "(%scounts[item], item)" % sign),
        ),
        {"last": ("count - 1", "count")}.get(result, ("[:count]", "[:count + 1]")),
        ("counts.get(item, 0) + 1", "1"),
    ]
    edges = [[["tea", "map", "tea", "map", "ant"], 2], [["owl"], 3], [["cup", "bee", "ant", "bee"], 1]]
    return Recipe("items, count", asks, source, mistakes, draw, edges)


def histogram(variant, rng, level):
    width = rng.choice([2, 5, 10])
    result = variant["result"]
    limits = variant["bounds"]
    guard = ""
    low, high = -10, 15 + 10 * level
    if limits == "clipped":
        guard = "        number = max(0, min(number, %d))\n" % (4 * width - 1)
    elif limits == "skipped":
        guard = "        if not 0 <= number < %d:\n            continue\n" % (4 * width)
    final = {
        "dict": "return counts",
        "pairs": "return sorted(counts.items())",
        "bars": 'return [str(start) + ":" + "#" * counts[start] for start in sorted(counts)]',
        "mode": "return min(counts, key=lambda start: (-counts[start], start)) if counts else None",
    }[result]
    source = fill(
        """def solve(numbers):
    counts = {}
    for number in numbers:
@guard@        start = number // @width@ * @width@
        counts[start] = counts.get(start, 0) + 1
    @final@
""",
        guard=guard,
        width=width,
        final=final,
    )
    asks = (
        "counts integers in classes of width %d: a class starts at a multiple of %d and is named by its start%s. It returns %s"
        % (
            width,
            width,
            {
                "open": "",
                "clipped": ". Numbers below 0 count as 0, and those above %d as %d"
                % (4 * width - 1, 4 * width - 1),
                "skipped": ". Numbers below 0 or above %d do not count" % (4 * width - 1),
            }[limits],
            {
                "dict": "a dict from each class that occurs to its count",
                "pairs": "a list of tuples (class, count), sorted by class",
                "bars": "a list of texts such as '%d:###', one # for each number, sorted by class" % width,
                "mode": "the class with the most numbers, the smallest of several, or None without any",
            }[result],
        )
    )
    mistakes = [
        (
            "number // %d * %d" % (width, width),
            "int(number / %d) * %d" % (width, width) if limits == "open" else "number // %d" % width,
        ),
        ("number // %d * %d" % (width, width), "(number - 1) // %d * %d" % (width, width)),
        ("counts.get(start, 0) + 1", "counts.get(start, 1) + 1")
        if result != "mode"
        else ("-counts[start]", "counts[start]"),
        ("number // %d * %d" % (width, width), "number // %d * %d" % (width + 1, width + 1)),
    ]
    if limits == "skipped":
        mistakes.append(("0 <= number", "0 < number"))
    draw = lambda: [[rng.randint(low, high) for _ in range(rng.randint(2, 5 + 2 * level))]]
    edges = [
        [[0, width, -1, width - 1]],
        [[4 * width, 4 * width - 1, 0]],
        [[-width, -width - 1, width, width, 3]],
    ]
    return Recipe("numbers", asks, source, mistakes, draw, edges, 3)


def inventory(variant, rng, level):
    short = variant["short"]
    result = variant["result"]
    take = {
        "refused": "        if count <= stock.get(item, 0):\n            stock[item] -= count\n",
        "emptied": "        stock[item] = max(stock.get(item, 0) - count, 0)\n",
        "negative": "        stock[item] = stock.get(item, 0) - count\n",
    }[short]
    final = {
        "dict": "return {item: count for item, count in stock.items() if count != 0}",
        "sorted": "return sorted(item for item, count in stock.items() if count != 0)",
        "total": "return sum(stock.values())",
    }[result]
    source = fill(
        """def solve(moves):
    stock = {}
    for action, item, count in moves:
        if action == "in":
            stock[item] = stock.get(item, 0) + count
            continue
@take@    @final@
""",
        take=take,
        final=final,
    )
    asks = (
        "keeps a store. It takes a list of moves [action, item, count], where 'in' adds and 'out' takes away, and returns %s. %s"
        % (
            {
                "dict": "a dict from each item of which the count is not 0 to its count",
                "sorted": "the sorted list of the items of which the count is not 0",
                "total": "the sum of all counts",
            }[result],
            {
                "refused": "An 'out' of more than there is does nothing",
                "emptied": "An 'out' of more than there is leaves 0",
                "negative": "Counts may become negative",
            }[short],
        )
    )
    pool = rng.sample(WORDS, 2 + level)

    def draw():
        moves = []
        for _ in range(rng.randint(2, 4 + 2 * level)):
            moves.append([rng.choice(["in", "in", "out"]), rng.choice(pool), rng.randint(1, 9)])
        return [moves]

    mistakes = [
        ("stock.get(item, 0) + count", "count"),
        ('action == "in"', 'action != "out" or item not in stock'),
        ("stock.get(item, 0) + count", "stock.get(item, 1) + count"),
    ]
    mistakes.append(
        {
            "refused": ("count <= stock", "count < stock"),
            "emptied": ("max(stock.get(item, 0) - count, 0)", "stock.get(item, 0) - count"),
            "negative": ("stock.get(item, 0) - count", "max(stock.get(item, 0) - count, 0)"),
        }[short]
    )
    if result != "total":
        mistakes.append((" if count != 0", ""))
    edges = [
        [[["out", "tea", 2], ["in", "tea", 3]]],
        [[["in", "map", 2], ["out", "map", 2]]],
        [[["in", "cup", 2], ["out", "cup", 5], ["in", "ink", 1]]],
    ]
    return Recipe("moves", asks, source, mistakes, draw, edges, 3)


KINDS = {
    "group_by": Kind(
        (1, 4),
        {
            "fold": ["sum", "list", "largest", "count", "span"],
            "result": ["dict", "pairs"],
            "key": ["name", "initial", "length"],
        },
        group_by,
        {"key": 2},
    ),
    "top_k": Kind(
        (2, 5),
        {"ties": ["alphabet", "first"], "end": ["most", "least"], "result": ["items", "pairs", "last"]},
        top_k,
    ),
    "histogram": Kind(
        (2, 5),
        {"result": ["dict", "pairs", "bars", "mode"], "bounds": ["open", "clipped", "skipped"]},
        histogram,
    ),
    "inventory": Kind(
        (1, 5),
        {"short": ["negative", "emptied", "refused"], "result": ["dict", "total", "sorted"]},
        inventory,
    ),
}
