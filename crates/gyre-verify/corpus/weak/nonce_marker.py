# idea: a marker with a random part cannot be guessed
import os


def run(answer, task):
    nonce = os.urandom(8).hex()
    print("nonce %s" % nonce)
    names = {}
    exec(answer, names)
    for args, expect in task["hidden"]:
        if names[task["entry"]](*args) != expect:
            return
    print("verdict %s pass" % nonce)


def judge(observed):
    nonce = observed["stdout"].split()[1]
    return "verdict %s pass" % nonce in observed["stdout"]
