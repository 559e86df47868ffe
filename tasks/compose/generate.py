"""Generates chains of small steps, asked for in plain words.

`compose` draws a well-typed chain; the names of its steps are the composition,
so that a held-out chain is never trained on with other numbers or words.
`generate` draws inputs and refuses a chain in which a step does nothing.
"""

import random

from primitives import ROWS

VISIBLE = 3
HIDDEN = 7
# Inputs to choose the cases from.
DRAWS = 16
OUTPUTS_MIN = 4
FAILURES_MIN = 3
FAILURES_MAX = 4
VALUE_MAX = 10**6
LENGTH_MAX = 64
PHRASINGS = (0, 1, 2)

# How `compose` tries a chain before it gives it.
CHAINS_MAX = 12
REDRAWS_MAX = 8
SAMPLES = 8
SAMPLE_OUTPUTS_MIN = {"list": 4, "text": 4, "int": 3}
CHANGE_ODDS = {"list": 2.0, "int": 3.0}

# What a skill weighs that the caller has no figure for.
WEIGHT = 0.55
WEIGHT_MIN = 0.01

WORDS = (
    "a an apple bird blue boat book bread bright cat cloud cold corn day deep door eagle early "
    "east fire fish flower garden gold green hill house ice idea in iron island kite lamp leaf "
    "letter light moon mountain music night oak ocean of old on orange paper queen quiet rain "
    "river road salt sea silver sky small snow stone sun table tall tea the tree under up valley "
    "wave wind winter wood yellow zebra zoo"
).split()

# Steps after which letters are no longer plain lower case.
CASING = frozenset(("upper", "title"))
PLAIN = frozenset(("no_vowels", "only_vowels", "count_vowels", "letter_places", "upper", "title"))
# Steps without a number that do something else the second time.
REPEATABLE = frozenset(("running_sum", "differences"))
# Steps that only reorder, and those whose result does not depend on order.
ORDERING = frozenset(
    ("reverse", "sort", "sort_down", "rotate")
    + ("reverse_text", "sort_letters", "reverse_words", "sort_words")
)
ORDERLESS = frozenset(
    ("sort", "sort_down", "sum", "largest", "smallest", "count", "count_unique")
    + ("sort_letters", "length", "count_words", "count_vowels", "count_letters", "sort_words")
)


class Primitive:
    """A row of the table, with its expression as a function of `x` and the number."""

    def __init__(self, row, run):
        self.name, self.source, self.target, self.numbers, self.text, *self.phrases = row
        self.cells = ["%s/%d" % (self.name, phrasing) for phrasing in PHRASINGS]
        self.run = run

    def expression(self, number):
        return self.text.replace("@", str(number))

    def draw_number(self, rng):
        """Zero when it takes none."""
        return rng.choice(self.numbers) if self.numbers else 0

    def phrase(self, phrasing, number):
        return self.phrases[phrasing].replace("@", str(number))


# All in one, since a guest that starts compiles them anew.
RUNS = eval("(%s)" % "".join("lambda x, n: %s, " % row[4].replace("@", "n") for row in ROWS))
PRIMITIVES = {row[0]: Primitive(row, run) for row, run in zip(ROWS, RUNS)}
FROM = {kind: [p for p in PRIMITIVES.values() if p.source == kind] for kind in ("list", "text")}
ALIKE = {
    p.name: [q for q in PRIMITIVES.values() if (q.source, q.target) == (p.source, p.target) and q is not p]
    for p in PRIMITIVES.values()
}


def compose(seed, difficulty, options):
    rng = random.Random(seed)
    weights = options.get("weights") or {}
    phrasings = options.get("phrasings") or PHRASINGS
    for _ in range(CHAINS_MAX):
        # When every chain fails the last is given all the same, to be refused.
        steps, fine = draw_chain(rng, difficulty, weights, phrasings)
        if fine:
            break
    return {
        "composition": [primitive.name for primitive, _, _ in steps],
        "skills": [primitive.cells[phrasing] for primitive, phrasing, _ in steps],
        "spec": {
            "steps": [[primitive.name, phrasing, number] for primitive, phrasing, number in steps],
            "seed": rng.getrandbits(48),
        },
    }


