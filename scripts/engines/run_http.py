"""Sends an export, unchanged, to Elasticsearch or OpenSearch: python run_http.py EXPORT URL."""

import json
import sys
import urllib.error
import urllib.request

from common import EXPORT, answer, lines

URL, INDEX = sys.argv[2], "light-splade-proof"


def call(method, path, body=None):
    request = urllib.request.Request(f"{URL}/{path}", body, {"content-type": "application/x-ndjson"}, method=method)
    if body is not None and not path.endswith("_bulk"):
        request.add_header("content-type", "application/json")
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def delete():
    try:
        call("DELETE", INDEX)
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise


delete()
call("PUT", INDEX, (EXPORT / "mapping.json").read_bytes())
for path in sorted(EXPORT.glob("documents-*.ndjson")):
    result = call("POST", f"{INDEX}/_bulk", path.read_bytes())
    assert not result["errors"], result
call("POST", f"{INDEX}/_refresh")
found, form = {}, "body"
for query in lines("queries.ndjson"):
    try:
        result = call("POST", f"{INDEX}/_search", json.dumps(query[form]).encode())
    except urllib.error.HTTPError as error:
        # This OpenSearch has no neural-search plugin, because no package registry has it.
        if "neural_sparse" not in error.read().decode() or form == "without_plugin":
            raise
        form = "without_plugin"
        result = call("POST", f"{INDEX}/_search", json.dumps(query[form]).encode())
    found[query["id"]] = [(hit["_id"], hit["_score"]) for hit in result["hits"]["hits"]]
delete()
version = next(iter(call("GET", "_nodes/_local")["nodes"].values()))["version"]
answer(version, found, "`rank_feature` queries" if form == "without_plugin" else "")
