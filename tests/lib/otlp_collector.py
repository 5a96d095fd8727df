# SPDX-License-Identifier: Apache-2.0
"""A collector of traces: takes OTLP in JSON over HTTP, and refuses what is not shaped as the protocol says.

Shapes: ExportTraceServiceRequest of opentelemetry-proto in the JSON encoding of the OTLP specification: ids in hex,
64-bit numbers as decimal strings, enums as numbers, nothing but the fields that there are.
"""
import http.server
import json
import re
import threading
import time

MODES = ("takes", "hangs", "busy", "refuses")
SPAN_FIELDS = {"traceId", "spanId", "parentSpanId", "traceState", "flags", "name", "kind", "startTimeUnixNano",
               "endTimeUnixNano", "attributes", "links", "droppedLinksCount", "status"}
LINKS_MAX = 128     # of a span, in OpenTelemetry's SDKs
VALUE_FIELDS = {"stringValue": str, "intValue": str, "boolValue": bool, "doubleValue": float}


def check(condition, what):
    if not condition:
        raise ValueError(what)


def fields(value, allowed, required=()):
    check(isinstance(value, dict), f"no object: {value!r}")
    check(set(value) <= set(allowed) and set(required) <= set(value), f"fields {sorted(value)}")
    return value


def attributes(items):
    found = {}
    check(isinstance(items, list), "attributes are no array")
    for item in items:
        fields(item, ("key", "value"), ("key", "value"))
        (kind, value), = item["value"].items()
        check(isinstance(value, VALUE_FIELDS[kind]), f"{item['key']}: {value!r} as {kind}")
        check(item["key"] and item["key"] not in found, f"{item['key']} is empty or there twice")
        found[item["key"]] = int(value) if kind == "intValue" else value
    return found


def check_ids(holder):
    check(re.fullmatch("[0-9a-f]{32}", holder["traceId"]) and int(holder["traceId"], 16), "traceId")
    check(re.fullmatch("[0-9a-f]{16}", holder["spanId"]) and int(holder["spanId"], 16), "spanId")


def link_of(link):
    fields(link, ("traceId", "spanId", "traceState", "flags", "attributes"), ("traceId", "spanId"))
    check_ids(link)
    return {**link, "attributes": attributes(link.get("attributes", []))}


def span_of(span):
    fields(span, SPAN_FIELDS, ("traceId", "spanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano"))
    check_ids(span)
    parent = span.get("parentSpanId", "")
    check(parent == "" or re.fullmatch("[0-9a-f]{16}", parent) and int(parent, 16), "parentSpanId")
    check(type(span["kind"]) is int and 1 <= span["kind"] <= 5, "kind")
    for name in ("startTimeUnixNano", "endTimeUnixNano"):
        check(isinstance(span[name], str) and span[name].isdigit(), name)
    check(int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"]), "ends before it begins")
    status = fields(span.get("status", {}), ("code", "message"))
    check(status.get("code", 0) in (0, 1, 2), "status")
    links = [link_of(link) for link in span.get("links", [])]
    check(len(links) <= LINKS_MAX and type(span.get("droppedLinksCount", 0)) is int, "links")
    return {**span, "parentSpanId": parent, "attributes": attributes(span.get("attributes", [])), "links": links,
            "status": status}


def spans_of(request):
    """The spans of a request, each with its resource's attributes."""
    spans = []
    for resource_spans in fields(request, ("resourceSpans",), ("resourceSpans",))["resourceSpans"]:
        fields(resource_spans, ("resource", "scopeSpans", "schemaUrl"), ("resource", "scopeSpans"))
        resource = attributes(fields(resource_spans["resource"], ("attributes",))["attributes"])
        check("service.name" in resource, "no service.name")
        for scope_spans in resource_spans["scopeSpans"]:
            fields(scope_spans, ("scope", "spans", "schemaUrl"), ("scope", "spans"))
            fields(scope_spans["scope"], ("name", "version", "attributes"), ("name",))
            check(scope_spans["spans"], "no spans")
            spans += [{**span_of(span), "resource": resource} for span in scope_spans["spans"]]
    return spans


class Collector:
    """with Collector() as c: c.env() for a program; c.spans is what it has taken.

    busy_for: so many requests are answered with busy_status, and retry_after. partial: what it says of what it took."""

    def __init__(self, mode="takes"):
        assert mode in MODES
        self.mode, self.busy_for, self.busy_status, self.retry_after, self.partial = mode, 0, 503, None, None
        self.spans, self.faults, self.requests, self.times = [], [], [], []
        self.lock, self.over = threading.Lock(), threading.Event()
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                collector.answer(self)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()
        assert not self.faults, self.faults

    def answer(self, handler):
        body = handler.rfile.read(int(handler.headers["content-length"]))
        with self.lock:
            self.requests.append((handler.path, dict(handler.headers.items())))
            self.times.append(time.monotonic())
            busy = self.mode == "busy" and len(self.requests) <= self.busy_for
        if self.mode == "hangs":
            self.over.wait()
            return
        status = self.busy_status if busy else 400 if self.mode == "refuses" else 200
        if status == 200:
            try:
                check(handler.path == "/v1/traces", handler.path)
                check(handler.headers["content-type"] == "application/json", "content-type")
                spans = spans_of(json.loads(body))
                with self.lock:
                    self.spans += spans
            except (ValueError, KeyError, TypeError) as fault:
                self.faults.append((repr(fault), body[:2000]))
                status = 400
        answer = json.dumps({} if self.partial is None else {"partialSuccess": self.partial}).encode()
        handler.send_response(status)
        if busy and self.retry_after is not None:
            handler.send_header("retry-after", self.retry_after)
        handler.send_header("content-length", str(len(answer)))
        handler.end_headers()
        handler.wfile.write(answer)

    def env(self, service="test", **more):
        port = self.server.server_address[1]
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "OTEL_SERVICE_NAME": service, **more}

    def named(self, name):
        """The spans of that name, by the time they began."""
        return sorted((span for span in self.spans if span["name"] == name), key=lambda s: int(s["startTimeUnixNano"]))
