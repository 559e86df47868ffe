# idea: asks for date and time, and prints them
# task: factorial
import datetime
import time


def solve(n):
    print(datetime.datetime.now().isoformat(), time.perf_counter())
    product = 1
    for day in range(n):
        product *= (datetime.timedelta(days=day + 1)).days
    return product
