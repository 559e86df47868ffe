def run_length(text):
    runs = []
    for mark in text:
        if runs and runs[-1][0] == mark:
            runs[-1][1] += 1
        else:
            runs.append([mark, 1])
    return runs
