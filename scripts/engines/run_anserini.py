"""Runs Lucene by Anserini on an export: python run_anserini.py EXPORT. The jar is in a wheel of Pyserini, which is
downloaded once. The program needs Java 11 or newer."""

import pathlib
import subprocess
import sys
import tempfile
import zipfile

from common import EXPORT, answer

VERSION = "0.25.0"
CACHE = pathlib.Path.home() / ".cache" / "light-splade-engines" / "anserini"
JAR = f"anserini-{VERSION}-fatjar.jar"


def jar():
    if not (CACHE / JAR).is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, f"pyserini=={VERSION}"]
            subprocess.run(pip, check=True, stdout=sys.stderr)
            with zipfile.ZipFile(next(pathlib.Path(folder).glob("*.whl"))) as wheel:
                part = CACHE / "part"
                part.write_bytes(wheel.read(f"pyserini/resources/jars/{JAR}"))
                part.rename(CACHE / JAR)
    return CACHE / JAR


def java(main, *arguments):
    command = ["java", "-Xmx1g", "-cp", jar(), f"io.anserini.{main}", *arguments]
    subprocess.run(command, check=True, stdout=sys.stderr)


with tempfile.TemporaryDirectory() as folder:
    work = pathlib.Path(folder)
    (work / "documents").mkdir()
    for path in EXPORT.glob("documents-*.jsonl"):
        (work / "documents" / path.name).symlink_to(path.resolve())
    # The topic reader needs ids that are numbers.
    topics = [line.split("\t", 1) for line in (EXPORT / "topics.tsv").read_text(encoding="utf-8").splitlines()]
    numbered = "".join(f"{n}\t{text}\n" for n, (_, text) in enumerate(topics))
    (work / "topics.tsv").write_text(numbered, encoding="utf-8")
    java("index.IndexCollection", "-collection", "JsonVectorCollection", "-generator",
         "DefaultLuceneDocumentGenerator", "-impact", "-pretokenized", "-input", work / "documents",
         "-index", work / "index", "-threads", "1")
    java("search.SearchCollection", "-index", work / "index", "-topics", work / "topics.tsv", "-topicReader",
         "TsvInt", "-impact", "-pretokenized", "-hits", "10", "-output", work / "run.txt")
    found = {}
    for line in (work / "run.txt").read_text().splitlines():
        number, _, document, _, score, _ = line.split()
        found.setdefault(topics[int(number)][0], []).append((document, float(score)))
answer(f"Anserini {VERSION}", found)
