"""The command `light-splade` that the wheel installs: the program's output, exit codes and signals."""

import json
import shutil
import signal
import subprocess
import sys
import sysconfig
import time

import pytest

from light_splade_rs import __version__

COMMAND = shutil.which("light-splade", path=sysconfig.get_path("scripts"))

pytestmark = pytest.mark.skipif(COMMAND is None, reason="the package is not installed")


def run(*arguments, **settings):
    return subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=120, **settings)


def test_output_is_the_vectors_of_the_library(encoder):
    done = run("encode", "-t", "東京", "-t", "大阪")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line)["vector"] for line in done.stdout.splitlines()]
    vectors = encoder.encode_document(["東京", "大阪"], return_type="vectors")
    assert rows == [{token: round(weight, 4) for token, weight in row.decode()} for row in vectors]


def test_exit_codes():
    assert run("-V").stdout == f"light-splade {__version__}\n"
    assert run("--version").stdout.startswith(f"light-splade {__version__}")
    assert run("--help").returncode == 0
    wrong = run("encode", "--no-such-option")
    assert wrong.returncode == 2 and "--no-such-option" in wrong.stderr and wrong.stdout == ""
    failed = run("encode", "--model", "/no/such/folder", "-t", "a")
    assert failed.returncode == 1 and failed.stderr.startswith("error: ")


def test_a_reader_that_ends_early_is_no_failure(root):
    command = f"'{COMMAND}' encode '{root}/data/toy-beir/corpus.jsonl' | head -n 1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of Unix")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_stop_it_and_keep_what_is_done(tmp_path, number):
    texts = tmp_path / "texts.txt"
    texts.write_text("日本の首都は東京です。\n" * 200_000, encoding="utf-8")
    out = tmp_path / "vectors"
    process = subprocess.Popen(
        [COMMAND, "encode", str(texts), "-o", str(out), "--shard-rows", "100"],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(out.glob("*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "interrupted" in said and list(out.glob("*.parquet"))


def test_a_pipeline_runs_the_command_itself(tmp_path, root):
    file = tmp_path / "pipeline.yaml"
    corpus = root / "data/toy-beir/queries.jsonl"
    file.write_text(
        f"work: {tmp_path}/work\nsteps:\n  - {{name: encode, run: encode {corpus}, stdout: {tmp_path}/vectors.ndjson}}\n"
    )
    done = run("pipeline", file)
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "vectors.ndjson").read_text().splitlines()) == 72
