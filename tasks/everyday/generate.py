"""Generates short programs of everyday kinds.

`compose` draws a kind and a variant; the variant's names are the composition,
so that a held-out variant is never trained on with other numbers.
`generate` draws inputs, runs the reference for what is expected, and keeps the
mistakes that show in the hidden cases.
"""

import copy
import random

import algorithms
import dates
import grouping
import parsing
import texts
from kit import fill, load, same

KINDS = {}
for module in (parsing, dates, texts, grouping, algorithms):
    KINDS.update(module.KINDS)

VISIBLE = 3
HIDDEN = 8
DRAWS_MAX = 60

OPENERS = (
    "Write a function solve(@signature@) that @asks@.",
    "Define solve(@signature@): a function that @asks@.",
    "In Python, write solve(@signature@). It is a function that @asks@.",
)


def compose(seed, difficulty, options):
    rng = random.Random(seed)
    names = sorted(name for name, kind in KINDS.items() if kind.levels[0] <= difficulty <= kind.levels[1])
    weights = options.get("weights", {})
    name = rng.choices(names, [max(float(weights.get(name, 1.0)), 0.01) for name in names])[0]
    variant = KINDS[name].choose(rng, difficulty)
    parts = ["%s=%s" % (axis, value) for axis, value in sorted(variant.items())]
    return {
        "composition": [name] + parts,
        "skills": [name] + [name + "/" + part for part in parts],
        "spec": {"kind": name, "variant": variant, "level": difficulty, "seed": rng.getrandbits(48)},
    }


def generate(spec):
    rng = random.Random(spec["seed"])
    recipe = KINDS[spec["kind"]].build(spec["variant"], rng, spec["level"])
    cases = draw_cases(recipe, load(recipe.source))
    if len(cases) < VISIBLE + HIDDEN:
        return {"refused": "few_inputs: too few different inputs"}
    # The special inputs come first; the examples are of the ordinary ones.
    cut = len(cases) - VISIBLE
    hidden, visible = cases[:cut], cases[cut:]
    if not various([expected for _, expected in hidden], recipe.outputs):
        return {"refused": "few_outputs: the results are too much alike"}
    failures = [program for program in mistakes(recipe, visible) if fails(program, hidden)]
    if len(failures) < 3:
        return {"refused": "few_failures: too few mistakes show in the cases"}
    opener = rng.choice(OPENERS)
    return {
        "instruction": fill(opener, signature=recipe.signature, asks=recipe.asks),
        "entry": "solve",
        "visible": visible,
        "hidden": hidden,
        "reference": recipe.source,
        "failures": failures,
    }


def draw_cases(recipe, solve):
    cases, seen = [], set()
    inputs = [list(edge) for edge in recipe.edges][: HIDDEN // 2]
    for at in range(DRAWS_MAX):
        arguments = inputs[at] if at < len(inputs) else list(recipe.draw())
        text = repr(arguments)
        if text not in seen:
            seen.add(text)
            cases.append([arguments, solve(*copy.deepcopy(arguments))])
        if len(cases) == VISIBLE + HIDDEN:
            break
    return cases


def various(outputs, wanted):
    texts = [repr(output) for output in outputs]
    commonest = max(texts.count(text) for text in texts)
    return len(set(texts)) >= wanted and commonest <= (len(texts) * 3) // 4


def mistakes(recipe, visible):
    """The recipe's own mistakes, the wrong type, and the examples by heart."""
    programs = []
    for old, new in recipe.mistakes:
        if old not in recipe.source:
            raise AssertionError("no %r in the reference" % old)
        programs.append(recipe.source.replace(old, new, 1))
    wrapper = "\n\n_solve = solve\n\n\ndef solve(*arguments):\n    return %s\n"
    retyped = {int: "float(_solve(*arguments))", list: "tuple(_solve(*arguments))"}
    retyped.update({tuple: "list(_solve(*arguments))", str: "[_solve(*arguments)]"})
    retyped.update({bool: "int(_solve(*arguments))", dict: "list(_solve(*arguments).items())"})
    kind = type(visible[0][1])
    if kind in retyped and all(type(expected) is kind for _, expected in visible):
        programs.append(recipe.source.rstrip("\n") + wrapper % retyped[kind])
    table = ",\n".join("    %r: %r" % (repr(arguments), expected) for arguments, expected in visible)
    default = repr(visible[0][1])
    programs.append(
        "EXAMPLES = {\n%s,\n}\n\n\ndef solve(*arguments):\n"
        "    return EXAMPLES.get(repr(list(arguments)), %s)\n" % (table, default)
    )
    return list(dict.fromkeys(programs))


def fails(program, hidden):
    try:
        solve = load(program)
        for arguments, expected in hidden:
            if not same(solve(*copy.deepcopy(arguments)), expected):
                return True
    except Exception:
        return True
    return False