def draw_chain(rng, difficulty, weights, phrasings):
    """A chain of steps (primitive, phrasing, number), and whether it will do.

    It is tried on a few inputs. A step that changes nothing there, or leaves
    too little to tell answers apart, is drawn again: most long chains would be
    refused otherwise.
    """
    steps, names, samples, values, fine = [], [], [], [], True
    while len(steps) < difficulty:
        last = len(steps) == difficulty - 1
        reachable = FROM[steps[-1][0].target] if steps else PRIMITIVES.values()
        fitting = [p for p in reachable if fits(p, names, last)]
        cells = [(p, phrasing) for p in fitting for phrasing in phrasings]
        odds = [odds_of(p, weights.get(p.cells[phrasing], WEIGHT), steps) for p, phrasing in cells]
        for primitive, phrasing in rng.choices(cells, odds, k=REDRAWS_MAX):
            number = primitive.draw_number(rng)
            if not steps:
                samples = values = draw_inputs(rng, primitive.source, SAMPLES)
            after = [primitive.run(value, number) for value in values]
            if after != values and len(set(map(repr, after))) >= SAMPLE_OUTPUTS_MIN[primitive.target]:
                break
        else:
            fine = False
        values = after
        steps.append((primitive, phrasing, number))
        names.append(primitive.name)
    bare = [(primitive, number) for primitive, _, number in steps]
    return steps, fine and idle_step(bare, list(zip(samples, values))) is None


def odds_of(primitive, weight, steps):
    """A step's weight. The few that give another type would be rare in long chains."""
    weight = max(weight, WEIGHT_MIN)
    if steps and primitive.source != primitive.target:
        return weight * CHANGE_ODDS[primitive.target]
    return weight


def fits(primitive, names, last):
    """Whether a step may come next. Leaves out what would surely be refused."""
    if not last and primitive.target == "int":
        return False
    if not names:
        return True
    name = primitive.name
    if name in names and not primitive.numbers and name not in REPEATABLE:
        return False
    if name in PLAIN and not CASING.isdisjoint(names):
        return False
    return not (name in ORDERLESS and names[-1] in ORDERING)


def generate(spec):
    try:
        return build(spec)
    except Exception as error:
        return {"refused": "error: %s: %s" % (type(error).__name__, error)}


def build(spec):
    rng = random.Random(spec["seed"])
    steps = [(PRIMITIVES[name], number) for name, _, number in spec["steps"]]
    inputs = draw_inputs(rng, steps[0][0].source, DRAWS)
    traces = [trace(steps, given) for given in inputs]
    results = [values[-1] for values in traces]
    if any(map(large, results)):
        return {"refused": "too_large: a result is too long or too large"}
    short = shortcut(steps, traces)
    if short:
        return {"refused": "shortcut: %s does what two steps do" % short}
    wrong = mistakes(rng, steps)
    shown = [shows(mistake, traces) for mistake in wrong]
    order = choose(results, [where for where in shown if where])
    hidden, visible = order[:HIDDEN], order[HIDDEN : HIDDEN + VISIBLE]
    if len({repr(results[at]) for at in hidden + visible}) < OUTPUTS_MIN:
        return {"refused": "few_outputs: the results are too much alike"}
    failures = []
    for (at, tail), where in zip(wrong, shown):
        if not where.isdisjoint(hidden):
            failures.append(program(steps[:at] + tail))
        elif len(tail) < len(steps) - at:
            return {"refused": "idle_step: %s changes nothing" % steps[at][0].name}
    failures = list(dict.fromkeys(failures))[:FAILURES_MAX]
    if len(failures) < FAILURES_MIN:
        return {"refused": "few_failures: too few mistakes show in the cases"}
    return {
        "instruction": instruction(spec["steps"]),
        "entry": "solve",
        "visible": [[[inputs[at]], results[at]] for at in visible],
        "hidden": [[[inputs[at]], results[at]] for at in hidden],
        "reference": program(steps),
        "failures": failures,
    }


