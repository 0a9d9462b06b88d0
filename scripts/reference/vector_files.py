"""Writes Parquet files of vectors with pyarrow.

    python scripts/reference/vector_files.py crates/splade-sparse/tests/fixtures

The rows are ("7", {3: .5, 30521: 1.25}), ("8", {}), ("9", {0: 2}). The program needs only pyarrow.
"""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    default = pa.table({
        "title": ["a", None, "c"],
        "values": pa.array([[0.5, 1.25], [], [2.0]], pa.list_(pa.float32())),
        "indices": pa.array([[3, 30521], [], [0]], pa.list_(pa.uint32())),
        "id": ["7", "8", "9"],
    })
    pq.write_table(default, out / "pyarrow_default.parquet", compression="zstd")
    wide = pa.table({
        "docid": pa.array([7, 8, 9], pa.int64()),
        "indices": pa.array([[30521, 3], None, [0]], pa.large_list(pa.int64())),
        "values": pa.array([[1.25, 0.5], None, [2.0]], pa.large_list(pa.float64())),
    })
    pq.write_table(wide, out / "pyarrow_wide.parquet", compression="none", row_group_size=2)
    null = default.set_column(3, "id", pa.array(["7", None, "9"]))
    pq.write_table(null, out / "pyarrow_null_id.parquet", compression="none")


if __name__ == "__main__":
    main()
