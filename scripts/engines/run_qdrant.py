# /// script
# dependencies = ["qdrant-edge-py==0.9.0"]
# ///
"""Runs Qdrant's segments (qdrant-edge-py: the server's Rust code without its HTTP interface) on an export."""

import tempfile

import qdrant_edge as edge
from common import answer, bodies, lines


def vector(of):
    return edge.SparseVector(of["indices"], of["values"])


collection = next(bodies("collection.json"))
field = next(iter(collection["sparse_vectors"]))
with tempfile.TemporaryDirectory() as folder:
    config = edge.EdgeConfig(sparse_vectors={field: edge.EdgeSparseVectorParams()})
    shard = edge.EdgeShard.create(folder, config)
    for body in bodies("documents-*.json"):
        points = [edge.Point(p["id"], {field: vector(p["vector"][field])}, p["payload"]) for p in body["points"]]
        shard.update(edge.UpdateOperation.upsert_points(points))
    shard.optimize()
    found = {}
    for query in lines("queries.ndjson"):
        body = query["body"]
        nearest = edge.Query.Nearest(vector(body["query"]), using=body["using"])
        hits = shard.query(edge.QueryRequest(limit=body["limit"], query=nearest, with_payload=True))
        found[query["id"]] = [(hit.payload["docid"], hit.score) for hit in hits]
    shard.close()
answer("qdrant-edge-py 0.9.0", found)
