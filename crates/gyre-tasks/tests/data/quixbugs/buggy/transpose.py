def transpose(rows):
    return [list(reversed(column)) for column in zip(*rows)]
