# SPDX-License-Identifier: Apache-2.0
"""Traces from a publication to its handlers, retries and dead letter.

Goal: one trace holds all that became of an event; contexts go on as W3C says; nothing is added and nothing sent while
traces are off; and no collector, however it behaves, loses an event or holds one up. Method: a collector that checks
every request's shape, and what stands in the records' headers.
"""
import socket
import time

import pytest

from one_broker import broker, own_topic  # noqa: F401
from otlp_collector import Collector
from projecting import LEDGER, Runner, cloudevents
from work_cases import Place

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, NOT_SAMPLED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"
CLOSE_SECONDS = 3 + 1   # the tool's patience with a collector at its end, and how soon a request is broken off
EVENTS = 5000

@pytest.fixture
def place(broker, tmp_path, own_topic):
    made = Place(broker.bootstrap, tmp_path, own_topic,
                 {"retry.backoff.ms": 20, "retry.backoff.max.ms": 20})
    made.evlog("topics", "create", made.topic, "-p", 1, expect=0)
    return made

def headers(place, topic=None):
    """The headers of the events of a topic."""
    rows = place.evlog("consume", topic or place.topic, "--json", expect=0).lines()
    return [{header["name"]: header.get("value") for header in row["headers"]} for row in rows]


def parts(traceparent):
    version, trace, span, flags = traceparent.split("-")
    assert version == "00" and flags == "01"
    return trace, span

def test_one_trace_holds_publication_retry_and_dead_letter(place):
    place.settings["retry.max.attempts"] = 2
    with Collector() as collector:
        place.evlog("produce", place.topic, "-k", "k", "-H", "ce_id=e1", "poison", expect=0, env=collector.env("shop"))
        handler = place.script('echo "$TRACEPARENT" >>' + str(place.folder / "parents") + '\necho no luck >&2; exit 9')
        words = place.words(handler, "--until-caught-up")
        place.evlog(*words, expect=0, env=collector.env("workers"))
        assert place.runs() == ["poison 1", "poison 2"]

        publish, = collector.named(f"publish {place.topic}")
        handled = collector.named(f"process {place.topic}")
        told = collector.named(f"nack {place.topic}")
    trace = publish["traceId"]
    assert publish["parentSpanId"] == "" and publish["kind"] == 4 and publish["resource"]["service.name"] == "shop"
    assert publish["attributes"] | {
        "messaging.system": "kafka", "messaging.operation.name": "publish", "messaging.operation.type": "send",
        "messaging.destination.name": place.topic, "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": 0, "messaging.message.id": "e1", "messaging.message.body.size": 6,
    } == publish["attributes"]
    assert [span["attributes"]["evlog.delivery.attempt"] for span in handled] == [1, 2]
    for span, outcome in zip(handled, told, strict=True):
        assert span["traceId"] == outcome["traceId"] == trace
        assert span["parentSpanId"] == publish["spanId"] and span["kind"] == 5
        assert outcome["parentSpanId"] == span["spanId"]
        assert span["status"]["code"] == 2 and "no luck" in span["status"]["message"]
        assert span["attributes"]["error.type"]
        assert span["attributes"]["messaging.consumer.group.name"] == place.group
        assert span["resource"]["service.name"] == "workers"
        assert outcome["attributes"]["messaging.operation.type"] == "settle" and outcome["status"] == {}
    seen = [parts(line) for line in (place.folder / "parents").read_text().split()]
    assert seen == [(trace, span["spanId"]) for span in handled]

    stored, = headers(place)
    letter, = headers(place, f"{place.topic}.{place.group}.dlq")
    assert parts(stored["traceparent"]) == (trace, publish["spanId"])
    assert letter["traceparent"] == stored["traceparent"]

def test_an_acknowledged_event_ends_its_trace_well(place):
    with Collector() as collector:
        place.evlog("produce", place.topic, "fine", expect=0, env=collector.env())
        place.evlog(*place.words(place.script("exit 0"), "--until-caught-up"), expect=0, env=collector.env())
        handled, = collector.named(f"process {place.topic}")
        told, = collector.named(f"ack {place.topic}")
    assert handled["status"] == told["status"] == {} and "error.type" not in handled["attributes"]

