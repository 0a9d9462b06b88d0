"""Attacks a service of its own and checks that it answers well, loses nothing and stays small.

    python scripts/serve/attack.py --binary target/release/light-splade [--only NAME,NAME]

It needs nothing but Python 3.11 and Linux, and sends requests to 127.0.0.1 only. Each attack starts a service, in a
folder of its own. `full_disk` mounts a small file system and needs the right to do so. The exit status is 1 if an
attack succeeds.
"""

import argparse
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from server import ROOT, Server, default_binary, table

ATTACKS = {}
HEAD = b"POST /embed_sparse HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
TEXTS = ["東京の天気は晴れです。", "The capital of Japan is Tokyo.", "大阪万博は2025年に開催されます。"]


def attack(function):
    ATTACKS[function.__name__] = function
    return function


class Failed(Exception):
    """What an attack found."""


def check(holds, what):
    if not holds:
        raise Failed(what)


def post(body, extra=b""):
    """Returns the bytes of a request."""
    return HEAD + extra + b"Content-Length: %d\r\n\r\n" % len(body) + body


def read_reply(connection):
    """Reads what comes until the end of the connection, and returns the status; 0 if nothing comes."""
    data = b""
    try:
        while chunk := connection.recv(65536):
            data += chunk
    except OSError:
        pass
    return int(data.split(b" ", 2)[1]) if data.startswith(b"HTTP/") else 0


def in_threads(count, work):
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def well(server):
    """Fails unless the service still encodes."""
    status, _, body = server.ask("POST", "/embed_sparse", {"inputs": TEXTS[0]})
    check(status == 200 and body[0], f"an honest request got {status}")


def metric(server, name):
    for line in server.ask("GET", "/metrics")[2].decode().splitlines():
        if line.startswith(name):
            return float(line.split()[-1])
    raise Failed(f"there is no metric {name}")


@attack
def slow_headers(binary, folder):
    """Clients that send their headers byte by byte hold every connection."""
    with Server(binary, "--max-connections", 32, "--read-timeout", 2) as server:
        start = time.monotonic()
        slow = [server.connect() for _ in range(32)]
        stop = threading.Event()

        def drip():
            while not stop.is_set():
                for connection in slow:
                    with contextlib.suppress(OSError):
                        connection.send(b"G")
                time.sleep(0.2)

        thread = threading.Thread(target=drip)
        thread.start()
        well(server)
        waited = time.monotonic() - start
        stop.set()
        thread.join()
        check(waited < 8, f"an honest request waited for {waited:.1f} s")
        return f"an honest request waited {waited:.1f} s for 32 slow ones on 32 connections"


@attack
def slow_bodies(binary, folder):
    """Clients that send their bodies byte by byte hold all memory for bodies."""
    with Server(binary, "--read-timeout", 2, "--payload-limit", 10_000) as server:
        slow = [server.connect() for _ in range(64)]
        for connection in slow:
            connection.sendall(HEAD + b"Content-Length: 10000\r\n\r\n{")
        time.sleep(0.5)
        refused = server.ask("POST", "/embed_sparse", {"inputs": "x" * 200})[0]
        check(refused == 429, f"a request beyond the memory for bodies got {refused}")
        statuses = {read_reply(connection) for connection in slow}
        check(statuses == {408}, f"slow bodies got {statuses}")
        well(server)
        return "429 while the memory for bodies is full, 408 for the slow ones, then well"


@attack
def no_reading(binary, folder):
    """Clients ask for large replies and do not read them."""
    with Server(binary, "--write-timeout", 2) as server:
        before = server.megabytes()
        body = json.dumps({"inputs": TEXTS * 10, "normalize": False}).encode()
        request = post(body).replace(b"/embed_sparse", b"/embed") * 20
        deaf = []
        for _ in range(24):
            connection = server.connect()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.setblocking(False)
            with contextlib.suppress(OSError):
                connection.send(request)
            deaf.append(connection)
        most, until = 0, time.monotonic() + 60
        while time.monotonic() < until:
            most = max(most, server.megabytes())
            if open_connections(server) == 0:
                break
            time.sleep(0.1)
        check(open_connections(server) == 0, "connections of clients that do not read stay open")
        well(server)
        check(most - before < 400, f"the memory grew by {most - before:.0f} MB")
        return f"all dropped; memory grew from {before:.0f} to {most:.0f} MB"


