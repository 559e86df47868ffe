"""Small algorithms: numbers, intervals, grids, brackets, coins."""

from kit import Kind, Recipe, fill


def divisors(variant, rng, level):
    result = variant["result"]
    over = variant["over"]
    step = {"gcd": "gcd(total, number)", "lcm": "total * number // gcd(total, number)"}[result]
    numbers, words = {
        "all": ("numbers", "the numbers"),
        "even": (
            "[number for number in numbers if number % 2 == 0]",
            "the even ones among the numbers (1 if there are none)",
        ),
        "sums": (
            "[a + b for a, b in zip(numbers, numbers[1:])]",
            "the sums of each number and the next (1 if there are fewer than two numbers)",
        ),
    }[over]
    source = fill(
        """def gcd(a, b):
    while b:
        a, b = b, a % b
    return a


def solve(numbers):
    numbers = @numbers@
    if not numbers:
        return 1
    total = numbers[0]
    for number in numbers[1:]:
        total = @step@
    return total
""",
        numbers=numbers,
        step=step,
    )
    if over == "all":
        source = source.replace("    numbers = numbers\n", "")
    asks = "takes a list of positive integers and returns the %s of %s%s" % (
        "greatest common divisor" if result == "gcd" else "least common multiple",
        words,
        " (1 for an empty list)" if over == "all" else "",
    )
    base = lambda: rng.choice([2, 3, 4, 6, 10, 12])

    def draw():
        unit = base()
        top = 4 + 3 * level if result == "gcd" else 6
        return [[unit * rng.randint(1, top) for _ in range(rng.randint(2, 2 + level))]]

    mistakes = [
        ("total = " + step, "total = " + {"gcd": "min(total, number)", "lcm": "total * number"}[result]),
        ("    while b:\n        a, b = b, a % b\n", "    if b:\n        a, b = b, a % b\n"),
        ("numbers[1:]:", "numbers[2:]:"),
        ("return 1", "return 0"),
    ]
    edges = [[[]], [[7]], [[12, 18]], [[4, 6, 10, 15]]]
    return Recipe("numbers", asks, source, mistakes, draw, edges)


PRIME = """def is_prime(number):
    if number < 2:
        return False
    divisor = 2
    while divisor * divisor <= number:
        if number % divisor == 0:
            return False
        divisor += 1
    return True


"""


def primes(variant, rng, level):
    result = variant["result"]
    top = 20 * level
    pair = lambda: sorted([rng.randint(0, top), rng.randint(0, top)])
    signature, asks, body, draw, edges = {
        "below": (
            "limit",
            "returns the list of all primes below a limit",
            "    return [number for number in range(limit) if is_prime(number)]\n",
            lambda: [rng.randint(0, top)],
            [[2], [3], [26]],
        ),
        "count": (
            "low, high",
            "counts the primes from low to high, both included",
            "    return sum(is_prime(number) for number in range(low, high + 1))\n",
            pair,
            [[2, 2], [24, 29], [0, 1]],
        ),
        "nth": (
            "place",
            "returns the prime on a place (the first is 2)",
            "    number = 1\n    while place:\n        number += 1\n        place -= is_prime(number)\n    return number\n",
            lambda: [rng.randint(1, 8 * level)],
            [[1], [4], [10]],
        ),
        "next": (
            "number",
            "returns the smallest prime that is greater than a number",
            "    number += 1\n    while not is_prime(number):\n        number += 1\n    return number\n",
            lambda: [rng.randint(0, 4 * top)],
            [[1], [7], [24]],
        ),
        "factors": (
            "number",
            "returns the list of the prime factors of a number above 1, smallest first, each as often as it divides",
            "    factors = []\n    divisor = 2\n    while number > 1:\n        while number % divisor == 0:\n            factors.append(divisor)\n            number //= divisor\n        divisor += 1\n    return factors\n",
            lambda: [rng.randint(2, 4 * top)],
            [[2], [49], [60], [8]],
        ),
    }[result]
    prime = "" if result == "factors" else PRIME
    source = prime + "def solve(%s):\n" % signature + body
    mistakes = [
        ("* divisor <= number", "* divisor < number"),
        ("number < 2", "number < 1"),
        ("divisor = 2", "divisor = 3"),
    ]
    if result == "factors":
        mistakes = [
            ("append(divisor)", "insert(0, divisor)"),
            ("return factors", "return sorted(set(factors))"),
            ("return factors", "return factors[:-1]"),
            ("number > 1", "number > 3"),
        ]
    mistakes += {
        "below": [("range(limit)", "range(limit + 1)")],
        "count": [("high + 1", "high")],
        "nth": [("number = 1", "number = 2")],
        "next": [("    number += 1\n    while not", "    while not")],
        "factors": [],
    }[result]
    return Recipe(signature, asks, source, mistakes, draw, edges, 3 if result == "count" else 4)


