def digit_sum(n):
    total = 0
    n = abs(n)
    while n:
        total += n % 10
        n //= 10
    return total
