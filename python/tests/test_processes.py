"""Threads, processes, signals and the interpreter's lock."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from light_splade_rs import SparseEncoder

TEXTS = [f"日本の首都は東京です。 {at}" for at in range(40)]


def vectors_of(encoder):
    return encoder.encode_document(TEXTS, return_type="vectors")


def test_threads_share_an_encoder(encoder):
    want = vectors_of(encoder)
    with ThreadPoolExecutor(4) as pool:
        assert all(got == want for got in pool.map(lambda _: vectors_of(encoder), range(8)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_encodes(encoder):
    # The parent's threads are not in the child, which would wait for them forever.
    want = vectors_of(encoder)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        results = pool.map_async(vectors_of, [encoder] * 2).get(timeout=120)
    assert results == [want] * 2
    child = os.fork()
    if child == 0:
        same = False
        try:
            same = vectors_of(encoder) == want
        finally:
            os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_other_threads_run_while_texts_are_encoded(demo):
    encoder = SparseEncoder(demo, threads=1)
    texts = TEXTS * 100
    ticks, done = [], threading.Event()

    def encode():
        encoder.encode_document(texts, return_type="vectors")
        done.set()

    thread = threading.Thread(target=encode)
    thread.start()
    while not done.wait(0.001):
        ticks.append(time.monotonic())
    thread.join()
    assert len(ticks) > 3, "the interpreter was not released"


def test_ctrl_c_stops_encoding(tmp_path):
    program = """
import os, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
from light_splade_rs import SparseEncoder
encoder = SparseEncoder("mini-ja-en")
begun = threading.Event()
def tell(kind, values):
    if values.get("done"):
        os.kill(os.getpid(), signal.SIGINT)
try:
    encoder.encode_document(["東京"] * 10_000_000, return_type="vectors", callback=tell)
except KeyboardInterrupt as error:
    print("stopped:", error.__cause__)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stdout == "stopped: stopped; nothing is kept\n", done.stderr


def test_importing_is_light():
    program = """
import sys, light_splade_rs
light_splade_rs.SparseEncoder, light_splade_rs.Index, light_splade_rs.CrossEncoder
heavy = [name for name in ("torch", "scipy", "transformers", "tqdm", "pandas") if name in sys.modules]
assert not heavy, heavy
assert light_splade_rs.__version__
assert set(light_splade_rs.__all__) <= set(dir(light_splade_rs))
for name in light_splade_rs.__all__:
    getattr(light_splade_rs, name)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_notes_go_to_the_log(demo, caplog, tmp_path):
    import logging

    from light_splade_rs import encode_files

    with caplog.at_level(logging.INFO, logger="light_splade_rs"):
        long = "東京" * 100
        encode_files(demo, {"a": long}, tmp_path / "v.ndjson")
    assert "cut off" in caplog.text or "truncated" in caplog.text


def test_a_progress_bar(demo, capsys):
    SparseEncoder(demo).encode_document(TEXTS, show_progress_bar=True, return_type="vectors")
    shown = capsys.readouterr().err
    assert "texts: 40/40" in shown and shown.endswith("\n")