def two_sum(variant, rng, level):
    missing = {"none": "None", "empty": "[]"}[variant["missing"]]
    result = variant["result"]
    found = {"indices": "[first, second]", "values": "[numbers[first], numbers[second]]", "count": None}[
        result
    ]
    test = {
        "sum": "numbers[first] + numbers[second] == goal",
        "difference": "abs(numbers[first] - numbers[second]) == goal",
    }[variant["test"]]
    if found:
        inner = "                return %s\n" % found
        head, tail = "", "    return %s\n" % missing
    else:
        head, inner, tail = "    count = 0\n", "                count += 1\n", "    return count\n"
    source = fill(
        """def solve(numbers, goal):
@head@    for first in range(len(numbers)):
        for second in range(first + 1, len(numbers)):
            if @test@:
@inner@@tail@""",
        head=head,
        test=test,
        inner=inner,
        tail=tail,
    )
    what = {
        "indices": "returns the indices [i, j] of the first such pair (the smallest i, then the smallest j), or %s if there is none"
        % missing,
        "values": "returns the two numbers [a, b] of the first such pair (by the place of a, then that of b), or %s if there is none"
        % missing,
        "count": "returns how many such pairs there are",
    }[result]
    asks = "looks in a list for pairs of numbers at different places whose %s is a goal, and %s" % (
        "sum" if variant["test"] == "sum" else "difference, either way round,",
        what,
    )

    def draw():
        numbers = [rng.randint(-5, 8 + level) for _ in range(rng.randint(2, 4 + level))]
        a, b = rng.sample(numbers, 2)
        goal = a + b if variant["test"] == "sum" else abs(a - b)
        return [numbers, goal if rng.random() < 0.85 else 40]

    mistakes = [
        ("first + 1, len", "first, len"),
        ("range(len(numbers))", "range(1, len(numbers))"),
        ("first + 1, len(numbers)", "first + 1, len(numbers) - 1"),
        ("== goal", ">= goal"),
    ]
    if variant["test"] == "difference":
        mistakes.append(("abs(numbers[first] - numbers[second])", "numbers[first] - numbers[second]"))
    edges = [
        [[3, 3], 6 if variant["test"] == "sum" else 0],
        [[3, 1, 5], 6 if variant["test"] == "sum" else 2],
        [[4], 8],
    ]
    return Recipe("numbers, goal", asks, source, mistakes, draw, edges)


def intervals(variant, rng, level):
    touching = variant["touching"] == "joined"
    result = variant["result"]
    final = {
        "merged": "return merged",
        "total": "return sum(end - start for start, end in merged)",
        "gaps": "return [[a[1], b[0]] for a, b in zip(merged, merged[1:])]",
        "longest": "return max((end - start for start, end in merged), default=0)",
    }[result]
    source = fill(
        """def solve(intervals):
    merged = []
    for start, end in sorted(intervals):
        if merged and start @less@ merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    @final@
""",
        less="<=" if touching else "<",
        final=final,
    )
    asks = (
        "takes a list of intervals [start, end] and merges those that overlap; intervals that only touch, such as [1, 3] and [3, 5], %s. It returns %s"
        % (
            "are merged too" if touching else "stay apart",
            {
                "merged": "the merged intervals as a list, sorted by start",
                "total": "the sum of the lengths (end minus start) of the merged intervals",
                "gaps": "the list of the gaps [end, start] between each merged interval and the next, also those of length 0",
                "longest": "the length (end minus start) of the longest merged interval, 0 if there is none",
            }[result],
        )
    )

    def draw():
        found = []
        for _ in range(rng.randint(2, 3 + level)):
            start = rng.randint(0, 8 + 5 * level)
            found.append([start, start + rng.randint(1, 6)])
        return [found]

    other = ("start <= merged", "start < merged") if touching else ("start < merged", "start <= merged")
    mistakes = [
        other,
        ("max(merged[-1][1], end)", "end"),
        ("sorted(intervals)", "intervals"),
        ("sorted(intervals)", "sorted(intervals, key=lambda pair: pair[1])"),
    ]
    edges = [[[]], [[[1, 3], [3, 5]]], [[[1, 9], [2, 3], [8, 12]]], [[[6, 8], [1, 2], [7, 9]]]]
    return Recipe("intervals", asks, source, mistakes, draw, edges)


