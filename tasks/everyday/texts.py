"""Working with text: ciphers, counts, titles, lines, runs, palindromes, anagrams."""

from kit import WORDS, Kind, Recipe, fill, words


def sentence(rng, low, high, marks=".,!?"):
    parts = words(rng, low, high)
    parts = [part.capitalize() if rng.random() < 0.3 else part for part in parts]
    parts = [part + rng.choice(marks) if marks and rng.random() < 0.2 else part for part in parts]
    return " ".join(parts)


def caesar(variant, rng, level):
    shift = rng.randint(1, 12)
    decode = variant["direction"] == "decode"
    case = variant["case"]
    digits = variant["digits"] == "shifted"
    sign = "-" if decode else "+"
    branches = (
        "        if mark.islower():\n            mark = chr((ord(mark) - 97 @sign@ @shift@) % 26 + 97)\n"
    )
    if case == "both":
        branches += "        elif mark.isupper():\n            mark = chr((ord(mark) - 65 @sign@ @shift@) % 26 + 65)\n"
    if digits:
        branches += "        elif mark.isdigit():\n            mark = chr((ord(mark) - 48 @sign@ @shift@) % 10 + 48)\n"
    body = (
        '    result = ""\n    for mark in text:\n' + branches + "        result += mark\n    return result\n"
    )
    source = fill("def solve(text):\n" + body, sign=sign, shift=shift)
    asks = "moves every %s of a text %d places %s in the alphabet, from %s on again%s; all else stays" % (
        "letter" if case == "both" else "small letter",
        shift,
        "back" if decode else "forward",
        "a to z" if decode else "z to a",
        ", and every digit as many places from %s on again" % ("0 to 9" if decode else "9 to 0")
        if digits
        else "",
    )
    mistakes = [
        ("%s %d)" % (sign, shift), "%s %d)" % (sign, shift + 1)),
        (" %s %d) %% 26 + 97" % (sign, shift), " %s %d) %% 25 + 97" % (sign, shift)),
    ]
    mistakes.append((" %s %d) %% 26" % (sign, shift), " %s %d) %% 26" % ("+" if decode else "-", shift)))

    def draw():
        text = sentence(rng, 1, 2 + level)
        return [text + " " + str(rng.randint(10, 999)) if rng.random() < 0.5 else text]

    return Recipe("text", asks, source, mistakes, draw, [[""], ["xyz XYZ"], ["abc 019"], ["Hello, World!"]])


def word_count(variant, rng, level):
    shortest = {"all": 1, "longer": rng.randint(3, 5)}[variant["words"]]
    fold = variant["case"] == "folded"
    result = variant["result"]
    body = {
        "dict": "    return counts\n",
        "pairs": "    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))\n",
        "most": "    return min(counts, key=lambda word: (-counts[word], word)) if counts else None\n",
        "once": "    return sorted(word for word, count in counts.items() if count == 1)\n",
    }[result]
    what = {
        "dict": "a dict from each word to how often it occurs",
        "pairs": "a list of tuples (word, count), the most frequent first and equally frequent ones in alphabetical order",
        "most": "the most frequent word, the alphabetically first of several, or None if there is no word",
        "once": "the words that occur exactly once, in alphabetical order, as a list",
    }[result]
    source = fill(
        """def solve(text):
    counts = {}
    for word in text@fold@.split():
        word = word.strip(".,!?")
@short@        counts[word] = counts.get(word, 0) + 1
"""
        + body,
        fold=".lower()" if fold else "",
        short="        if len(word) < %d:\n            continue\n" % shortest
        if shortest > 1
        else "        if not word:\n            continue\n",
    )
    asks = (
        "takes a text and returns %s. Words are separated by spaces, the marks .,!? at their ends do not belong to them%s%s"
        % (
            what,
            ", and they are compared in lower case" if fold else "",
            ", and words of fewer than %d letters do not count" % shortest if shortest > 1 else "",
        )
    )
    pool = [rng.choice(WORDS) for _ in range(3 + level)]

    def draw():
        parts = [rng.choice(pool) for _ in range(rng.randint(3, 5 + 2 * level))]
        parts = [part.capitalize() if rng.random() < 0.3 else part for part in parts]
        return [" ".join(part + rng.choice(".,!?") if rng.random() < 0.25 else part for part in parts)]

    mistakes = [('word.strip(".,!?")', "word.strip()"), ("counts.get(word, 0) + 1", "1")]
    mistakes.append(("text.lower()", "text") if fold else ("text.split", "text.lower().split"))
    mistakes.append(
        {
            "pairs": ("-pair[1]", "pair[1]"),
            "most": ("-counts[word]", "counts[word]"),
            "once": ("== 1", ">= 1"),
            "dict": ("counts.get(word, 0) + 1", "counts.get(word, 1) + 1"),
        }[result]
    )
    if shortest > 1:
        mistakes.append(("< %d" % shortest, "<= %d" % shortest))
    edges = [
        [""],
        ["Tea, tea! Map."],
        [pool[0] + " " + pool[1] + " " + pool[0] + ". " + pool[1].capitalize()],
    ]
    return Recipe("text", asks, source, mistakes, draw, edges, 3)