def open_connections(server):
    """Returns the number of connections that the service has open, by the file descriptors of its process."""
    listening = 2  # The socket that listens may be there twice while a child process is started.
    links = pathlib.Path(f"/proc/{server.process.pid}/fd").iterdir()
    sockets = 0
    for link in links:
        with contextlib.suppress(OSError):
            sockets += os.readlink(link).startswith("socket:")
    return max(0, sockets - listening)


@attack
def flood(binary, folder):
    """10,000 requests on 64 connections; half of the clients are killed in the middle."""
    with Server(binary, "--max-concurrent-requests", 48) as server:
        well(server)
        before = server.megabytes()
        counts, lock = {}, threading.Lock()

        def client(number):
            chance = random.Random(number)
            for _ in range(157):
                try:
                    connection = server.connect()
                    connection.sendall(
                        post(json.dumps({"inputs": chance.choice(TEXTS)}).encode(), b"Connection: close\r\n")
                    )
                    if number % 2:
                        # A reset in place of a proper end, as from a process that was killed.
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        time.sleep(chance.random() * 0.01)
                        connection.close()
                        continue
                    status = read_reply(connection)
                    connection.close()
                except OSError as error:
                    status = str(error)
                with lock:
                    counts[status] = counts.get(status, 0) + 1

        in_threads(64, client)
        check(set(counts) <= {200, 429} and counts.get(200), f"the answers were {counts}")
        time.sleep(0.5)
        check(metric(server, "te_queue_size") == 0, "the queue is not empty at the end")
        well(server)
        after = server.megabytes()
        check(after - before < 200, f"the memory grew from {before:.0f} to {after:.0f} MB")
        return f"{counts}; memory {before:.0f} to {after:.0f} MB"


@attack
def large_bodies(binary, folder):
    """Bodies over the limit, told and not told."""
    with Server(binary, "--payload-limit", 100_000) as server:
        told = server.connect()
        told.sendall(HEAD + b"Content-Length: 99999999999\r\n\r\n{")
        told.shutdown(socket.SHUT_WR)
        check((status := read_reply(told)) == 413, f"a large Content-Length got {status}")
        chunked = server.connect()
        try:
            chunked.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
            for _ in range(40):
                chunked.sendall(b"1000\r\n" + b" " * 4096 + b"\r\n")
        except OSError:
            pass
        check((status := read_reply(chunked)) in (413, 0), f"a long chunked body got {status}")
        both = server.connect()
        both.sendall(HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n")
        both.shutdown(socket.SHUT_WR)
        check((status := read_reply(both)) in (400, 422), f"two lengths got {status}")
        well(server)
        return "413"


@attack
def large_texts(binary, folder):
    """200 clients send texts and ids of the largest size at once."""
    with Server(binary, "--payload-limit", 200_000, "--read-timeout", 120) as server:
        well(server)
        before, most = server.megabytes(), 0
        bodies = [
            json.dumps({"inputs": "日本語の文章 and English words, " * 4500}, ensure_ascii=False).encode(),
            json.dumps({"inputs": "a" * 190_000}).encode(),
            b'{"inputs": [' + b"1," * 94_000 + b"1]}",
            b'{"instances": [' + b"{}," * 60_000 + b"{}]}",
        ]
        counts, lock, _stop = {}, threading.Lock(), threading.Event()

        def client(number):
            path = "/vertex" if number % 4 == 3 else "/embed_sparse"
            try:
                status = server.ask("POST", path, bodies[number % 4], timeout=300)[0]
            except OSError as error:
                status = type(error).__name__
            with lock:
                counts[status] = counts.get(status, 0) + 1

        thread = threading.Thread(target=in_threads, args=(200, client))
        thread.start()
        while thread.is_alive():
            most = max(most, server.megabytes())
            time.sleep(0.02)
        thread.join()
        # A client that is refused before it has sent all of its body may find the connection closed.
        allowed = {200, 413, 422, 429, "BrokenPipeError", "ConnectionResetError"}
        check(set(counts) <= allowed and counts.get(200), f"the answers were {counts}")
        well(server)
        check(most - before < 300, f"the memory grew from {before:.0f} to {most:.0f} MB")
        return f"{counts}; memory {before:.0f} to at most {most:.0f} MB"


@attack
def odd_requests(binary, folder):
    """Heads and methods that no client should send."""
    with Server(binary, "--read-timeout", 2) as server:
        for name, request, allowed in [
            ("garbage", b"\x16\x03\x01\x02\x00" * 50, {0, 400}),
            ("a long head", b"GET / HTTP/1.1\r\nX: " + b"a" * 200_000 + b"\r\n\r\n", {431, 0}),
            (
                "many headers",
                b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(500)) + b"\r\n",
                {431, 0},
            ),
            (
                "a long path",
                b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                {404, 414, 431},
            ),
            ("HTTP/1.0", b"GET /health HTTP/1.0\r\n\r\n", {200}),
            ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {0, 400}),
            ("no host", b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n", {200, 400}),
            ("CONNECT", b"CONNECT example.com:443 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", {404, 405}),
            ("a lone CR", b"GET /health HTTP/1.1\r\nX: a\rb\r\n\r\n", {0, 400}),
            ("HEAD", b"HEAD /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", {200}),
            (
                "a key that is no text",
                b"GET /info HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \xff\xfe\r\nConnection: close\r\n\r\n",
                {200},
            ),
        ]:
            connection = server.connect(10)
            with contextlib.suppress(OSError):
                connection.sendall(request)
            status = read_reply(connection)
            check(status in allowed, f"{name} got {status}")
        well(server)
        return "11 kinds"