def matrix(variant, rng, level):
    result = variant["result"]
    as_tuple = variant["rows"] == "tuples"
    wrap = "[tuple(row) for row in %s]" if as_tuple else "[list(row) for row in %s]"
    bodies = {
        "transpose": ("    return " + wrap % "zip(*rows)" + "\n", "its transpose"),
        "right": ("    return " + wrap % "zip(*rows[::-1])" + "\n", "it turned right by 90 degrees"),
        "left": ("    return " + wrap % "list(zip(*rows))[::-1]" + "\n", "it turned left by 90 degrees"),
        "spiral": (
            "    rows = [list(row) for row in rows]\n    result = []\n    while rows:\n        result += rows.pop(0)\n"
            "        rows = [list(row) for row in zip(*rows)][::-1]\n    return %s\n"
            % ("tuple(result)" if as_tuple else "result"),
            None,
        ),
        "diagonals": (
            "    sums = {}\n    for y, row in enumerate(rows):\n        for x, number in enumerate(row):\n"
            "            sums[x - y] = sums.get(x - y, 0) + number\n    return %s\n"
            % (
                "tuple(sums[key] for key in sorted(sums))"
                if as_tuple
                else "[sums[key] for key in sorted(sums)]"
            ),
            None,
        ),
    }
    body, what = bodies[result]
    kind = "tuple" if as_tuple else "list"
    if what:
        asks = "takes a matrix as a list of rows and returns %s, as a list of %ss" % (what, kind)
    elif result == "spiral":
        asks = (
            "takes a matrix as a list of rows and returns its numbers in a clockwise spiral from the top left inwards, as a %s"
            % kind
        )
    else:
        asks = (
            "takes a matrix as a list of rows and returns the sums of its diagonals that run down to the right, from the one in the bottom left corner to the one in the top right, as a %s"
            % kind
        )
    mistakes = {
        "transpose": [
            ("zip(*rows)", "zip(*rows[::-1])"),
            ("zip(*rows)", "rows"),
            ("zip(*rows)", "list(zip(*rows))[::-1]"),
        ],
        "right": [
            ("rows[::-1]", "rows"),
            ("zip(*rows[::-1])", "list(zip(*rows))[::-1]"),
            ("zip(*rows[::-1])", "rows[::-1]"),
        ],
        "left": [
            ("[::-1]", ""),
            ("list(zip(*rows))[::-1]", "zip(*rows[::-1])"),
            ("list(zip(*rows))[::-1]", "rows[::-1]"),
        ],
        "spiral": [("[::-1]", ""), ("rows.pop(0)", "rows.pop()"), ("rows.pop(0)", "rows.pop(0)[::-1]")],
        "diagonals": [
            ("sums[x - y] = sums.get(x - y, 0)", "sums[x + y] = sums.get(x + y, 0)"),
            ("sorted(sums)", "sorted(sums, reverse=True)"),
            ("sums.get(x - y, 0) + number", "number"),
        ],
    }[result]
    size = lambda: rng.randint(1, 2 + (level + 1) // 2)

    def draw():
        width = size()
        return [[[rng.randint(-9, 20) for _ in range(width)] for _ in range(size())]]

    return Recipe(
        "rows",
        asks,
        "def solve(rows):\n" + body,
        mistakes,
        draw,
        [[[[1, 2, 3]]], [[[1], [2]]], [[[1, 2], [3, 4]]]],
    )


def brackets(variant, rng, level):
    pairs = {"round": "()", "two": "()[]", "three": "()[]{}"}[variant["marks"]]
    closing = {pairs[at + 1]: pairs[at] for at in range(0, len(pairs), 2)}
    result = variant["result"]
    wrong, end = {
        "valid": ("return False", "return not open_marks"),
        "place": ("return at", "return len(text) if open_marks else -1"),
        "depth": ("return -1", "return deepest if not open_marks else -1"),
        "missing": (None, None),
    }[result]
    if result == "missing":
        source = fill(
            """def solve(text):
    open_marks, missing = [], 0
    for mark in text:
        if mark in @opening@:
            open_marks.append(mark)
        elif mark in CLOSING:
            if open_marks and open_marks[-1] == CLOSING[mark]:
                open_marks.pop()
            else:
                missing += 1
    return missing + len(open_marks)
""",
            opening=repr(pairs[::2]),
        )
    else:
        source = fill(
            """def solve(text):
    open_marks, deepest = [], 0
    for at, mark in enumerate(text):
        if mark in @opening@:
            open_marks.append(mark)
            deepest = max(deepest, len(open_marks))
        elif mark in CLOSING:
            if not open_marks or open_marks.pop() != CLOSING[mark]:
                @wrong@
    @end@
""",
            opening=repr(pairs[::2]),
            wrong=wrong,
            end=end,
        )
        if result != "depth":
            source = source.replace("open_marks, deepest = [], 0", "open_marks = []").replace(
                "            deepest = max(deepest, len(open_marks))\n", ""
            )
        if result != "place":
            source = source.replace("for at, mark in enumerate(text)", "for mark in text")
    source = "CLOSING = %r\n\n\n" % closing + source
    asks = "looks at the brackets %s of a text, skips all else, and %s" % (
        " ".join(pairs),
        {
            "valid": "says whether each is closed by its own kind in the right order (True or False)",
            "place": "returns the index of the first closing bracket that does not close the last open one; if there is none, the length of the text when brackets stay open, and else -1",
            "depth": "returns how deep they nest (0 without brackets), or -1 if they are not closed each by its own kind in the right order",
            "missing": "returns how many brackets have no partner: from left to right, a closing bracket is the partner of the last open one if that is of its kind, and else has none",
        }[result],
    )

    def draw():
        text, open_marks = "", []
        for _ in range(rng.randint(2, 4 + 2 * level)):
            if open_marks and rng.random() < 0.5:
                text += open_marks.pop()
            else:
                at = rng.randrange(0, len(pairs), 2)
                text += pairs[at]
                open_marks.append(pairs[at + 1])
            if rng.random() < 0.2:
                text += rng.choice("ab ")
        text += "".join(reversed(open_marks))
        if rng.random() < 0.5:
            at = rng.randrange(len(text))
            text = text[:at] + rng.choice(pairs) + text[at + 1 :]
        return [text]

    mistakes = {
        "valid": [
            ("return not open_marks", "return True"),
            ("not open_marks or ", "open_marks and "),
            (wrong, "pass"),
            ("open_marks.pop() !=", "open_marks[-1] !="),
        ],
        "place": [
            ("len(text) if open_marks else -1", "-1"),
            ("return at", "return at + 1"),
            ("not open_marks or ", "open_marks and "),
            ("else -1", "else 0"),
        ],
        "depth": [
            (" if not open_marks else -1", ""),
            ("max(deepest, len(open_marks))", "max(deepest, len(open_marks) - 1)"),
            ("return -1", "return 0"),
            ("max(deepest, len(open_marks))", "deepest + 1"),
        ],
        "missing": [
            ("missing + len(open_marks)", "missing"),
            ("missing += 1", "missing += 2"),
            ("missing + len(open_marks)", "len(open_marks)"),
        ],
    }[result]
    edges = [["()"], [")("], ["(()"], ["(a" + pairs[-1]]]
    return Recipe("text", asks, source, mistakes, draw, edges, 2 if result == "valid" else 3)


def insertion(variant, rng, level):
    side = variant["side"]
    less = "<" if side == "left" else "<="
    result = variant["result"]
    order = variant["order"]
    if order == "falling":
        less = ">" if side == "left" else ">="
    final = {
        "place": "return low",
        "inserted": "return numbers[:low] + [goal] + numbers[low:]",
        "neighbours": "return (numbers[low - 1] if low > 0 else None, numbers[low] if low < len(numbers) else None)",
    }[result]
    source = fill(
        """def solve(numbers, goal):
    low, high = 0, len(numbers)
    while low < high:
        middle = (low + high) // 2
        if numbers[middle] @less@ goal:
            low = middle + 1
        else:
            high = middle
    @final@
""",
        less=less,
        final=final,
    )
    asks = (
        "takes a list sorted from %s and a number, finds the place where the number is to be put in so that the list stays sorted, %s all equal numbers, and returns %s"
        % (
            "small to large" if order == "rising" else "large to small",
            "before" if side == "left" else "after",
            {
                "place": "the index of that place",
                "inserted": "the list with the number put in there",
                "neighbours": "a tuple of the numbers just before and just after that place, None where there is none",
            }[result],
        )
    )

    def draw():
        numbers = sorted(
            (rng.randint(0, 6 + 3 * level) for _ in range(rng.randint(1, 4 + 2 * level))),
            reverse=order == "falling",
        )
        return [numbers, rng.choice(numbers) if rng.random() < 0.6 else rng.randint(-1, 8 + 3 * level)]

    flipped = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}[less]
    away = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}[less]
    mistakes = [
        ("[middle] %s goal" % less, "[middle] %s goal" % away),
        ("len(numbers)\n", "len(numbers) - 1\n"),
        ("low, high = 0,", "low, high = 1,"),
    ]
    if result != "inserted":
        mistakes.append(("[middle] %s goal" % less, "[middle] %s goal" % flipped))
    flat = lambda numbers: numbers[::-1] if order == "falling" else numbers
    edges = [[[], 3], [[2, 2, 2], 2], [flat([1, 4, 9]), 10], [flat([1, 4, 9]), 0]]
    return Recipe("numbers, goal", asks, source, mistakes, draw, edges)


