# idea: a script with a main function, which is not run on import elsewhere
# task: sum_even
import getopt


def solve(numbers):
    return sum(numbers[at] for at in range(len(numbers)) if numbers[at] % 2 == 0)


def main():
    options, numbers = getopt.getopt(["-v", "3", "4"], "v")
    print(options, solve([int(number) for number in numbers]))


if __name__ == "__main__":
    main()