@attack
def odd_bodies(binary, folder):
    """Bodies that are not what a route wants: never a failure of the service."""
    routes = [
        ("POST", path)
        for path in (
            "/embed_sparse",
            "/",
            "/invocations",
            "/embed",
            "/embed_all",
            "/similarity",
            "/rerank",
            "/predict",
            "/tokenize",
            "/decode",
            "/vertex",
            "/v1/embeddings",
            "/v1/token_weights",
            "/v1/sparse_embeddings",
            "/v1/explain",
            "/qdrant",
            "/v1/indexes/a/search",
        )
    ] + [("PUT", "/v1/indexes/a/documents"), ("DELETE", "/v1/indexes/a/documents")]
    deep = b"[" * 100_000
    bodies = [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe\x00",
        b'{"inputs": "\xff"}',
        b'{"inputs": "\\ud800"}',
        b'{"inputs": ' + deep,
        b'{"instances": [' + deep,
        b'{"a":' * 50_000,
        b'{"inputs": NaN}',
        b'{"inputs": 1e999}',
        b'{"inputs": [[1, -1]]}',
        b'{"inputs": [[4294967295]]}',
        b'{"inputs": [[4294967296]]}',
        b'{"inputs": ["a", [1]]}',
        b'{"inputs": "a", "top_k": 18446744073709551615}',
        b'{"inputs": "a", "top_k": 18446744073709551616}',
        b'{"inputs": "a", "threshold": 1e39}',
        b'{"inputs": "a", "inputs": "b"}',
        b'{"inputs": "a"} x',
        b'{"inputs": "' + b"\\u0000" * 1000 + b'"}',
        ('{"inputs": "' + "\u0301" * 10_000 + '"}').encode(),
        b'{"inputs": "' + b"a" * 1_900_000 + b'"}',
        b'{"inputs": [' + b'"",' * 40 + b'""]}',
        b'{"ids": [[]]}',
        b'{"ids": [4294967295]}',
        b'{"ids": ["' + b"a" * 70_000 + b'"]}',
        b'{"query": "", "texts": [""]}',
        b'{"text": "a", "k": 18446744073709551615}',
        b'{"text": "a", "k": 0}',
        b'{"vector": {"indices": [1], "values": [NaN]}}',
        b'{"vector": {"indices": [1], "values": [1e39]}}',
        b'{"vector": {"indices": [1], "values": [-1]}}',
        b'{"vector": {"indices": [1, 1], "values": [1, 1]}}',
        b'{"vector": {"indices": [999999], "values": [1]}}',
        b'{"vector": {"indices": [1], "values": []}}',
        b'{"vector": {}, "k": 3}',
        b'{"documents": [{"id": ""}]}',
        b'{"documents": [{"id": "a", "text": "b", "vector": {}}]}',
        b'{"documents": [["a", "b", null, null]]}',
        b'{"documents": [{"id": "' + b"a" * 70_000 + b'", "text": "b"}]}',
        b'{"documents": [{"id": "a\\u0000b", "vector": {"indices": [1], "values": [1e-45]}}]}',
        b'{"documents": [{"id": "b", "vector": {"indices": [1], "values": [3.4e38]}}]}',
    ]
    with Server(binary, "--index-root", folder / "root", log=folder / "log") as server:
        check(server.ask("PUT", "/v1/indexes/a", {})[0] == 201, "the index could not be made")
        counts = {}
        for method, route in routes:
            for body in bodies:
                status, _, reply = server.ask(method, route, body)
                # 424 is what a model cannot do, as in text-embeddings-inference.
                check(status < 500, f"{method} {route} with {body[:60]} got {status}: {reply}")
                if status >= 400:
                    check(isinstance(reply, dict), f"{method} {route} with {body[:60]}: the error {status} is not JSON")
                counts[status] = counts.get(status, 0) + 1
        well(server)
        check(b"bug" not in (folder / "log").read_bytes(), "the log tells of a bug")
        return str(dict(sorted(counts.items())))


