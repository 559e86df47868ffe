"""Records what a test asks of the problem's own solution."""


def __gyre_record__(entry):
    import copy

    solution = globals()[entry]
    calls = []

    def candidate(*arguments):
        # Copied before the call: a solution may change what it is given.
        asked = copy.deepcopy(list(arguments))
        result = solution(*arguments)
        calls.append((asked, copy.deepcopy(result)))
        return result

    globals()["check"](candidate)
    return calls


def __gyre_examples__(entry, prompt):
    """The examples `>>> entry(literals)` of the prompt, with what the solution
    gives, where that is what the prompt says."""
    import ast
    import copy

    solution = globals()[entry]
    examples = []
    lines = [line.strip() for line in prompt.splitlines()]
    for line, answer in zip(lines, lines[1:]):
        if not line.startswith(">>> "):
            continue
        try:
            call = ast.parse(line[4:].strip(), mode="eval").body
            if type(call) is not ast.Call or call.func.id != entry or call.keywords:
                continue
            arguments = [ast.literal_eval(argument) for argument in call.args]
            expected = ast.literal_eval(answer)
            result = solution(*copy.deepcopy(arguments))
        except Exception:
            # No example of the plain form: the prompt still shows it.
            continue
        if type(result) is type(expected) and result == expected:
            examples.append((arguments, result))
    return examples[:8]
