"""Uploads one folder by light-splade and by huggingface_hub to a recording server; compares requests.

    python scripts/reference/hub_upload.py target/release/light-splade models/demo

The server answers like huggingface.co for a repository that stores large files by Git LFS. The requests of both must
be the same, except for headers, the order of the files, the commit messages and the requests that do not belong to
the upload itself.
"""

import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading

os.environ["HF_HUB_DISABLE_XET"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


class Hub(http.server.BaseHTTPRequestHandler):
    requests = []

    def log_message(self, *_):
        pass

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        # huggingface_hub reads the repository before and after the upload.
        self.answer({"id": "me/new", "sha": "a" * 40, "siblings": [], "private": False, "tags": []})

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.requests.append(("PUT", self.path, len(body), "Authorization" in self.headers))
        self.answer({})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        base = f"http://{self.headers['Host']}"
        if self.path == "/api/validate-yaml":
            return self.answer({"errors": [], "warnings": []})
        lines = [json.loads(line) for line in body.splitlines()] if "commit" in self.path else None
        value = lines or json.loads(body)
        self.requests.append(("POST", self.path, value, self.headers["Content-Type"]))
        if self.path.endswith("/preupload/main"):
            large = (".safetensors",)
            modes = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(large) else "regular",
                    "shouldIgnore": False,
                    "oid": None,
                }
                for file in value["files"]
            ]
            return self.answer({"files": modes})
        if self.path.endswith("/info/lfs/objects/batch"):
            objects = [
                item
                | {
                    "actions": {
                        "upload": {"href": f"{base}/store/{item['oid']}"},
                        "verify": {"href": f"{base}/verify"},
                    }
                }
                for item in value["objects"]
            ]
            return self.answer({"transfer": "basic", "objects": objects})
        if self.path.endswith("/commit/main"):
            url = "https://huggingface.co/me/new/commit/abc"
            return self.answer({"commitUrl": url, "commitOid": "a" * 40})
        self.answer({"url": "https://huggingface.co/me/new"})


def normal(request):
    """Returns a request without the parts that may differ."""
    method, path, value, extra = request
    if path.endswith("/preupload/main"):
        value = sorted(json.dumps(file, sort_keys=True) for file in value["files"])
    elif path.endswith("/objects/batch"):
        # Our client does not offer to upload large files in parts.
        value = {key: item for key, item in value.items() if key != "transfers"}
    elif path.endswith("/commit/main"):
        assert value[0]["key"] == "header" and {"summary", "description"} <= set(value[0]["value"])
        value = sorted(json.dumps(line, sort_keys=True) for line in value[1:])
    return method, path, json.dumps(value, sort_keys=True), extra


def main():
    program, model = sys.argv[1:]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    with tempfile.TemporaryDirectory() as scratch:
        folder = f"{scratch}/model"
        command = [program, "export", "model", "--model", model, "--output", folder]
        command += ["--push-to-hub", "me/new", "--private"]
        environment = os.environ | {"HF_ENDPOINT": endpoint, "HF_TOKEN": "hf_x", "HF_HOME": scratch}
        subprocess.run(command, env=environment, check=True, capture_output=True)
        ours, Hub.requests[:] = list(Hub.requests), []

        from huggingface_hub import HfApi

        api = HfApi(endpoint=endpoint, token="hf_x")
        api.create_repo("me/new", private=True, repo_type="model", exist_ok=True)
        api.upload_folder(repo_id="me/new", folder_path=folder)
        theirs = list(Hub.requests)
    ours, theirs = (sorted(map(normal, requests)) for requests in (ours, theirs))
    for request in ours:
        if request not in theirs:
            print("only light-splade: ", str(request)[:600])
    for request in theirs:
        if request not in ours:
            print("only huggingface_hub: ", str(request)[:600])
    print(f"{len(ours)} requests, {len(theirs)} of huggingface_hub")
    sys.exit(ours != theirs)


if __name__ == "__main__":
    main()