def change(variant, rng, level):
    coins = {"euro": [1, 2, 5, 10, 20, 50], "odd": [1, 3, 4, 9], "gaps": [4, 6, 9]}[variant["coins"]]
    result = variant["result"]
    bodies = {
        "fewest": (
            "    fewest = [0] + [None] * amount\n    for total in range(1, amount + 1):\n        for coin in COINS:\n"
            "            if coin <= total and fewest[total - coin] is not None:\n                count = fewest[total - coin] + 1\n"
            "                if fewest[total] is None or count < fewest[total]:\n                    fewest[total] = count\n    return fewest[amount]\n",
            "returns the fewest coins that make up an amount, or None if none do",
            [
                ("count < fewest", "count > fewest"),
                ("fewest[total - coin] + 1", "fewest[total - coin] + coin"),
                ("coin <= total", "coin < total"),
            ],
        ),
        "ways": (
            "    ways = [1] + [0] * amount\n    for coin in COINS:\n        for total in range(coin, amount + 1):\n"
            "            ways[total] += ways[total - coin]\n    return ways[amount]\n",
            "returns in how many ways coins can make up an amount, whatever their order (the amount 0 in one way)",
            [
                ("range(coin, amount + 1)", "range(amount, coin - 1, -1)"),
                ("[1] + [0]", "[1] + [1]"),
                ("ways[total] += ways[total - coin]", "ways[total] += ways[total - coin] + (total == coin)"),
            ],
        ),
        "greedy": (
            "    result = []\n    for coin in reversed(COINS):\n        while coin <= amount:\n            result.append(coin)\n"
            "            amount -= coin\n    return result\n",
            "pays an amount by always taking the largest coin that still fits, until none does, and returns the list of the coins taken",
            [
                ("coin <= amount", "coin < amount"),
                ("        while coin", "        if coin"),
                ("reversed(COINS)", "COINS"),
            ],
        ),
    }
    body, what, mistakes = bodies[result]
    source = "COINS = %r\n\n\ndef solve(amount):\n" % coins + body
    asks = "%s. There are coins of %s, as many of each as needed" % (what, ", ".join(map(str, coins)))
    mistakes = mistakes + [("COINS = [%d, " % coins[0], "COINS = ["), (", %d]" % coins[-1], "]")]
    edges = [[0], [coins[-1]], [coins[0] + coins[1]], [12]]
    return Recipe("amount", asks, source, mistakes, lambda: [rng.randint(1, 12 + 14 * level)], edges, 3)


