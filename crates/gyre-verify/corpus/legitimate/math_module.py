# idea: what the library has already
# task: factorial
from math import factorial as solve  # noqa: F401
