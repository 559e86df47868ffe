"""Says which documents JSON Schemas take, by Python's `jsonschema`.

Usage: schema.py CASES.json, where CASES.json is a list of [schema, documents];
prints a list of lists of booleans. Numbers are read as decimals: nothing rounds.
"""

import decimal
import json
import re
import sys

from jsonschema import Draft202012Validator, ValidationError, validators

# Enough for 1e300 and some digits behind the point.
decimal.getcontext().prec = 400


def is_integer(_, value):
    if isinstance(value, bool):
        return False
    whole = isinstance(value, decimal.Decimal) and value == value.to_integral_value()
    return whole or isinstance(value, int)


def pattern(validator, wanted, value, _):
    # As in ECMA 262, `\w` and `\d` are about ASCII.
    if validator.is_type(value, "string") and not re.search(wanted, value, re.ASCII):
        yield ValidationError(f"{value!r} does not match {wanted!r}")


Validator = validators.extend(
    Draft202012Validator,
    validators={"pattern": pattern},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", is_integer),
)
with open(sys.argv[1], encoding="utf-8") as file:
    cases = json.load(file, parse_float=decimal.Decimal)
taken = [[Validator(schema).is_valid(one) for one in documents] for schema, documents in cases]
json.dump(taken, sys.stdout)
