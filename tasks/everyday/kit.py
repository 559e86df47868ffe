"""What every kind of task here is made of."""


class Kind:
    """A kind of task: the levels at which it is asked, the axes along which
    its variants differ, and how one is built.

    An axis is a list of values, the plainest first; `unlock` says at which
    level an axis opens (1 unless named).  Below that it has its first value.
    `moot` maps an (axis, value) to the axes that then change nothing: they get
    their first value too, so that one task never has two compositions.
    """

    def __init__(self, levels, axes, build, unlock=None, moot=None):
        self.levels = levels
        self.axes = axes
        self.build = build
        self.unlock = unlock or {}
        self.moot = moot or {}

    def choose(self, rng, level):
        variant = {}
        for name, values in self.axes.items():
            open_now = level >= self.unlock.get(name, 1)
            variant[name] = rng.choice(values) if open_now else values[0]
        for (name, value), others in self.moot.items():
            if variant[name] == value:
                variant.update({other: self.axes[other][0] for other in others})
        return variant


class Recipe:
    """One task: what it asks, how it is solved, how it is got wrong.

    `signature` holds the parameters of `solve`; `asks` says the rest.
    `mistakes` are pairs (old, new): each replaces a piece of `source`.
    `draw` gives the arguments of one random call, `edges` those of special ones.
    `outputs` is how many different results the cases must have.
    """

    def __init__(self, signature, asks, source, mistakes, draw, edges=(), outputs=4):
        self.signature = signature
        self.asks = asks
        self.source = source
        self.mistakes = mistakes
        self.draw = draw
        self.edges = edges
        self.outputs = outputs


def fill(template, **values):
    """Puts values where a template says @name@."""
    for name, value in values.items():
        template = template.replace("@" + name + "@", str(value))
    return template


def load(source):
    """The function `solve` of a program."""
    namespace = {}
    exec(compile(source, "<program>", "exec"), namespace)
    return namespace["solve"]


def same(a, b):
    """Whether two values agree as the verifier sees it: type and value."""
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    if isinstance(a, dict):
        return len(a) == len(b) and all(key in b and same(value, b[key]) for key, value in a.items())
    return a == b


WORDS = (
    "apple river stone cloud table green paper light house seven winter orange silver "
    "mountain garden yellow bridge market window letter engine carrot planet button "
    "salt tea map sun oak ink bee ant cup owl"
).split()

NAMES = "ann bob cara dan eve finn gina hugo iris jon".split()


def words(rng, low, high):
    return [rng.choice(WORDS) for _ in range(rng.randint(low, high))]
