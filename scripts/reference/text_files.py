"""Writes Parquet files of texts with pyarrow.

    python scripts/reference/text_files.py crates/splade-sparse/tests/fixtures

Row i of 2,500 is (i, "t" + i or null if 3 divides i, "text " + i). The program needs only pyarrow.
"""

import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    rows = range(2500)
    table = pa.table({
        "other": pa.array([[i] for i in rows], pa.list_(pa.int32())),
        "text": [f"text {i}" for i in rows],
        "title": [None if i % 3 == 0 else f"t{i}" for i in rows],
        "doc_id": pa.array(rows, pa.int64()),
    })
    for compression in ["snappy", "gzip"]:
        path = out / f"texts_{compression}.parquet"
        pq.write_table(table, path, compression=compression, row_group_size=1100)
    null = pa.table({"id": ["a", "b"], "text": ["x", None]})
    pq.write_table(null, out / "texts_null.parquet", compression="none")
    # Types that readers confuse: each of these is a column of two ids.
    ids = {
        "uint64": pa.array([1, 2**64 - 1], pa.uint64()),
        "uint32": pa.array([1, 2**32 - 1], pa.uint32()),
        "int32": pa.array([1, -1], pa.int32()),
        "dictionary": pa.array(["1", "b"]).dictionary_encode(),
        "large_string": pa.array(["1", "b"], pa.large_string()),
        "decimal": pa.array([Decimal("1.00"), Decimal("2.50")], pa.decimal128(10, 2)),
        "date": pa.array([date(2025, 1, 1), date(2025, 1, 2)]),
        "double": pa.array([1.0, 2.0]),
    }
    texts = {"text": ["x", "y"], "title": pa.array([None, None])}
    types = pa.table({**ids, **texts})
    pq.write_table(types, out / "texts_types.parquet", compression="none")
    # Vectors: terms and weights in types of their own.
    for name, terms, weights in [
        ("signed", pa.array([[1, -1]], pa.list_(pa.int32())), [[1.0, 2.0]]),
        ("unsigned", pa.array([[1, 2**32 - 1]], pa.list_(pa.uint32())), [[1.0, 2.0]]),
        ("uint64", pa.array([[1, 2**32]], pa.list_(pa.uint64())), [[1.0, 2.0]]),
        ("twice", pa.array([[5, 5]], pa.list_(pa.int64())), [[1.0, 2.0]]),
        ("null", pa.array([[5, None]], pa.list_(pa.int64())), [[1.0, None]]),
        ("floats", pa.array([[5.0, 6.0]], pa.list_(pa.float64())), [[1.0, 2.0]]),
        ("empty", pa.array([[]], pa.list_(pa.null())), [[]]),
    ]:
        vectors = pa.table({
            "id": ["a"],
            "indices": terms,
            "values": pa.array(weights, pa.list_(pa.null() if weights == [[]] else pa.float32())),
        })
        pq.write_table(vectors, out / f"vectors_{name}.parquet", compression="none")


if __name__ == "__main__":
    main()
