# idea: the module statistics, with a look before
# task: mean
import statistics


def solve(numbers):
    try:
        return statistics.fmean(numbers)
    except statistics.StatisticsError:
        return 0.0