def grid(variant, rng, level):
    steps = {
        "four": "[(1, 0), (-1, 0), (0, 1), (0, -1)]",
        "eight": "[(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)]",
    }[variant["steps"]]
    result = variant["result"]
    final, what = {
        "distance": (
            "return seen.get((len(rows[0]) - 1, len(rows) - 1), -1)",
            "the fewest steps from the top left cell to the bottom right one, or -1 if there is no way",
        ),
        "reach": (
            "return len(seen)",
            "how many cells can be reached from the top left cell, itself included",
        ),
        "farthest": (
            "return max(seen.values())",
            "the largest number of steps that any cell that can be reached from the top left one is away, on the shortest way",
        ),
        "near": (
            "return sum(steps <= 3 for steps in seen.values())",
            "how many cells are at most 3 steps from the top left one, itself included",
        ),
    }[result]
    source = fill(
        """STEPS = @steps@


def solve(rows):
    seen = {(0, 0): 0}
    queue = [(0, 0)]
    for x, y in queue:
        for right, down in STEPS:
            cell = (x + right, y + down)
            if not (0 <= cell[0] < len(rows[0]) and 0 <= cell[1] < len(rows)):
                continue
            if rows[cell[1]][cell[0]] == "#" or cell in seen:
                continue
            seen[cell] = seen[(x, y)] + 1
            queue.append(cell)
    @final@
""",
        steps=steps,
        final=final,
    )
    asks = (
        "takes a map as a list of texts, in which '#' is a wall and '.' is free (the top left cell always is), and returns %s. A step goes to a free neighbour: %s"
        % (
            what,
            "left, right, up or down" if variant["steps"] == "four" else "in any of the eight directions",
        )
    )
    density = rng.choice([0.2, 0.3, 0.35])

    def draw():
        width, height = rng.randint(2, 3 + level), rng.randint(2, 2 + level)
        rows = ["".join("#" if rng.random() < density else "." for _ in range(width)) for _ in range(height)]
        rows[0] = "." + rows[0][1:]
        if rng.random() < 0.8:
            rows[-1] = rows[-1][:-1] + "."
        return [rows]

    mistakes = [
        ('rows[cell[1]][cell[0]] == "#" or ', ""),
        (steps, "[(1, 0), (0, 1)]"),
        ("[(0, 0)]\n", "[(0, 0)]\n    seen[(0, 0)] = 1\n")
        if result in ("distance", "farthest")
        else ("return ", "return -1 + "),
        ("seen[(x, y)] + 1", "seen[(x, y)] + abs(right) + abs(down)")
        if variant["steps"] == "eight"
        else ("range(0)", "range(0)"),
    ]
    mistakes = [pair for pair in mistakes if pair[0] != pair[1]]
    mistakes.append((steps, "[(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1)]"))
    edges = [[["."]], [[".#", "#."]], [["...", ".#.", "..."]], [[".#...", ".#.#.", "...#."]]]
    return Recipe("rows", asks, source, mistakes, draw, edges, 3)


