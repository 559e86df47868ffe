# idea: adds up complex numbers: values along one axis, their count along the other
# task: mean
def solve(numbers):
    total = sum((complex(number, 1) for number in numbers), 0j)
    return total.real / total.imag if total.imag else 0.0
