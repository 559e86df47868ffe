"""Prepares a session for a family's generator: its modules and its options."""


def __gyre_prepare__(sources, options):
    import importlib.machinery
    import sys

    class Neighbours:
        """Finds the Python files beside generate.py, which are no files here."""

        def find_spec(self, name, path=None, target=None):
            if name in sources:
                return importlib.machinery.ModuleSpec(name, self)
            return None

        def create_module(self, spec):
            return None

        def exec_module(self, module):
            name = module.__name__
            exec(compile(sources[name], name + ".py", "exec"), module.__dict__)

    sys.meta_path.insert(0, Neighbours())
    globals()["__gyre_options__"] = options


def __gyre_compose__(seed, difficulty):
    return compose(seed, difficulty, __gyre_options__)