@attack
def half_batches(binary, folder):
    """A batch with one document that cannot be indexed changes nothing."""
    with Server(binary, "--index-root", folder / "root") as server:
        server.ask("PUT", "/v1/indexes/a", {})
        bad = [
            {"id": "x" * 70_000, "text": "a"},
            {"id": "bad", "vector": {"indices": [1], "values": [-1]}},
            {"id": "bad", "vector": {"indices": [10_000_000], "values": [1]}},
            {"id": "bad"},
        ]
        for number, document in enumerate(bad):
            batch = [{"id": f"good {number}", "text": TEXTS[0]}, document]
            status = server.ask("PUT", "/v1/indexes/a/documents", {"documents": batch})[0]
            check(400 <= status < 500 and status != 424, f"a bad document got {status}")
            status, _, reply = server.ask(
                "PUT", "/v1/indexes/a/documents", {"documents": [{"id": "later", "text": TEXTS[1]}]}
            )
            check(status == 200, f"a good batch got {status}")
            check(reply["index"]["documents"] == 1, f"a part of a refused batch is in the index: {reply}")
        return f"{len(bad)} kinds of bad documents"


@attack
def names(binary, folder):
    """Names of indexes that lead out of the folder."""
    root = folder / "root"
    with Server(binary, "--index-root", root) as server:
        odd = [
            "..",
            "%2e%2e",
            "a%2fb",
            "a/b",
            "..%2f..%2fetc",
            "%ff",
            "%00",
            "a%00b",
            ".hidden",
            "-x",
            "a,b",
            "a%20b",
            "%E6%97%A5",
            "x" * 65,
            "x" * 5000,
            "con%3A",
            "%",
            "%zz",
        ]
        for name in odd:
            for method, path, body in [
                ("PUT", f"/v1/indexes/{name}", {}),
                ("GET", f"/v1/indexes/{name}", None),
                ("DELETE", f"/v1/indexes/{name}", None),
                ("POST", f"/v1/indexes/{name}/search", {"text": "a"}),
                ("PUT", f"/v1/indexes/{name}/documents", {"documents": [{"id": "1", "text": "a"}]}),
            ]:
                status, _, reply = server.ask(method, path, body)
                check(400 <= status < 500 and status != 424, f"{method} {path} got {status}: {reply}")
                check(isinstance(reply, dict), f"{method} {path}: the error {status} is not JSON: {reply}")
        check(sorted(os.listdir(root)) == [], f"there is {os.listdir(root)} in the folder")
        check(sorted(os.listdir(folder)) == ["root"], f"there is {os.listdir(folder)} beside the folder")
        return f"{len(odd)} names"


