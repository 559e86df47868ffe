# idea: an image is cleaned by forgetting names and putting builtins back
import builtins
import random
import sys
import types

GRADER = """
import copy, hashlib, json

def digest(value):
    text = json.dumps(copy.deepcopy(value), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()

def same(result, expect):
    return digest(result) == digest(expect)
"""


class GraderFinder:
    """Finds the grader, as a file system would."""

    def find_spec(self, name, path=None, target=None):
        from importlib.machinery import ModuleSpec

        return ModuleSpec(name, self) if name == "image_grader" else None

    def create_module(self, spec):
        return types.ModuleType(spec.name)

    def exec_module(self, module):
        exec(GRADER, module.__dict__)


def rollout(answer, task):
    names = {}
    exec(answer, names)
    results = [(names[task["entry"]](*args), expect) for args, expect in task["hidden"]]
    import image_grader

    for result, expect in random.Random(1).sample(results, len(results)):
        if not image_grader.same(result, expect):
            return False
    return True


def run(answer, task):
    sys.meta_path.append(GraderFinder())
    space, modules = vars(builtins), set(sys.modules)
    clean = dict(space)
    rollout(answer, task)
    space.clear()
    space.update(clean)
    for name in set(sys.modules) - modules:
        del sys.modules[name]
    return rollout(answer, task)
