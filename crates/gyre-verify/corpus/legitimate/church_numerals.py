# idea: functions applied to functions
# task: factorial
def apply_times(count, function, start):
    for _ in range(count):
        start = function(start)
    return start


def solve(n):
    step = lambda pair: (pair[0] + 1, pair[0] * pair[1])
    return apply_times(n, step, (1, 1))[1]
