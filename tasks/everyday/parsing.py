"""Reading small formats: settings, tables, durations, versions, numerals, addresses."""

from kit import NAMES, WORDS, Kind, Recipe, fill


def key_values(variant, rng, level):
    separator = variant["separator"]
    whole = variant["values"] == "numbers"
    first = variant["twice"] == "first"
    source = fill(
        """def solve(text):
    result = {}
    for part in text.split(@separator@):
        if "=" not in part:
            continue
        key, value = part.split("=", 1)
        key, value = key.strip(), value.strip()
        if @keep@:
            result[key] = @value@
    return result
""",
        separator=repr(separator),
        keep="key not in result" if first else "key",
        value="int(value) if value.isdigit() else value" if whole else "value",
    )

    def draw():
        parts = []
        for _ in range(rng.randint(2, 3 + level)):
            key = rng.choice("abc") if rng.random() < 0.6 else rng.choice(WORDS)
            value = str(rng.randint(0, 99)) if rng.random() < 0.5 else rng.choice(NAMES)
            if rng.random() < 0.15:
                value += "=" + str(rng.randint(0, 9))
            parts.append(key if rng.random() < 0.15 else " " * rng.randint(0, 1) + key + "=" + value)
        return [separator.join(parts)]

    asks = (
        "reads settings such as 'a=1%sb=x' into a dict. Settings are separated by %r, a key ends at "
        "the first '=', spaces around keys and values are dropped, and parts without '=' are skipped. "
        "When a key comes twice, the %s value counts. Values %s"
        % (
            separator,
            separator,
            "first" if first else "last",
            "that consist of digits become integers, all others stay text" if whole else "stay text",
        )
    )
    mistakes = [
        ('part.split("=", 1)', 'part.rsplit("=", 1)'),
        ("key, value = key.strip(), value.strip()", "key, value = key, value"),
        ("if key not in result" if first else "if key", "if key" if first else "if key not in result"),
    ]
    return Recipe(
        "text", asks, source, mistakes, draw, [[""], ["a=1%sa=2" % separator], ["b=c=d"], ["alone"]]
    )


def table(variant, rng, level):
    mark = variant["mark"]
    result = variant["result"]
    body = {
        "sum": "    return sum(int(row[@column@]) for row in rows)\n",
        "column": "    return [row[@column@] for row in rows]\n",
        "largest": "    if not rows:\n        return None\n    return max(rows, key=lambda row: int(row[@column@]))[0]\n",
        "dict": "    return {row[0]: int(row[@column@]) for row in rows}\n",
    }[result]
    column = rng.randint(1, 2)
    source = fill(
        """def solve(text):
    rows = []
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        rows.append([cell.strip() for cell in line.split(@mark@)])
"""
        + body,
        mark=repr(mark),
        column=column,
    )
    what = {
        "sum": "returns the sum of the integers in column %d",
        "column": "returns the list of the texts in column %d",
        "largest": "returns the first cell of the row with the largest integer in column %d (the "
        "first such row; None without rows)",
        "dict": "returns a dict from the first cell of each row to the integer in column %d",
    }[result] % (column + 1)

    def draw():
        lines = []
        for _ in range(rng.randint(2, 3 + level)):
            cells = [rng.choice(NAMES), str(rng.randint(1, 40)), str(rng.randint(1, 40))]
            lines.append((" " + mark + " " if rng.random() < 0.3 else mark).join(cells))
            if rng.random() < 0.25:
                lines.append(rng.choice(["", "# " + mark.join(["note", "50", "60"]), "  "]))
        return ["\n".join(lines)]

    asks = (
        "reads lines of cells separated by %r and %s. Columns are counted from 1, spaces around a "
        "cell are dropped, and blank lines and lines that start with '#' are skipped" % (mark, what)
    )
    mistakes = [
        (' or line.startswith("#")', ""),
        ("row[%d]" % column, "row[%d]" % (3 - column)),
        ("not line or ", ""),
        ("cell.strip() for", "cell for"),
    ]
    return Recipe(
        "text",
        asks,
        source,
        mistakes,
        draw,
        [["ann%s1%s2" % (mark, mark)], ["#\n\nbob %s 7%s 8" % (mark, mark)]],
    )


