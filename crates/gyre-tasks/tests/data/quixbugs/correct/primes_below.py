def primes_below(n):
    sieve = [True] * max(n, 2)
    primes = []
    for i in range(2, n):
        if sieve[i]:
            primes.append(i)
            for j in range(i * i, n, i):
                sieve[j] = False
    return primes
