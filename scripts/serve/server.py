"""Starts and asks `light-splade serve`, for the other programs of this folder. It needs nothing but Python 3.11."""

import http.client
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def free_port():
    """Returns a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A running service. Options are those of the command line; `preexec` runs in the process before the program."""

    def __init__(self, binary, *options, env=None, preexec=None, wait=True, log=None):
        self.binary, self.port = binary, free_port()
        self.options = [str(option) for option in options]
        self.log = open(log, "ab") if log else subprocess.DEVNULL
        self.process = subprocess.Popen(
            [str(binary), "serve", "--port", str(self.port), *self.options],
            stdout=self.log, stderr=self.log, env={**os.environ, **(env or {})}, preexec_fn=preexec,
        )
        if wait:
            self.ready()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def ready(self, seconds=60):
        """Waits until the service answers that it is ready."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError(f"the service ended with {self.process.returncode}")
            try:
                if self.ask("GET", "/health")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise RuntimeError("the service did not become ready")

    def ask(self, method, path, body=None, headers=None, timeout=60, tls=None):
        """Sends a request and returns the status, the headers and the body, as JSON if it is JSON."""
        if tls:
            context = ssl.create_default_context(cafile=str(tls))
            connection = http.client.HTTPSConnection("localhost", self.port, timeout=timeout, context=context)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            headers = dict(headers or {})
            if body is not None and not isinstance(body, bytes):
                body = json.dumps(body, ensure_ascii=False).encode()
            if body is not None:
                headers.setdefault("Content-Type", "application/json")
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            data = reply.read()
            if (reply.getheader("Content-Type") or "").startswith("application/json"):
                data = json.loads(data)
            return reply.status, {name.lower(): value for name, value in reply.getheaders()}, data
        finally:
            connection.close()

    def ok(self, method, path, body=None):
        """Sends a request that must succeed, and returns the body of the reply."""
        status, _, reply = self.ask(method, path, body)
        if not 200 <= status < 300:
            raise RuntimeError(f"{method} {path}: {status} {reply}")
        return reply

    def leave(self, method, path, body):
        """Sends a request and breaks the connection off before the reply."""
        data = json.dumps(body, ensure_ascii=False).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        with self.connect() as connection:
            connection.sendall(head.encode() + data)

    def connect(self, timeout=30):
        """Returns a raw connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def megabytes(self):
        """Returns the memory of the process in MB, its mapped files left out."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
        raise RuntimeError("no RssAnon")

    def stop(self, signal_number=signal.SIGTERM, seconds=60):
        """Sends a signal and returns the exit status."""
        self.process.send_signal(signal_number)
        return self.process.wait(seconds)


def table(rows):
    """Prints (name, passed or None, remark) as a table and returns the exit status. None is something left out."""
    width = max(len(row[0]) for row in rows)
    words = {True: "ok", False: "FAILED", None: "skipped"}
    for name, passed, remark in rows:
        print(f"{name:{width}}  {words[passed]:7}  {remark}", flush=True)
    failed = sum(passed is False for _, passed, _ in rows)
    passed = sum(passed is True for _, passed, _ in rows)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def default_binary():
    """Returns the program of this repository that was built last."""
    built = [path for path in ROOT.glob("target/*/light-splade") if path.is_file()]
    if not built:
        sys.exit("build the program first: cargo build --release, or give --binary")
    return max(built, key=lambda path: path.stat().st_mtime)