SMALL = ["a", "an", "and", "of", "the", "to"]


def title_case(variant, rng, level):
    mark = {"spaces": " ", "underscores": "_", "hyphens": "-"}[variant["separator"]]
    small = variant["small"] == "kept"
    joined = {"title": " ", "camel": ""}[variant["result"]]
    source = fill(
        """SMALL = @small@


def solve(text):
    result = []
    for at, word in enumerate(text.lower().split(@mark@)):
@keep@        result.append(word[:1].upper() + word[1:])
    return @joined@.join(result)
""",
        small=SMALL,
        mark=repr(mark),
        joined=repr(joined),
        keep="        if at > 0 and word in SMALL:\n            result.append(word)\n            continue\n"
        if small
        else "",
    )
    if not small:
        source = source[source.index("def solve") :].replace(
            "at, word in enumerate(text.lower().split(%r))" % mark, "word in text.lower().split(%r)" % mark
        )
    asks = (
        "takes words separated by %r and returns them with a capital first letter and the rest in lower case, joined by %s%s"
        % (
            mark,
            "spaces" if joined else "nothing",
            "; the words %s stay in lower case, except as the first" % ", ".join(SMALL) if small else "",
        )
    )

    def draw():
        parts = [
            rng.choice(SMALL if rng.random() < 0.35 else WORDS) for _ in range(rng.randint(1, 3 + level))
        ]
        return [mark.join(part.upper() if rng.random() < 0.25 else part for part in parts)]

    mistakes = [
        (".lower()", ""),
        ("word[:1].upper() + word[1:]", "word.upper()"),
        ("%r.join" % joined, "%r.join" % mark if mark != joined else "''.join"),
    ]
    if small:
        mistakes += [("at > 0 and ", ""), (", 'the'", "")]
    edges = [
        ["THE" + mark + "end"],
        ["a" + mark + "tale" + mark + "of" + mark + "the" + mark + "sea"],
        ["one"],
    ]
    return Recipe("text", asks, source, mistakes, draw, edges)


