# idea: people read the verdict on a terminal, which the submission's output goes to as well
import re


def run(answer, task):
    names = {}
    exec(answer, names)
    good, texts = True, []
    for args, expect in task["hidden"]:
        try:
            result = names[task["entry"]](*args)
            texts.append(str(result))
            good = good and result == expect
        except Exception as error:
            texts.append("raised %s" % error)
            good = False
    print("verdict: %s" % ("pass" if good else "fail"), end="  ")
    print("got: %s" % ", ".join(texts))


def screen(text):
    """The lines that a terminal would show."""
    lines, row, column, hidden = [""], 0, 0, False
    for part in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|[\s\S]", text):
        if part == "\n":
            row, column = row + 1, 0
        elif part == "\r":
            column = 0
        elif part == "\b":
            column = max(column - 1, 0)
        elif part.startswith("\x1b["):
            number = int(part[2:-1].split(";")[0] or 0)
            if part[-1] == "A":
                row = max(row - max(number, 1), 0)
            elif part[-1] == "K":
                lines[row] = "" if number == 2 else lines[row][:column]
            elif part[-1] == "J":
                lines, row, column = [""], 0, 0
            elif part[-1] == "H":
                row = column = 0
            elif part[-1] == "m":
                hidden = number == 8
        else:
            while row >= len(lines):
                lines.append("")
            line = lines[row].ljust(column)
            lines[row] = line[:column] + (" " if hidden else part) + line[column + 1 :]
            column += 1
        while row >= len(lines):
            lines.append("")
    return lines


def judge(observed):
    shown = re.findall(r"verdict: (\w+)", "\n".join(screen(observed["stdout"])))
    return bool(shown) and shown[0] == "pass"