def test_a_trace_that_comes_in_goes_on(place):
    with Collector() as collector:
        place.evlog("produce", place.topic, "-H", f"traceparent={SAMPLED}", "-H", "tracestate=v=1", "a", expect=0,
                    env=collector.env())
        publish, = collector.named(f"publish {place.topic}")
    assert (publish["traceId"], publish["parentSpanId"], publish["traceState"]) == (TRACE, SPAN, "v=1")
    stored, = headers(place)
    assert parts(stored["traceparent"]) == (TRACE, publish["spanId"]) and stored["tracestate"] == "v=1"

@pytest.mark.parametrize("more, given", [
    ({}, NOT_SAMPLED),
    ({"OTEL_TRACES_SAMPLER": "always_off"}, SAMPLED),
    ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, None),
    ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}, None),
    ({"OTEL_SDK_DISABLED": "true"}, SAMPLED),
    ({"OTEL_TRACES_EXPORTER": "none"}, "no traceparent at all"),
], ids=["parent", "always_off", "parentbased_always_off", "ratio", "disabled", "none"])
def test_what_is_not_sampled_is_left_as_it_is(place, more, given):
    with Collector() as collector:
        words = [] if given is None else ["-H", f"traceparent={given}"]
        place.evlog("produce", place.topic, *words, "a", expect=0, env=collector.env(**more))
        place.evlog("consume", place.topic, expect=0, env=collector.env(**more))
        assert collector.spans == []
    assert headers(place) == [{} if given is None else {"traceparent": given}]

def test_a_traceparent_that_is_none_begins_a_new_trace(place):
    with Collector() as collector:
        place.evlog("produce", place.topic, "-H", f"traceparent={SAMPLED.upper()}x", "-H", "tracestate=v=1", "a",
                    expect=0, env=collector.env())
        publish, = collector.named(f"publish {place.topic}")
    assert publish["parentSpanId"] == "" and "traceState" not in publish
    assert headers(place) == [{"traceparent": f"00-{publish['traceId']}-{publish['spanId']}-01"}]

def test_readers_and_appends_are_in_the_trace(place):
    streams = f"{place.topic}-s"
    place.evlog("topics", "create", streams, "--set", "evlog.streams=true", expect=0)
    with Collector() as collector:
        place.evlog("append", streams, "key", "--type", "made", stdin="{}", expect=0, env=collector.env())
        append, = collector.named(f"append {streams}")
        place.evlog("consume", streams, "-g", f"{streams}-g", "-X", "auto.offset.reset=earliest", "-n", 1, expect=0,
                    env=collector.env())
        handled, = collector.named(f"process {streams}")
    assert append["attributes"]["messaging.batch.message_count"] == 1
    assert (handled["traceId"], handled["parentSpanId"]) == (append["traceId"], append["spanId"])
    assert handled["attributes"]["messaging.consumer.group.name"] == f"{streams}-g"

def test_a_busy_collector_is_asked_again_and_gets_all(place):
    with Collector("busy") as collector:
        collector.busy_for = 1
        place.evlog("produce", place.topic, "a", expect=0, env=collector.env())
        assert len(collector.named(f"publish {place.topic}")) == 1 and len(collector.requests) == 2

@pytest.mark.parametrize("status", [429, 503])
def test_a_collector_says_itself_when_to_come_again(place, status):
    """The wait is a lower bound, so that a slow machine changes nothing."""
    with Collector("busy") as collector:
        collector.busy_for, collector.busy_status, collector.retry_after = 1, status, "2"
        place.evlog("produce", place.topic, "a", expect=0, env=collector.env())
        assert len(collector.named(f"publish {place.topic}")) == 1 and len(collector.requests) == 2
        assert collector.times[1] - collector.times[0] > 1.9


@pytest.mark.parametrize("partial, told", [
    ({"rejectedSpans": "1", "errorMessage": "too old"}, "refused 1 of 1 spans: too old"),
    ({"rejectedSpans": 1}, "refused 1 of 1 spans"),
    ({"rejectedSpans": "99999999999999999999", "errorMessage": "x"}, None),
    ({"rejectedSpans": "7", "errorMessage": 5}, "refused 1 of 1 spans"),
    ({"rejectedSpans": "0", "errorMessage": "come less often"}, None),
    ({}, None),
    (5, None),
])
def test_spans_that_the_collector_refuses_are_told(place, partial, told):
    with Collector() as collector:
        collector.partial = partial
        done = place.evlog("produce", place.topic, "a", expect=0, env=collector.env())
        assert len(collector.requests) == 1, "what was refused is not sent again"
    assert ("not all spans have reached" in done.err) == (told is not None)
    assert told is None or told in done.err


