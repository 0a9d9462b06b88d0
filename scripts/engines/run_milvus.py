# /// script
# dependencies = ["milvus-lite==2.5.1", "pymilvus==2.5.18", "setuptools<81"]
# ///
"""Runs Milvus Lite 2.5 (the C++ search engine, in the process) on an export."""

import pathlib
import tempfile

from common import answer, bodies, lines
from pymilvus import DataType, MilvusClient

TYPES = {"Int64": DataType.INT64, "VarChar": DataType.VARCHAR, "SparseFloatVector": DataType.SPARSE_FLOAT_VECTOR}


def sparse(of):
    return {int(term): weight for term, weight in of.items()}


collection = next(bodies("collection.json"))
with tempfile.TemporaryDirectory() as folder:
    client = MilvusClient(str(pathlib.Path(folder) / "milvus.db"))
    name = collection["collectionName"]
    schema = client.create_schema(auto_id=collection["schema"]["autoId"])
    for field in collection["schema"]["fields"]:
        more = field.get("elementTypeParams", {})
        schema.add_field(field["fieldName"], TYPES[field["dataType"]], is_primary=field.get("isPrimary", False), **more)
    index = client.prepare_index_params()
    for params in collection["indexParams"]:
        kind = dict(params["params"])
        index.add_index(
            params["fieldName"], index_type=kind.pop("index_type"), index_name=params["indexName"],
            metric_type=params["metricType"], params=kind,
        )
    client.create_collection(name, schema=schema, index_params=index)
    vector = collection["indexParams"][0]["fieldName"]
    for body in bodies("documents-*.json"):
        client.insert(name, [{**row, vector: sparse(row[vector])} for row in body["data"]])
    client.load_collection(name)
    found = {}
    for query in lines("queries.ndjson"):
        body = query["body"]
        params = {"metric_type": body["searchParams"]["metricType"], "params": body["searchParams"]["params"]}
        hits = client.search(
            name, data=[sparse(body["data"][0])], anns_field=body["annsField"], limit=body["limit"],
            search_params=params, output_fields=body["outputFields"],
        )[0]
        found[query["id"]] = [(hit["entity"]["docid"], hit["distance"]) for hit in hits]
    client.close()
answer("milvus-lite 2.5.1", found)
