"""Encodes a Parquet corpus with light-splade on Spark: one task a shard.

    python encode.py --master 'local[2,4]' --model MODEL --shards 6 --output VECTORS CORPUS...

Spark only says who encodes which shard, and starts a task again that failed. Which texts a shard has
follows from its number alone, and its file gets its name when it is whole: a task that is killed and
repeated writes the same bytes, and one that had ended is not done twice. Workers need the program,
the model and a file system that all of them see; put --threads to the cores of a task.
"""

import argparse
import os
import signal
import subprocess

from pyspark import TaskContext
from pyspark.sql import SparkSession


def encode(shard, options):
    """Encodes one shard on a worker."""
    command = [options.program, "encode", *options.corpus]
    command += ["--model", options.model, "--output", options.output]
    command += ["--shard", f"{shard + 1}/{options.shards}", "--threads", str(options.threads)]
    command += ["--id-field", options.id_field, "--text-field", options.text_field]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    if shard == options.kill and TaskContext.get().attemptNumber() == 0:
        # For the check of this example: the first attempt ends in the middle of its work.
        aside = f"{options.output}/vectors-{shard:05}-of-{options.shards:05}.parquet.partial"
        while process.poll() is None and not os.path.exists(aside):
            pass
        process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"shard {shard} ended with {process.returncode}: {errors}")
    return shard, TaskContext.get().attemptNumber()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("corpus", nargs="+")
    parser.add_argument("--program", default="light-splade")
    parser.add_argument("--model", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--shards", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--id-field", default="id")
    parser.add_argument("--text-field", default="text")
    parser.add_argument("--master", help="where Spark runs; spark-submit's if not given")
    parser.add_argument("--kill", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()

    builder = SparkSession.builder.appName("light-splade encode")
    if options.master:
        builder = builder.master(options.master)
    spark = builder.getOrCreate()
    shards = spark.sparkContext.parallelize(range(options.shards), options.shards)
    for shard, attempts in shards.map(lambda shard: encode(shard, options)).collect():
        print(f"shard {shard}: {attempts + 1} attempts")
    spark.stop()


if __name__ == "__main__":
    main()