def wrap(variant, rng, level):
    width = rng.randint(8, 16)
    align = variant["align"]
    result = variant["result"]
    line = {"left": "line", "right": "line.rjust(%d)" % width, "center": "line.center(%d).rstrip()" % width}[
        align
    ]
    final = {
        "lines": "    return [%s for line in lines]\n" % line,
        "text": '    return "\\n".join(%s for line in lines)\n' % line,
        "lengths": "    return [len(%s) for line in lines]\n" % line,
    }[result]
    source = fill(
        """def solve(text):
    lines = []
    for word in text.split():
        if lines and len(lines[-1]) + 1 + len(word) <= @width@:
            lines[-1] += " " + word
        else:
            lines.append(word)
"""
        + final,
        width=width,
    )
    asks = (
        "breaks a text into lines of at most %d characters: each word goes on the current line, after a space, if it fits, and else begins the next (no word is longer). %sReturn %s"
        % (
            width,
            {
                "left": "",
                "right": "Each line is filled with spaces on its left to %d characters. " % width,
                "center": "Each line is centred with str.center(%d), and the spaces at its end are dropped. "
                % width,
            }[align],
            {
                "lines": "the list of lines",
                "text": "the lines joined by newlines",
                "lengths": "the list of the lines' lengths",
            }[result],
        )
    )
    mistakes = [
        (" + 1 + len", " + len"),
        ("<= %d" % width, "< %d" % width),
        ("<= %d" % width, "<= %d" % (width + 1)),
        (" + 1 + len", " + 2 + len"),
    ]
    edges = [[""], ["tea " * 6], ["a" * (width - 2) + " b c"], ["a" * (width - 1) + " b"]]
    outputs = 3 if result == "lengths" else 4
    return Recipe(
        "text", asks, source, mistakes, lambda: [" ".join(words(rng, 3, 5 + 2 * level))], edges, outputs
    )


def run_length(variant, rng, level):
    form = variant["form"]
    ones = variant["ones"] == "omitted"
    count = '(str(count) if count > 1 else "")' if ones else "str(count)"
    piece = {
        "letter_first": "letter + " + count,
        "count_first": count + " + letter",
        "pairs": "(letter, count)",
    }[form]
    final = (
        "return [%s for letter, count in runs]"
        if form == "pairs"
        else 'return "".join(%s for letter, count in runs)'
    )
    write = fill(
        """def solve(text):
    runs = []
    for letter in text:
        if runs and runs[-1][0] == letter:
            runs[-1][1] += 1
        else:
            runs.append([letter, 1])
    @final@
""",
        final=final % piece,
    )
    look = {
        "letter_first": "'a%sb3'" % ("" if ones else "1"),
        "count_first": "'%sa3b'" % ("" if ones else "1"),
        "pairs": "[('a', 1), ('b', 3)]",
    }[form]
    text = lambda: "".join(
        rng.choice("abcx") * rng.choice([1, 1, 2, 3, 4 + 3 * level]) for _ in range(rng.randint(1, 3 + level))
    )
    if variant["direction"] == "write":
        asks = "writes a text as its runs of equal letters, so that 'abbb' becomes %s%s" % (
            look,
            "; a count of 1 is left out" if ones and form != "pairs" else "",
        )
        mistakes = [
            ("runs[-1][1] += 1", "runs[-1][1] += 2"),
            ("[letter, 1]", "[letter, 0]"),
            (" and runs[-1][0] == letter", ""),
        ]
        mistakes.append(
            ("count > 1", "count > 2")
            if ones and form != "pairs"
            else ("for letter in text", "for letter in sorted(text)")
        )
        return Recipe(
            "text", asks, write, mistakes, lambda: [text()], [[""], ["a"], ["aaaaaaaaaaaa"], ["abab"]]
        )
    names = {}
    exec(write, names)
    pattern = "([a-z])(\\\\d*)" if form == "letter_first" else "(\\\\d*)([a-z])"
    order = "letter, count" if form == "letter_first" else "count, letter"
    source = fill(
        """import re


def solve(text):
    result = ""
    for @order@ in re.findall("@pattern@", text):
        result += letter * int(count or 1)
    return result
""",
        pattern=pattern,
        order=order,
    )
    asks = (
        "takes a text written as its runs of equal letters, such as %s for 'abbb', and returns the text%s"
        % (look, "; a count of 1 is left out" if ones else "")
    )
    mistakes = [
        ("\\\\d*", "\\\\d?"),
        ("result += letter", "result = letter"),
        ("int(count or 1)", "int(count or 1) + 1"),
    ]
    if ones:
        mistakes.append(("count or 1", "count or 0"))
    return Recipe(
        "text",
        asks,
        source,
        mistakes,
        lambda: [names["solve"](text())],
        [[names["solve"](edge)] for edge in ("", "a", "a" * 12, "abab")],
    )


