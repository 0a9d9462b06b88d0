"""Checks the example: Spark's shards, with one task killed, equal a single process's vectors.

    python examples/spark/check.py target/release/light-splade

Installs PySpark into a folder of the user's cache; needs Java 17 or later. Not part of ./test.
"""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PACKAGES = ["pyspark==4.0.1", "pyarrow"]
SHARDS, KILLED = 6, 2


def python():
    """The interpreter that has PySpark."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(cache) / "light-splade-spark-example"
    interpreter = folder / "bin" / "python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True)
        subprocess.run([interpreter, "-m", "pip", "install", "-q", *PACKAGES], check=True)
        (folder / "ready").touch()
    return interpreter


def check(program):
    """Runs in the interpreter that has PySpark."""
    import pyarrow.parquet as parquet
    from pyspark.sql import SparkSession

    model = str(ROOT / "models" / "demo")
    with tempfile.TemporaryDirectory() as scratch:
        corpus, single, vectors = (f"{scratch}/{name}" for name in ["corpus", "single", "vectors"])
        spark = SparkSession.builder.master("local[2]").getOrCreate()
        topics = ["朝の電車で東京へ", "cheap travel by train", "雨の日の天気", "a walk in the hills"]
        rows = [(f"d{i}", f"{topics[i % 4]} {i} {topics[i % 3]}") for i in range(5000)]
        spark.createDataFrame(rows, "key string, body string").repartition(3).write.parquet(corpus)
        spark.stop()

        fields = ["--id-field", "key", "--text-field", "body"]
        call = [program, "encode", corpus, "--model", model, "--output", single, *fields]
        subprocess.run(call, check=True, capture_output=True)

        call = [sys.executable, str(HERE / "encode.py"), corpus, "--program", program]
        call += ["--model", model, "--output", vectors, "--shards", str(SHARDS), *fields]
        call += ["--master", "local[2,4]", "--kill", str(KILLED)]
        said = subprocess.run(call, check=True, capture_output=True, text=True).stdout
        print(said, end="")
        assert f"shard {KILLED}: 2 attempts" in said, "the task was not repeated"

        files = sorted(Path(vectors).iterdir())
        names = [f"vectors-{i:05}-of-{SHARDS:05}.parquet" for i in range(SHARDS)]
        assert [file.name for file in files] == names, files
        want = {row["id"]: row for row in parquet.read_table(single + "/vectors-00000.parquet").to_pylist()}
        got = [row for file in files for row in parquet.read_table(file).to_pylist()]
        assert len(got) == len(want) == len(rows), (len(got), len(want))
        assert all(row == want[row["id"]] for row in got), "vectors differ"

        # The killed shard again, by itself: the same bytes.
        killed = files[KILLED]
        bytes_of_task = killed.read_bytes()
        killed.unlink()
        call = [program, "encode", corpus, "--model", model, "--output", vectors, *fields]
        subprocess.run(call + ["--shard", f"{KILLED + 1}/{SHARDS}"], check=True, capture_output=True)
        assert killed.read_bytes() == bytes_of_task, "the bytes differ"
    print(f"{len(got)} vectors of {SHARDS} shards equal those of one process")


if __name__ == "__main__":
    if sys.argv[1] == "--inside":
        check(sys.argv[2])
    else:
        program = str(Path(sys.argv[1]).resolve())
        sys.exit(subprocess.run([python(), __file__, "--inside", program]).returncode)