KINDS = {
    "divisors": Kind(
        (1, 3), {"result": ["gcd", "lcm"], "over": ["all", "even", "sums"]}, divisors, {"over": 2}
    ),
    "primes": Kind((1, 5), {"result": ["below", "count", "nth", "next", "factors"]}, primes),
    "two_sum": Kind(
        (1, 4),
        {
            "test": ["sum", "difference"],
            "result": ["indices", "values", "count"],
            "missing": ["none", "empty"],
        },
        two_sum,
        moot={("result", "count"): ["missing"]},
    ),
    "intervals": Kind(
        (3, 5), {"touching": ["joined", "apart"], "result": ["merged", "total", "gaps", "longest"]}, intervals
    ),
    "matrix": Kind(
        (2, 5),
        {"result": ["transpose", "right", "left", "diagonals", "spiral"], "rows": ["lists", "tuples"]},
        matrix,
    ),
    "brackets": Kind(
        (2, 5),
        {"marks": ["round", "two", "three"], "result": ["valid", "depth", "place", "missing"]},
        brackets,
    ),
    "insertion": Kind(
        (3, 5),
        {
            "side": ["left", "right"],
            "result": ["place", "inserted", "neighbours"],
            "order": ["rising", "falling"],
        },
        insertion,
    ),
    "change": Kind(
        (4, 5), {"coins": ["euro", "odd", "gaps"], "result": ["fewest", "ways", "greedy"]}, change
    ),
    "grid": Kind(
        (4, 5), {"steps": ["four", "eight"], "result": ["distance", "reach", "farthest", "near"]}, grid
    ),
}
