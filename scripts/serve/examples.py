"""Runs the curl commands of docs/howto/serve.md, in their order, against a service of its own.

    python scripts/serve/examples.py --binary target/release/light-splade

It needs curl. The exit status is 1 if a command does not get a reply of success.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

from server import ROOT, Server, default_binary, table


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=pathlib.Path)
    arguments = parser.parse_args()
    binary = (arguments.binary or default_binary()).resolve()
    page = (ROOT / "docs/howto/serve.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)
    commands = [command for block in blocks for command in re.split(r"(?<!\\)\n", block) if command]
    rows = []
    with tempfile.TemporaryDirectory() as folder, Server(binary, "--index-root", f"{folder}/root") as server:
        for command in commands:
            asked = command.replace("http://127.0.0.1:3000", server.url).replace("curl -s", "curl -s --fail-with-body")
            run = subprocess.run(["bash", "-c", asked], capture_output=True, text=True)
            path = command.split("http://127.0.0.1:3000", 1)[1].split()[0]
            rows.append((path, run.returncode == 0, run.stdout[:90]))
    return table(rows)


if __name__ == "__main__":
    sys.exit(main())