def test_headers_reach_the_collector_and_nobody_else(place):
    with Collector("refuses") as collector:
        done = place.evlog("produce", place.topic, "a", expect=0,
                           env=collector.env(OTEL_EXPORTER_OTLP_HEADERS="x-key=hush%2Chush,y=2"))
        path, sent = collector.requests[0]
        assert len(collector.requests) == 1, "what is refused is not sent again"
    assert path == "/v1/traces" and sent["x-key"] == "hush,hush" and sent["y"] == "2"
    assert "status 400" in done.err and "hush" not in done.err + done.out

def test_no_collector_loses_or_holds_up_events(place):
    lines = "".join(f"event {i}\n" for i in range(EVENTS))
    small = {"OTEL_BSP_MAX_QUEUE_SIZE": "64", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "16"}

    def seconds(env):
        begun = time.monotonic()
        done = place.evlog("produce", place.topic, stdin=lines, expect=0, env=env)
        return time.monotonic() - begun, done.err
    without, _ = seconds({})
    with socket.socket() as closed, Collector("hangs") as hanging:
        closed.bind(("127.0.0.1", 0))   # refuses: nobody listens
        nobody = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{closed.getsockname()[1]}"}
        for env in (nobody, hanging.env()):
            took, err = seconds({**env, **small})
            assert took < without + CLOSE_SECONDS + 2, f"{took:.1f} s, without a collector {without:.1f} s"
            assert "traces: not all spans have reached the collector" in err
        assert len(hanging.requests) == 1, "only one request at a time"
    stored = place.evlog("consume", place.topic, "-f", "%v\n", expect=0).out.splitlines()
    assert stored == [f"event {i}" for i in range(EVENTS)] * 3

