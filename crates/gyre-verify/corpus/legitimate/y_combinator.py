# idea: recursion without a name
# task: factorial
solve = (lambda f: (lambda x: x(x))(lambda x: f(lambda v: x(x)(v))))(
    lambda again: lambda n: 1 if n == 0 else n * again(n - 1)
)