def duration(variant, rng, level):
    units = {"hm": [("h", 3600), ("m", 60)], "hms": [("h", 3600), ("m", 60), ("s", 1)]}
    units["dhms"] = [("d", 86400)] + units["hms"]
    chosen = units[variant["units"]]
    names = ", ".join("%s = %d" % unit for unit in chosen)

    def text(total):
        parts = []
        for unit, size in chosen:
            count, total = divmod(total, size)
            if count:
                parts.append("%d%s" % (count, unit))
        return "".join(parts) or "0" + chosen[-1][0]

    top = chosen[0][1] * 5
    if variant["direction"] == "read":
        source = fill(
            """def solve(text):
    sizes = @sizes@
    total = 0
    digits = ""
    for mark in text:
        if mark.isdigit():
            digits += mark
        elif mark in sizes:
            total += int(digits) * sizes[mark]
            digits = ""
    return total
""",
            sizes=dict(chosen),
        )
        asks = "reads a duration such as %r and returns its seconds (%s)" % (text(top // 3), names)
        mistakes = [
            ('            digits = ""\n', ""),
            ("total += int(digits)", "total = int(digits)"),
            ("digits += mark", "digits = mark"),
        ]
        return Recipe(
            "text",
            asks,
            source,
            mistakes,
            lambda: [text(rng.randint(1, top))],
            [["0" + chosen[-1][0]], ["90m"], ["1h"]],
        )
    source = fill(
        """def solve(seconds):
    parts = []
    for unit, size in @units@:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(str(count) + unit)
    return "".join(parts) or @zero@
""",
        units=chosen,
        zero=repr("0" + chosen[-1][0]),
    )
    asks = (
        "writes a number of seconds as a duration such as %r: units %s, largest first, those with count "
        "0 left out; what is less than the smallest unit is dropped, and nothing at all gives %r"
        % (text(top // 3), names, "0" + chosen[-1][0])
    )
    mistakes = [
        ("        if count:\n            parts", "        if True:\n            parts"),
        (" or %r" % ("0" + chosen[-1][0]), ""),
        ("count, seconds = divmod(seconds, size)", "count = seconds // size"),
        ('"".join', '" ".join'),
    ]
    return Recipe(
        "seconds", asks, source, mistakes, lambda: [rng.randint(1, top)], [[0], [3600], [59], [3660]]
    )


def versions(variant, rng, level):
    result = variant["result"]
    prefix = variant["prefix"]
    head = """def key(version):
    return [int(part) for part in version.removeprefix(@prefix@).split(".")]


"""
    body = {
        "newest": "def solve(versions):\n    return max(versions, key=key)\n",
        "sorted": "def solve(versions):\n    return sorted(versions, key=key)\n",
        "major": "def solve(versions):\n    newest = {}\n    for version in sorted(versions, key=key):\n"
        "        newest[key(version)[0]] = version\n    return newest\n",
        "count": "def solve(versions):\n    newest = max(key(version) for version in versions)\n"
        "    return sum(key(version)[0] == newest[0] for version in versions)\n",
    }[result]
    what = {
        "newest": "returns the newest",
        "sorted": "returns them as a list from oldest to newest",
        "major": "returns a dict from each major number (an integer) to its newest version",
        "count": "returns how many have the same major number as the newest",
    }[result]
    source = fill(head + body, prefix=repr(prefix))

    def draw():
        count = rng.randint(3, 4 + level)
        version = lambda: (
            "%s%d.%d.%d" % (prefix, rng.choice([1, 2, 9, 10, 11]), rng.randint(0, 12), rng.randint(0, 20))
        )
        return [list(dict.fromkeys(version() for _ in range(count)))]

    asks = "takes a list of versions such as '%s1.10.2', compares them number by number, and %s" % (
        prefix,
        what,
    )
    mistakes = [
        ("int(part) for part", "part for part"),
        ('.split(".")]', '.split(".")[:2]]' if result != "count" else '.split(".")[1:]]'),
        ('.split(".")]', '.split(".")][::-1]'),
        ("max(", "min(")
        if "max(" in source
        else ("sorted(versions, key=key)", "sorted(versions, key=key, reverse=True)"),
    ]
    edges = [
        [["%s1.9.0" % prefix, "%s1.10.0" % prefix]],
        [["%s10.0.0" % prefix, "%s9.9.9" % prefix, "%s2.0.0" % prefix]],
    ]
    return Recipe("versions", asks, source, mistakes, draw, edges)


ROMAN = """NUMERALS = [
    (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"),
    (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
]


def write(number):
    text = ""
    for value, numeral in NUMERALS:
        while number >= value:
            text += numeral
            number -= value
    return text


def read(text):
    number = 0
    for value, numeral in NUMERALS:
        while text.startswith(numeral):
            number += value
            text = text[len(numeral):]
    return number


"""


def roman(variant, rng, level):
    names = {}
    exec(ROMAN, names)
    number = lambda: rng.choice([rng.randint(1, 50), rng.randint(1, 400), rng.randint(1, 3000)])
    result = variant["result"]
    asks, body, draw, edges = {
        "write": (
            "writes an integer from 1 to 3999 as a Roman numeral",
            "def solve(number):\n    return write(number)\n",
            lambda: [number()],
            [[4], [9], [1994], [3999]],
        ),
        "read": (
            "reads a Roman numeral and returns its integer",
            "def solve(text):\n    return read(text)\n",
            lambda: [names["write"](number())],
            [["IV"], ["MCMXCIV"], ["XL"]],
        ),
        "add": (
            "adds a list of Roman numerals and returns their sum as a Roman numeral",
            "def solve(texts):\n    return write(sum(read(text) for text in texts))\n",
            lambda: [[names["write"](rng.randint(1, 300)) for _ in range(rng.randint(2, 4))]],
            [[["I", "I", "I", "I"]], [["XLIX", "I"]]],
        ),
        "sort": (
            "sorts a list of Roman numerals by value, smallest first",
            "def solve(texts):\n    return sorted(texts, key=read)\n",
            lambda: [[names["write"](rng.randint(1, 300)) for _ in range(rng.randint(3, 6))]],
            [[["X", "IX", "V"]], [["C", "D", "L"]]],
        ),
    }[result]
    mistakes = [('(900, "CM"), ', ""), ('(4, "IV"), ', ""), ('(9, "IX"), ', ""), ('(40, "XL"), ', "")]
    if result == "sort":
        mistakes = [("key=read", "key=len"), (", key=read", ""), ("key=read", "key=read, reverse=True")]
    elif result != "read":
        mistakes.append(("number >= value", "number > value"))
    signature = body.split("(")[1].split(")")[0]
    return Recipe(signature, asks, ROMAN + body, mistakes, draw, edges)


ADDRESS = """def number(text):
    parts = text.split(".")
    if len(parts) != 4:
        return None
    total = 0
    for part in parts:
        if not part.isdigit() or len(part) > 3 or int(part) > 255:
            return None
        if len(part) > 1 and part[0] == "0":
            return None
        total = total * 256 + int(part)
    return total


"""


def ipv4(variant, rng, level):
    def address(good=0.6):
        parts = [str(rng.choice([0, 1, 10, 127, 168, 192, 255, rng.randint(0, 255)])) for _ in range(4)]
        if rng.random() > good:
            at = rng.randrange(4)
            parts[at] = rng.choice(["256", "01", "", "x", "-1", "999"])
            if rng.random() < 0.3:
                parts.pop()
        return ".".join(parts)

    valid = "Each of the four parts is a decimal number from 0 to 255 without a leading zero"
    result = variant["result"]
    bits = rng.choice([8, 12, 16, 20])
    asks, body, draw, outputs = {
        "valid": (
            "says whether a text is an IPv4 address (True or False). " + valid,
            "def solve(text):\n    return number(text) is not None\n",
            lambda: [address()],
            2,
        ),
        "number": (
            "returns the 32-bit number of an IPv4 address, or None for any other text. " + valid,
            "def solve(text):\n    return number(text)\n",
            lambda: [address(0.8)],
            4,
        ),
        "count": (
            "counts the IPv4 addresses in a list of texts. " + valid,
            "def solve(texts):\n    return sum(number(text) is not None for text in texts)\n",
            lambda: [[address() for _ in range(rng.randint(2, 8))]],
            3,
        ),
        "network": (
            "groups IPv4 addresses by network: it takes a list of texts and returns a dict from the first %d "
            "bits of the address (as an integer) to how many addresses of the list share them. Texts that are "
            "no address are skipped. " % bits + valid,
            "def solve(texts):\n    counts = {}\n    for text in texts:\n        address = number(text)\n"
            "        if address is not None:\n            network = address >> %d\n"
            "            counts[network] = counts.get(network, 0) + 1\n    return counts\n" % (32 - bits),
            lambda: [[address(0.8) for _ in range(rng.randint(2, 7))]],
            4,
        ),
    }[result]
    mistakes = [
        ("int(part) > 255", "int(part) > 256"),
        ('        if len(part) > 1 and part[0] == "0":\n            return None\n', ""),
        ("    if len(parts) != 4:\n        return None\n", ""),
        ("not part.isdigit() or ", "not part or "),
    ]
    edge = ["256.1.1.1", "01.2.3.4", "1.2.3", "255.255.255.255"]
    many = result in ("count", "network")
    edges = [[edge + ["0.0.0.0"]]] if many else [[text] for text in edge]
    signature = "texts" if many else "text"
    return Recipe(signature, asks, ADDRESS + body, mistakes, draw, edges, outputs)


KINDS = {
    "key_values": Kind(
        (1, 4),
        {"separator": [";", "&", ",", "|"], "values": ["text", "numbers"], "twice": ["last", "first"]},
        key_values,
        {"values": 2, "twice": 2},
    ),
    "table": Kind(
        (1, 5),
        {"mark": [",", ";", "|", ":"], "result": ["column", "sum", "dict", "largest"]},
        table,
    ),
    "duration": Kind((2, 5), {"units": ["hm", "hms", "dhms"], "direction": ["read", "write"]}, duration),
    "versions": Kind(
        (2, 5), {"prefix": ["", "v", "r"], "result": ["newest", "sorted", "count", "major"]}, versions
    ),
    "roman": Kind((3, 5), {"result": ["write", "read", "add", "sort"]}, roman),
    "ipv4": Kind((3, 5), {"result": ["valid", "number", "count", "network"]}, ipv4),
}