@attack
def many_searches(binary, folder):
    """Searches with the largest k, with one index named a thousand times, and with many ids."""
    with Server(binary, "--index-root", folder / "root") as server:
        server.ask("PUT", "/v1/indexes/a", {})
        for first in range(0, 3000, 1000):
            documents = [
                {"id": str(n), "vector": {"indices": [n % 1000 + 5, 3000], "values": [1.5, 1]}}
                for n in range(first, first + 1000)
            ]
            check(
                server.ask("PUT", "/v1/indexes/a/documents", {"documents": documents})[0] == 200,
                "documents were refused",
            )
        query = {"vector": {"indices": [3000], "values": [1]}, "k": 10_000}
        status, _, reply = server.ask("POST", "/v1/indexes/a/search", query)
        check(status == 200 and len(reply["hits"]) == 3000, f"the largest k got {status}")
        before = server.megabytes()
        start = time.monotonic()
        status = server.ask("POST", "/v1/indexes/" + ",".join(["a"] * 1000) + "/search", query)[0]
        seconds, after = time.monotonic() - start, server.megabytes()
        check(status in (200, 404, 422) and seconds < 10, f"1,000 indexes got {status} after {seconds:.1f} s")
        check(after - before < 200, f"1,000 indexes took {after - before:.0f} MB")
        query = {"text": "a", "filter": {"ids": [str(n) for n in range(150_000)]}}
        status = server.ask("POST", "/v1/indexes/a/search", query)[0]
        check(status == 200, f"a filter of 150,000 ids got {status}")
        return f"1,000 times the same index: {status}, {seconds:.1f} s"


@attack
def starting(binary, folder):
    """Requests while the service starts."""
    with Server(binary, wait=False) as server:
        statuses, until = [], time.monotonic() + 30
        while time.monotonic() < until:
            try:
                status, headers, reply = server.ask("POST", "/embed_sparse", {"inputs": "a"})
            except OSError:
                continue
            statuses.append(status)
            if status == 503:
                check("retry-after" in headers and reply["error_type"] == "Unhealthy", f"starting: {reply}")
            if status == 200:
                break
        check(set(statuses) <= {200, 503}, f"the answers were {set(statuses)}")
        return f"{statuses.count(503)} times 503, then 200"


