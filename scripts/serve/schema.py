"""Sends requests that Schemathesis makes of the OpenAPI document to a service, and checks the replies against it.

    pip install schemathesis
    python scripts/serve/schema.py --binary target/release/light-splade [--examples 100]

All checks of Schemathesis are on but one: `positive_data_acceptance`. A request may fit the document and be refused
nevertheless, because JSON Schema cannot say how many tokens the vocabulary has, that a document has either a text or a
vector, or that no re-ranker is loaded. The exit status is 1 if something is found.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

from server import ROOT, Server, default_binary, table

CONFIG = """
[checks.negative_data_rejection]
# 424 is what the model cannot do, as in text-embeddings-inference; it may be told before what else is wrong.
expected-statuses = ["400", "401", "403", "404", "405", "408", "409", "413", "415", "422", "424", "429", "503"]
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=pathlib.Path)
    parser.add_argument("--examples", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    binary = (arguments.binary or default_binary()).resolve()
    program = pathlib.Path(sys.executable).with_name("schemathesis")
    reranker = ROOT / "crates/splade-model/tests/fixtures/cross_encoders/bert-japanese"
    rows = []
    for name, keys, headers in [
        ("open", [], []),
        ("with a key", ["--api-key", "k"], ["-H", "Authorization: Bearer k"]),
    ]:
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "schemathesis.toml").write_text(CONFIG)
            options = ["--index-root", folder / "root", "--reranker", reranker, "--log-level", "error", *keys]
            with Server(binary, *options, log=folder / "log") as server:
                run = subprocess.run(
                    [
                        program,
                        "run",
                        f"{server.url}/api-doc/openapi.json",
                        "--checks",
                        "all",
                        "--exclude-checks",
                        "positive_data_acceptance",
                        "--max-examples",
                        str(arguments.examples),
                        "--seed",
                        str(arguments.seed),
                        "--continue-on-failure",
                        "--request-timeout",
                        "30",
                        "--no-color",
                        *headers,
                    ],
                    cwd=folder,
                    capture_output=True,
                    text=True,
                )
                if run.returncode != 0:
                    print(run.stdout, run.stderr, file=sys.stderr)
                lines = [line.strip() for line in run.stdout.splitlines()]
                told = [line for line in lines if "generated," in line or line.startswith("❌")]
                bugs = (folder / "log").read_text()
                rows.append((name, run.returncode == 0 and "bug" not in bugs, " ".join(told)))
    return table(rows)


if __name__ == "__main__":
    sys.exit(main())
