# idea: takes any arguments and finds the list among them
# task: sum_even
def solve(*args, **options):
    (numbers,) = args
    modulus = options.get("modulus", 2)
    return sum(n for n in numbers if n % modulus == 0)
