# idea: Legendre's formula for each prime
# task: factorial
def primes(n):
    return [p for p in range(2, n + 1) if all(p % q for q in range(2, int(p**0.5) + 1))]


def solve(n):
    product = 1
    for p in primes(n):
        power, exponent = p, 0
        while power <= n:
            exponent += n // power
            power *= p
        product *= p**exponent
    return product