@attack
def draining(binary, folder):
    """The service is stopped while requests run: they are answered, and it ends."""
    with Server(binary) as server:
        results, lock = [], threading.Lock()
        started = threading.Barrier(17)

        def client(number):
            connection = server.connect()
            body = json.dumps({"inputs": TEXTS * 10}).encode()
            connection.sendall(post(body)[:-5])
            started.wait()
            time.sleep(0.2)
            with contextlib.suppress(OSError):
                connection.sendall(body[-5:])
            status = read_reply(connection)
            with lock:
                results.append(status)

        threads = [threading.Thread(target=client, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        started.wait()
        time.sleep(0.1)
        start = time.monotonic()
        code = server.stop()
        for thread in threads:
            thread.join()
        check(code == 0, f"it ended with {code}")
        check(set(results) <= {200, 429}, f"requests that had begun got {results}")
        return f"{results.count(200)} of 16 finished; it ended with 0 after {time.monotonic() - start:.1f} s"


@attack
def reload(binary, folder):
    """The model is replaced by another one and by a broken one under load, with SIGHUP."""
    model = folder / "model"
    shutil.copytree(ROOT / "models" / "mini-ja-en", model)
    log = folder / "log"
    with Server(binary, "--model", model, log=log) as server:

        def vector():
            return server.ask("POST", "/embed_sparse", {"inputs": "水 water"})[2]

        first = vector()
        stop, statuses = threading.Event(), []

        def client(_):
            while not stop.is_set():
                statuses.append(server.ask("POST", "/embed_sparse", {"inputs": "水 water"})[0])

        thread = threading.Thread(target=in_threads, args=(4, client))
        thread.start()

        def hang_up(words):
            seen = log.read_bytes().count(words)
            server.process.send_signal(signal.SIGHUP)
            until = time.monotonic() + 30
            while log.read_bytes().count(words) == seen:
                check(time.monotonic() < until, f"the log does not say {words}")
                time.sleep(0.05)

        config = json.loads((model / "config.json").read_text())
        changed = {**config, "hidden_activation": "relu"}
        write_aside(model / "config.json", json.dumps(changed))
        hang_up(b"loaded anew")
        second = vector()
        check(first != second, "the changed model is not used")
        for broken in ["{", json.dumps({**config, "hidden_size": 4096})]:
            write_aside(model / "config.json", broken)
            hang_up(b"what was loaded before stays")
            check(vector() == second, "a broken model changed something")
        write_aside(model / "config.json", json.dumps(config))
        hang_up(b"loaded anew")
        check(vector() == first, "the first model is not back")
        stop.set()
        thread.join()
        check(set(statuses) == {200}, f"requests during the reload got {set(statuses)}")
        return f"{len(statuses)} requests during 4 reloads, all 200"


def write_aside(path, text):
    aside = path.with_suffix(".new")
    aside.write_text(text)
    aside.rename(path)


@attack
def killed_writers(binary, folder):
    """The service is killed with SIGKILL in the middle of writes: what was acknowledged is there."""
    root, acknowledged, chance = folder / "root", set(), random.Random(5)
    unsure, lock = set(), threading.Lock()
    for round_number in range(6):
        with Server(binary, "--index-root", root, "--commit-interval", 20) as server:
            if round_number == 0:
                check(server.ask("PUT", "/v1/indexes/a", {})[0] == 201, "the index could not be made")
            status, _, stats = server.ask("GET", "/v1/indexes/a")
            check(status == 200, f"the index cannot be opened after a kill: {stats}")
            check(
                len(acknowledged) <= stats["documents"] <= len(acknowledged | unsure),
                f"{len(acknowledged)} documents were acknowledged, {stats['documents']} are there",
            )

            def client(number, round_number=round_number):
                for batch in range(10_000):
                    ids = [f"{round_number} {number} {batch} {n}" for n in range(7)]
                    documents = [
                        {"id": name, "vector": {"indices": [5 + n, 2000], "values": [2, 1]}}
                        for n, name in enumerate(ids)
                    ]
                    with lock:
                        unsure.update(ids)
                    try:
                        status = server.ask("PUT", "/v1/indexes/a/documents", {"documents": documents})[0]
                    except Exception:
                        return
                    if status == 200:
                        with lock:
                            acknowledged.update(ids)

            thread = threading.Thread(target=in_threads, args=(4, client))
            thread.start()
            time.sleep(0.4 + chance.random())
            server.process.kill()
            thread.join()
    with Server(binary, "--index-root", root) as server:
        query = {"vector": {"indices": [2000], "values": [1]}, "k": 10_000}
        hits = {hit["id"] for hit in server.ask("POST", "/v1/indexes/a/search", query)[2]["hits"]}
        if len(hits) < 10_000:
            check(acknowledged <= hits, f"{len(acknowledged - hits)} acknowledged documents are lost")
        partial = {}
        for name in hits:
            partial.setdefault(name.rsplit(" ", 1)[0], set()).add(name)
        check(len(hits) == 10_000 or all(len(names) == 7 for names in partial.values()), "a batch is there by half")
        check(server.stop() == 0, "it did not stop well")
    result = subprocess.run([binary, "index", "verify", root / "a"], capture_output=True, text=True)
    check(result.returncode == 0, f"`index verify`: {result.stderr}")
    return f"6 kills, {len(acknowledged)} acknowledged documents, none lost"


@attack
def full_disk(binary, folder):
    """The disk is full: writes fail, what was there stays, and writes work again when there is room."""
    disk = folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True)
    if mounted.returncode != 0:
        return None
    try:
        with Server(binary, "--index-root", disk) as server:
            check(server.ask("PUT", "/v1/indexes/a", {})[0] == 201, "the index could not be made")
            stored, statuses = 0, []
            chance = random.Random(7)
            for batch in range(400):
                documents = [
                    {
                        "id": f"{batch} {n} " + "x" * 200,
                        "vector": {"indices": sorted(chance.sample(range(5, 9000), 60)), "values": [1.5] * 60},
                    }
                    for n in range(20)
                ]
                status = server.ask("PUT", "/v1/indexes/a/documents", {"documents": documents})[0]
                statuses.append(status)
                if status == 200:
                    stored += 20
                elif statuses[-3:] == [statuses[-1]] * 3:
                    break
            check(statuses[-1] != 200, "the disk did not become full")
            check(set(statuses) == {200, 507}, f"the answers were {set(statuses)}")
            stats = server.ask("GET", "/v1/indexes/a")[2]
            check(stats["documents"] == stored, f"{stored} documents were acknowledged, {stats['documents']} are there")
            found = server.ask("POST", "/v1/indexes/a/search", {"vector": {"indices": [100], "values": [1]}})[0]
            check(found == 200, f"a search on a full disk got {found}")
            subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
            status = server.ask("PUT", "/v1/indexes/a/documents", {"documents": [{"id": "room", "text": "a"}]})[0]
            check(status == 200, f"with room again a write got {status}")
            after = server.ask("GET", "/v1/indexes/a")[2]["documents"]
            check(after == stored + 1, f"{stored} documents were acknowledged and one more, {after} are there")
            check(server.stop() == 0, "it did not stop well")
        result = subprocess.run([binary, "index", "verify", disk / "a"], capture_output=True, text=True)
        check(result.returncode == 0, f"`index verify`: {result.stderr}")
        return f"{stored} documents until the disk was full, then {statuses[-1]}; nothing lost"
    finally:
        subprocess.run(["umount", disk], check=True)


@attack
def tls(binary, folder):
    """Garbage, plain HTTP and slow clients on the port of HTTPS."""
    made = subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-keyout",
            folder / "key.pem",
            "-out",
            folder / "cert.pem",
        ],
        capture_output=True,
    )
    if made.returncode != 0:
        return None
    with Server(
        binary, "--tls-cert", folder / "cert.pem", "--tls-key", folder / "key.pem", "--read-timeout", 2, wait=False
    ) as server:
        until = time.monotonic() + 30
        while True:
            try:
                if server.ask("GET", "/health", tls=folder / "cert.pem")[0] == 200:
                    break
            except OSError:
                pass
            check(time.monotonic() < until, "it does not answer over TLS")
        for bytes_sent in [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", os.urandom(500), b"\x16\x03\x01", b""]:
            connection = server.connect(10)
            connection.sendall(bytes_sent)
            check(read_reply(connection) == 0, "an answer without TLS")
        check(
            server.ask("POST", "/embed_sparse", {"inputs": "a"}, tls=folder / "cert.pem")[0] == 200, "no honest answer"
        )
        return "refused or dropped within the time-out"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=pathlib.Path)
    parser.add_argument("--only", help="names of attacks, separated by commas")
    arguments = parser.parse_args()
    binary = (arguments.binary or default_binary()).resolve()
    rows = []
    for name in arguments.only.split(",") if arguments.only else ATTACKS:
        with tempfile.TemporaryDirectory() as folder:
            start = time.monotonic()
            try:
                remark = ATTACKS[name](binary, pathlib.Path(folder))
                rows.append((name, None if remark is None else True, remark or "not possible here"))
            except Failed as found:
                rows.append((name, False, str(found)))
            except Exception as error:
                rows.append((name, False, f"{type(error).__name__}: {error}"))
            print(f"{name} {rows[-1][1]} {time.monotonic() - start:.1f} s {rows[-1][2]}", file=sys.stderr, flush=True)
    return table(rows)


if __name__ == "__main__":
    sys.exit(main())