def palindrome(variant, rng, level):
    ignore = variant["ignore"]
    clean = {
        "nothing": "text",
        "case": "text.lower()",
        "marks": '"".join(mark for mark in text.lower() if mark.isalnum())',
    }[ignore]
    result = variant["result"]
    body = {
        "is": "    return text == text[::-1]\n",
        "longest": '    best = ""\n    for start in range(len(text)):\n        for end in range(start + 1, len(text) + 1):\n'
        "            part = text[start:end]\n            if part == part[::-1] and len(part) > len(best):\n                best = part\n    return best\n",
        "count": "    count = 0\n    for start in range(len(text)):\n        for end in range(start + 2, len(text) + 1):\n"
        "            count += text[start:end] == text[start:end][::-1]\n    return count\n",
        "add": "    for at in range(len(text)):\n        if text[at:] == text[at:][::-1]:\n            return text + text[:at][::-1]\n    return text\n",
    }[result]
    what = {
        "is": "says whether it reads the same backwards (True or False)",
        "longest": "returns its longest part that reads the same backwards (the first of several; '' for an empty text)",
        "count": "counts its parts of at least 2 characters that read the same backwards, equal parts at different places each",
        "add": "makes it read the same backwards by adding as few characters as possible at its end",
    }[result]
    first = {
        "nothing": "takes a text and ",
        "case": "puts a text in lower case and ",
        "marks": "puts a text in lower case, drops all but letters and digits, and ",
    }[ignore]
    source = "def solve(text):\n" + ("    text = %s\n" % clean if clean != "text" else "") + body

    def draw():
        half = "".join(rng.choice("abc") for _ in range(rng.randint(1, 2 + level)))
        text = half + rng.choice(["", "x", rng.choice("abc")]) + half[::-1]
        if rng.random() < 0.5:
            at = rng.randrange(len(text))
            text = text[:at] + rng.choice("abcd") + text[at + 1 :]
        if rng.random() < 0.5:
            text = text[: len(text) // 2].upper() + text[len(text) // 2 :]
        if rng.random() < 0.4:
            text = text[:1] + rng.choice([", ", " ", "-"]) + text[1:]
        return [text]

    mistakes = {
        "is": [
            ("text[::-1]", "text[-1:]"),
            ("text == text", "text[1:] == text"),
            ("text == text[::-1]", "text[:1] == text[-1:]"),
        ],
        "longest": [
            ("len(part) > len(best)", "len(part) >= len(best)"),
            ("len(text) + 1", "len(text)"),
            ("return best", "return len(best)"),
        ],
        "count": [("start + 2", "start + 1"), ("len(text) + 1", "len(text)"), ("start + 2", "start + 3")],
        "add": [
            ("text[:at][::-1]", "text[:at]"),
            ("text + text[:at]", "text + text[:at + 1]"),
            ("range(len(text))", "range(1, len(text))"),
        ],
    }[result]
    mistakes = mistakes + (
        [(clean, "text")]
        if clean != "text"
        else [("def solve(text):\n", "def solve(text):\n    text = text.lower()\n")]
    )
    outputs = 2 if result == "is" else 3
    return Recipe(
        "text", first + what, source, mistakes, draw, [["a"], ["Abba"], ["no, on"], ["ab"]], outputs
    )


def anagrams(variant, rng, level):
    smallest = {"all": 1, "several": 2}[variant["groups"]]
    result = variant["result"]
    order = {"found": "", "sorted": "sorted"}[variant["order"]]
    body = {
        "groups": "    return [%s for group in groups.values() if len(group) >= %d]\n"
        % ("sorted(group)" if order else "group", smallest),
        "largest": "    return %s\n"
        % ("sorted(max(groups.values(), key=len))" if order else "max(groups.values(), key=len)"),
        "dict": "    return {key: %s for key, group in groups.items() if len(group) >= %d}\n"
        % ("sorted(group)" if order else "group", smallest),
    }[result]
    source = (
        "def solve(words):\n    groups = {}\n    for word in words:\n"
        '        key = "".join(sorted(word.lower()))\n        groups.setdefault(key, []).append(word)\n'
        + body
    )
    asks = (
        "takes a list of words and groups those that have the same letters, upper or lower case alike. It returns %s%s. The words of a group are in %s"
        % (
            {
                "groups": "the list of groups, each a list, in the order of their first words",
                "largest": "the largest group as a list (of several, the one whose first word comes first)",
                "dict": "a dict from the sorted small letters, as one text, to the list of the words",
            }[result],
            " with at least 2 words" if smallest > 1 and result != "largest" else "",
            "sorted order" if order else "the order of the list",
        )
    )

    def draw():
        found = []
        for _ in range(rng.randint(1, 2 + level)):
            letters = list(
                rng.choice(["tea", "stop", "listen", "arc", "on", "keen", "dusty", "night", "below"])
            )
            for _ in range(rng.randint(1, 3)):
                rng.shuffle(letters)
                word = "".join(letters)
                found.append(word.capitalize() if rng.random() < 0.3 else word)
        rng.shuffle(found)
        return [found]

    mistakes = [
        ("word.lower()", "word"),
        ("sorted(word.lower())", "sorted(set(word.lower()))"),
        ("sorted(word.lower())", "word.lower()"),
    ]
    if smallest > 1 and result != "largest":
        mistakes.append((">= 2", ">= 1"))
    elif result == "largest":
        mistakes.append(("max(", "min("))
    mistakes.append(("append(word)", "append(word.lower())"))
    edges = [[["Tea", "eat", "ATE", "on"]], [["keen", "ken", "knee"]]]
    return Recipe("words", asks, source, mistakes, draw, edges, 4)


KINDS = {
    "caesar": Kind(
        (1, 3),
        {"direction": ["encode", "decode"], "case": ["small", "both"], "digits": ["kept", "shifted"]},
        caesar,
        {"digits": 2},
    ),
    "word_count": Kind(
        (1, 4),
        {
            "words": ["all", "longer"],
            "case": ["exact", "folded"],
            "result": ["dict", "once", "pairs", "most"],
        },
        word_count,
        {"words": 2},
    ),
    "title_case": Kind(
        (1, 3),
        {
            "separator": ["spaces", "underscores", "hyphens"],
            "small": ["none", "kept"],
            "result": ["title", "camel"],
        },
        title_case,
        {"small": 2},
    ),
    "wrap": Kind(
        (3, 5), {"align": ["left", "right", "center"], "result": ["lines", "text", "lengths"]}, wrap
    ),
    "run_length": Kind(
        (2, 5),
        {
            "form": ["letter_first", "count_first", "pairs"],
            "ones": ["written", "omitted"],
            "direction": ["write", "read"],
        },
        run_length,
        {"direction": 3},
        {("form", "pairs"): ["ones", "direction"]},
    ),
    "palindrome": Kind(
        (1, 5),
        {"ignore": ["nothing", "case", "marks"], "result": ["is", "longest", "count", "add"]},
        palindrome,
        {"result": 2},
    ),
    "anagrams": Kind(
        (3, 5),
        {"groups": ["all", "several"], "result": ["groups", "largest", "dict"], "order": ["found", "sorted"]},
        anagrams,
        moot={("result", "largest"): ["groups"]},
    ),
}
