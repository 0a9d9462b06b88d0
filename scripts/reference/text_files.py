"""Writes Parquet files of texts with pyarrow.

    python scripts/reference/text_files.py crates/splade-sparse/tests/fixtures

Row i of 2,500 is (i, "t" + i or null if 3 divides i, "text " + i). The program needs only pyarrow.
"""

import sys
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


if __name__ == "__main__":
    main()
