"""Takes every configuration through what people do with rows, and compares.

One line each: the configuration, the way, and `ok` or what differs.
"""

import json
import math
import sys
import tempfile
from pathlib import Path

import datasets
import duckdb
import numpy
import pandas
import polars
import pyarrow.parquet

datasets.disable_progress_bars()


def plain(value):
    """Values as Python's own, with nothing rounded."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, numpy.ndarray)):
        return [plain(item) for item in value]
    if isinstance(value, numpy.generic):
        value = value.item()
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return value


def texts(value, json_columns):
    """JSON columns as the objects that their texts stand for."""
    return {
        name: [json.loads(item) for item in items] if name in json_columns else items
        for name, items in plain(value).items()
    }


def main(root):
    for name in ["records", "groups", "sft", "sft_tools", "prompt_completion"]:
        loaded = datasets.load_dataset(root, name, split="train")
        json_columns = [
            column
            for column, feature in loaded.features.items()
            if isinstance(feature, datasets.List) and isinstance(feature.feature, datasets.Json)
        ]
        files = sorted(loaded.info.download_checksums or {}) or [
            str(path)
            for path in sorted(Path(root, "data" if name == "records" else name).glob("*.parquet"))
        ]
        expected = [plain(row) for row in loaded]
        raw = [row for file in files for row in pyarrow.parquet.read_table(file).to_pylist()]
        assert [texts(row, json_columns) for row in raw] == expected, "datasets itself"
        for row in expected[:50]:
            assert not any(isinstance(v, int) and v >= 2**63 for v in row.values())

        def report(way, rows):
            rows = list(rows)
            ok = len(rows) == len(expected)
            for ours, theirs in zip(expected, rows):
                bad = [key for key in ours if ours[key] != theirs.get(key)]
                if bad:
                    ok = False
                    print(name, way, {key: (ours[key], theirs.get(key)) for key in bad})
                    break
            if ok:
                print(name, way, "ok")

        def without(row):
            row = plain(row)
            assert row.pop("added") == 1
            return row

        report("map", (without(row) for row in loaded.map(lambda row: dict(row, added=1))))
        # What a message may hold cannot be told from other messages.
        features = loaded.features if json_columns else None
        again = datasets.Dataset.from_list(loaded.to_list(), features=features)
        report("from_list", map(plain, again))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, f"{name}.jsonl")
            loaded.to_json(str(file))
            lines = [json.loads(line) for line in file.read_text().splitlines()]
            assert lines == expected, "JSON Lines themselves"
            again = datasets.load_dataset("json", data_files=str(file), split="train")
            report("to_json", map(plain, again))
        frame = pandas.concat([pandas.read_parquet(file) for file in files])
        report("pandas", (texts(row, json_columns) for row in frame.to_dict("records")))
        frame = polars.read_parquet(files)
        report("polars", (texts(row, json_columns) for row in frame.iter_rows(named=True)))
        query = duckdb.sql(f"SELECT * FROM read_parquet({files!r})")
        rows = (dict(zip(query.columns, row)) for row in query.fetchall())
        report("duckdb", (texts(row, json_columns) for row in rows))


if __name__ == "__main__":
    main(sys.argv[1])