@pytest.mark.parametrize("name, value", [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_TRACES_SAMPLER", "often"),
                                         ("OTEL_EXPORTER_OTLP_HEADERS", "secret"),
                                         ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost")])
def test_a_variable_without_meaning_is_refused_by_its_name(place, name, value):
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", name: value}
    done = place.evlog("produce", place.topic, "a", env=env)
    assert done.code == 2 and name in done.err and "secret" not in done.err, done.err
    assert headers(place) == []


def ids(holder):
    return holder["traceId"], holder["spanId"]


def linked(span):
    """What a span links to: the publication, and where its event lies."""
    return {(*ids(link), int(link["attributes"]["messaging.destination.partition.id"]),
             link["attributes"]["messaging.kafka.offset"]) for link in span["links"]}


def received(collector, topic):
    """The spans of fetches, each of which begins a trace of its own."""
    spans = collector.named(f"receive {topic}")
    for span in spans:
        assert span["parentSpanId"] == "" and span["kind"] == 3 and span["status"] == {}
        assert span["attributes"]["messaging.operation.type"] == "receive"
        assert "messaging.destination.partition.id" in span["attributes"]
    return spans


def run_projection(place, collector, *args, text=LEDGER, name="p"):
    runner = Runner(place.folder, place.bootstrap, place.topic, text, name)
    return place.evlog("project", "run", runner.path, "--db", runner.url, "--until-caught-up", *args,
                       env=collector.env("rows"))


def test_a_trace_goes_from_publication_to_worker_and_projection(place):
    """Goal: from one event's publication all that became of it is found. Two events of one batch, so that a link is
    not told by chance."""
    with Collector() as collector:
        for lines in (cloudevents(2, 1), cloudevents(3, 1, 2)):
            place.evlog("produce", place.topic, "--cloudevents", "-", stdin="".join(f"{line}\n" for line in lines),
                        expect=0, env=collector.env("shop"))
        place.evlog(*place.words(place.script("exit 0"), "--until-caught-up"), expect=0, env=collector.env("workers"))
        assert run_projection(place, collector).code == 0

        published = collector.named(f"publish {place.topic}")
        handled = collector.named(f"process {place.topic}")
        leases = [span for span in received(collector, place.topic)
                  if span["attributes"].get("messaging.consumer.group.name") == place.group]
        fetches = [span for span in received(collector, place.topic)
                   if span["attributes"].get("evlog.projection.name") == "ledger"]
        assert len(leases) + len(fetches) == len(collector.named(f"receive {place.topic}"))
    assert len(published) == 5
    every = {(*ids(span), 0, span["attributes"]["messaging.kafka.offset"]) for span in published}
    workers = [span for span in handled if span["resource"]["service.name"] == "workers"]
    assert {(span["traceId"], span["parentSpanId"]) for span in workers} == {ids(span) for span in published}
    transactions = [span for span in handled if span["resource"]["service.name"] == "rows"]
    for what in (leases, transactions, fetches):
        assert what and set.union(*map(linked, what)) == every
        assert sum(span["attributes"]["messaging.batch.message_count"] for span in what) == 5
    for span in transactions:
        assert span["parentSpanId"] == "" and span["kind"] == 5 and span["status"] == {}
        assert span["traceId"] not in {other["traceId"] for other in published}
        assert span["attributes"]["evlog.projection.name"] == "ledger"
        assert span["attributes"]["messaging.operation.type"] == "process"
        assert "messaging.destination.partition.id" not in span["attributes"]
        assert "droppedLinksCount" not in span
    fetched = min(int(span["startTimeUnixNano"]) for span in fetches)
    assert fetched <= int(transactions[0]["startTimeUnixNano"])


def test_a_transaction_that_fails_says_so_in_its_span(place):
    text = LEDGER + "\n-- on Broken\nINSERT INTO account VALUES (:key, NULL, 1);\n"
    event = '{"specversion":"1.0","id":"x","source":"/t","type":"Broken","subject":"a","data":{}}\n'
    with Collector() as collector:
        place.evlog("produce", place.topic, "--cloudevents", "-", stdin=event, expect=0, env=collector.env())
        done = run_projection(place, collector, text=text)
        publish, = collector.named(f"publish {place.topic}")
        tried = collector.named(f"process {place.topic}")
    assert done.code != 0 and "NOT NULL" in done.err
    assert tried
    for span in tried:
        assert span["status"]["code"] == 2 and "NOT NULL" in span["status"]["message"]
        assert span["attributes"]["error.type"].startswith("EVLOG_ERR_")
        assert [ids(link) for link in span["links"]] == [ids(publish)]


def test_readers_of_every_kind_tell_what_a_fetch_brought(place):
    with Collector() as collector:
        place.evlog("produce", place.topic, stdin="a\nb\n", expect=0, env=collector.env())
        published = {(*ids(span), 0, span["attributes"]["messaging.kafka.offset"])
                     for span in collector.named(f"publish {place.topic}")}
        for words in ([], ["-g", f"{place.topic}-g", "-X", "auto.offset.reset=earliest", "-n", 2]):
            with Collector() as its:
                place.evlog("consume", place.topic, *words, expect=0, env=its.env())
                spans = received(its, place.topic)
                assert set.union(*map(linked, spans)) == published
                assert sum(span["attributes"]["messaging.batch.message_count"] for span in spans) == 2
                groups = {span["attributes"].get("messaging.consumer.group.name") for span in spans}
                assert groups == {f"{place.topic}-g" if words else None}


def test_links_are_bounded_and_what_is_left_out_is_counted(place):
    with Collector() as collector:
        place.evlog("produce", place.topic, stdin="a\n" * 300, expect=0, env=collector.env())
        place.evlog("consume", place.topic, expect=0, env=collector.env())
        spans = received(collector, place.topic)
    left_out = sum(span.get("droppedLinksCount", 0) for span in spans)
    assert all(len(span["links"]) <= 128 for span in spans)
    assert sum(len(span["links"]) for span in spans) + left_out == 300


def test_events_that_nobody_traces_leave_no_spans_of_projections(place):
    event = {"ce_specversion": "1.0", "ce_id": "x", "ce_source": "/t", "ce_type": "Paid", "traceparent": NOT_SAMPLED}
    words = [word for name, value in event.items() for word in ("-H", f"{name}={value}")]
    with Collector() as collector:
        place.evlog("produce", place.topic, "-k", "a", *words, '{"amount": 1}', expect=0)
        done = run_projection(place, collector)
        assert done.code == 0, done.err
        assert collector.spans == []
    assert Runner(place.folder, place.bootstrap, place.topic).ask("SELECT balance FROM account") == [(1,)]
