"""Loads a dataset folder with four libraries and prints what each one saw.

One line a library: its name, the number of rows, and a SHA-256 over some
columns of every row, in order.
"""

import hashlib
import sys
from pathlib import Path

import datasets
import duckdb
import pandas
import polars

COLUMNS = [
    "rollout_id",
    "round",
    "seed",
    "checkpoint_id",
    "messages",
    "turns",
    "reward",
    "skills",
]


def line(row):
    messages = list(row["messages"])
    calls = [m for m in messages if m["tool_calls"] is not None]
    assert all(isinstance(m["tool_calls"], str) for m in calls), "tool calls are JSON text"
    checkpoint = row["checkpoint_id"]
    values = [
        row["rollout_id"],
        int(row["round"]),
        int(row["seed"]),
        checkpoint if isinstance(checkpoint, str) else "none",
        len(messages),
        len(calls),
        messages[-1]["content"] if messages else "",
        sum(int(token) for turn in row["turns"] for token in turn["tokens"]),
        sum(bool(turn["is_branch"]) for turn in row["turns"]),
        round(row["reward"] * 100),
        ",".join(row["skills"]),
    ]
    return "|".join(str(value) for value in values) + "\n"


def report(name, rows):
    digest, count = hashlib.sha256(), 0
    for row in rows:
        digest.update(line(row).encode())
        count += 1
    print(name, count, digest.hexdigest())


def main(root):
    files = [str(path) for path in sorted(Path(root, "data").glob("*.parquet"))]
    report("datasets", datasets.load_dataset(root, "records", split="train").select_columns(COLUMNS))

    frame = pandas.concat([pandas.read_parquet(f, columns=COLUMNS) for f in files])
    report("pandas", frame.to_dict("records"))

    report("polars", polars.read_parquet(files, columns=COLUMNS).iter_rows(named=True))

    query = duckdb.sql(f"SELECT {', '.join(COLUMNS)} FROM read_parquet({files!r})")
    report("duckdb", (dict(zip(COLUMNS, row)) for row in query.fetchall()))


if __name__ == "__main__":
    main(sys.argv[1])
