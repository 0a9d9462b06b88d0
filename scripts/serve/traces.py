"""Reads the traces of a service with OpenTelemetry's own messages.

    pip install opentelemetry-proto
    python scripts/serve/traces.py --binary target/release/light-splade

A small collector takes what the service sends, and the spans are compared with the requests. Exit status 1 if they do not
fit.
"""

import argparse
import http.server
import pathlib
import sys
import threading

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from server import Server, default_binary

TRACE = "0af7651916cd43dd8448eb211c80319c"


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes spans."""

    received = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/v1/traces" or self.headers["Content-Type"] != "application/x-protobuf":
            self.send_error(404)
            return
        self.received.append(ExportTraceServiceRequest.FromString(body))
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        """Says nothing."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=pathlib.Path)
    arguments = parser.parse_args()
    binary = (arguments.binary or default_binary()).resolve()
    collector = http.server.HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{collector.server_port}"
    with Server(binary, "--otlp-endpoint", endpoint, "--otlp-service-name", "a service") as server:
        headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
        for _ in range(3):
            assert server.ask("POST", "/embed_sparse", {"inputs": ["a", "b"]}, headers)[0] == 200
        assert server.ask("POST", "/embed_sparse", b"{")[0] == 400
        assert server.stop() == 0
    spans = [
        (resource, span)
        for request in Collector.received
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    names = sorted(span.name for _, span in spans)
    assert names == ["POST /embed_sparse"] * 4 + ["encode"] * 3 + ["tokenize"] * 3, names
    for resource, span in spans:
        about = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
        assert about["service.name"] == "a service", about
        assert len(span.trace_id) == 16 and len(span.span_id) == 8
        assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano
        attributes = {attribute.key: attribute.value for attribute in span.attributes}
        if span.name == "encode":
            assert attributes["splade.texts"].int_value == 2 and attributes["splade.tokens"].int_value >= 6
            assert span.kind == Span.SPAN_KIND_INTERNAL
        elif span.name.startswith("POST"):
            assert span.kind == Span.SPAN_KIND_SERVER
            failed = attributes["http.response.status_code"].int_value == 400
            assert failed or (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, "b7ad6b7169203331")
    print(f"{len(spans)} spans in {len(Collector.received)} requests, read by opentelemetry-proto")


if __name__ == "__main__":
    sys.exit(main())