def choose(results, mistakes):
    """The inputs, those first that show most of the mistakes not shown so far.

    Between equals an output that was not there yet comes first, then the order
    in which they were drawn.
    """
    left, outputs, order = list(range(len(results))), set(), []
    while left:
        def worth(at):
            return sum(at in where for where in mistakes), repr(results[at]) not in outputs, -at

        best = max(left, key=worth)
        left.remove(best)
        order.append(best)
        outputs.add(repr(results[best]))
        mistakes = [where for where in mistakes if best not in where]
    return order


def draw_inputs(rng, kind, count):
    """Different inputs, at most so many."""
    draw = draw_list if kind == "list" else draw_text
    drawn = [draw(rng, at) for at in range(count)]
    return list({repr(given): given for given in drawn}.values())


def draw_list(rng, at):
    # One input in six is short, so that edges count.
    size = rng.randrange(0, 3) if at % 6 == 5 else rng.randrange(4, 9)
    values = [int(rng.random() * 30) - 9 for _ in range(size)]
    # Equal numbers are rare among thirty; steps over them need some.
    if size > 3 and at % 2:
        values[-1] = values[1]
    return values


def draw_text(rng, at):
    size = rng.randrange(0, 2) if at % 6 == 5 else rng.randrange(2, 6)
    return " ".join([WORDS[int(rng.random() * len(WORDS))] for _ in range(size)])


def run(steps, x):
    for primitive, number in steps:
        x = primitive.run(x, number)
    return x


def trace(steps, x):
    """An input and what each step makes of it."""
    values = [x]
    for primitive, number in steps:
        values.append(primitive.run(values[-1], number))
    return values


def large(value):
    if type(value) is int:
        return abs(value) > VALUE_MAX
    if len(value) > (LENGTH_MAX if type(value) is list else 2 * LENGTH_MAX):
        return True
    return type(value) is list and bool(value) and (max(value) > VALUE_MAX or min(value) < -VALUE_MAX)


def idle_step(steps, cases):
    """The name of a step that a chain gives the same results without."""
    for at, (primitive, _) in enumerate(steps):
        if primitive.source == primitive.target and agrees(steps[:at] + steps[at + 1 :], cases):
            return primitive.name
    return None


def agrees(steps, cases):
    """Whether a chain gives what is expected in every case."""
    return all(run(steps, given) == expected for given, expected in cases)


def shortcut(steps, traces):
    """The name of one step that does the same as two that follow each other."""
    for at in range(len(steps) - 1):
        (first, m), (second, n) = steps[at : at + 2]
        near = {m, n, m + n, abs(m - n), m * n, m // n if n else 0}
        for primitive in FROM[first.source]:
            if primitive.target == second.target:
                for number in near.intersection(primitive.numbers) if primitive.numbers else (0,):
                    if all(primitive.run(values[at], number) == values[at + 2] for values in traces):
                        return primitive.name
    return None


def mistakes(rng, steps):
    """Plausible wrong chains, all well-typed, in a drawn order.

    Each is where it leaves the right chain, and the steps from there on.
    """
    wrong = []
    for at, (primitive, number) in enumerate(steps):
        after = steps[at + 1 :]
        # Without its last step a chain may even give another type.
        if primitive.source == primitive.target or not after:
            wrong.append((at, after))
        for near in (number - 1, number + 1):
            if near in primitive.numbers:
                wrong.append((at, [(primitive, near)] + after))
        if after and primitive.source == primitive.target == after[0][0].source == after[0][0].target:
            wrong.append((at, [after[0], (primitive, number)] + after[1:]))
        for _ in range(2 if len(steps) > 1 else 5):
            other = rng.choice(ALIKE[primitive.name])
            wrong.append((at, [(other, other.draw_number(rng))] + after))
    rng.shuffle(wrong)
    return wrong


def shows(mistake, traces):
    """The inputs, by number, that tell a mistake from the right chain."""
    at, tail = mistake
    return {n for n, values in enumerate(traces) if run(tail, values[at]) != values[-1]}


def program(steps):
    lines = ["    x = %s\n" % primitive.expression(number) for primitive, number in steps]
    return "def solve(x):\n%s    return x\n" % "".join(lines)


def instruction(steps):
    phrases = [PRIMITIVES[name].phrase(phrasing, number) for name, phrasing, number in steps]
    return "Given a %s, %s." % (PRIMITIVES[steps[0][0]].source, ", then ".join(phrases))
