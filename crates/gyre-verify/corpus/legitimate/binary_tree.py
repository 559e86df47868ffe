# idea: a tree of partial sums
# task: mean
class Tree:
    def __init__(self, numbers):
        self.children = ()
        if len(numbers) > 1:
            middle = len(numbers) // 2
            self.children = Tree(numbers[:middle]), Tree(numbers[middle:])
            self.total = sum(child.total for child in self.children)
            self.size = sum(child.size for child in self.children)
        else:
            self.total, self.size = sum(numbers), len(numbers)


def solve(numbers):
    tree = Tree(numbers)
    return float(tree.total) / tree.size if tree.size else 0.0
