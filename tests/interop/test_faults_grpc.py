"""What the gRPC exporters do when the HTTP/2 on the other side is broken, hostile or full."""
import base64
import struct
import time

import pytest

import faults
from faults import (ACK, CONTINUATION, DATA, END_HEADERS, GOAWAY, HEADERS, PING, RST, SETTINGS, frame, header_block,
                    reply_headers, trailers, trailers_only)

ITEM = ("--label", "service_name=shop", "made:2:5:cpu")
SOON = {"retry_on_failure": {"initial_interval": "10ms", "max_interval": "50ms"}}
KINDS = ["parca", "otlp"]


def to(server, kind="parca", **more):
    return {"type": kind, "url": f"http://127.0.0.1:{server.port}", "timeout": "5s", **SOON, **more}


def once(first, settings=b""):
    """A server whose first connection misbehaves and whose later ones answer OK."""
    return faults.serving(faults.h2_handler(first, faults.h2_ok, settings))


def after_request(data):
    def misbehave(h2):
        stream, _ = h2.request()
        h2.send(data(stream) if callable(data) else data)
        faults.h2_ok(h2)

    return misbehave


@pytest.mark.parametrize("kind", KINDS)
def test_many_calls_share_one_connection(push, kind):
    with faults.serving(faults.h2_handler(faults.h2_ok)) as server:
        result = push(to(server, kind), "--repeat", 20, *ITEM)
        assert result.exporters[kind]["delivered"] == 20 and server.connections == 1


@pytest.mark.parametrize("code,word", [("14", "unavailable"), ("4", "deadline"), ("10", "aborted"), ("1", "cancelled")])
def test_a_passing_status_is_tried_again(push, code, word):
    with once(after_request(lambda stream: trailers_only(stream, code, ("grpc-message", "come%20back")))) as server:
        result = push(to(server), *ITEM)
        assert result.exporters["parca"]["delivered"] == 1 and result.retried() == {word: 1}
        assert "come back" in result.exporters["parca"]["last_error"]


@pytest.mark.parametrize("code,word", [("3", "invalid_argument"), ("9", "failed_precondition"), ("6", "already_exists")])
def test_a_poison_profile_is_given_up_once(push, code, word):
    with once(after_request(lambda stream: trailers_only(stream, code))) as server:
        result = push(to(server), "--repeat", 2, *ITEM)
        assert result.dropped() == {word: 1} and result.exporters["parca"]["delivered"] == 1
        assert server.connections == 1


@pytest.mark.parametrize("code", ["7", "16", "12"])
def test_what_an_operator_must_mend_is_tried_once_a_minute(push, code):
    def deny(h2):
        while True:
            h2.send(trailers_only(h2.request()[0], code))

    with faults.serving(faults.h2_handler(deny)) as server:
        result = push(to(server), "--wait", 0.3, *ITEM)
        assert 55 < result.exporters["parca"]["retry_in_s"] < 70


def status_details(seconds):
    def field(number, data):
        return bytes([number << 3 | 2, len(data)]) + data

    duration = b"\x08" + bytes([seconds])
    any_message = field(1, b"type.googleapis.com/google.rpc.RetryInfo") + field(2, field(1, duration))
    return base64.b64encode(b"\x08\x08" + field(2, b"slow down") + field(3, any_message)).rstrip(b"=")


def test_resource_exhausted_with_retry_info_waits_as_told(push):
    def slow_down(h2):
        while True:
            h2.send(trailers_only(h2.request()[0], "8", ("grpc-status-details-bin", status_details(77))))

    with faults.serving(faults.h2_handler(slow_down)) as server:
        result = push(to(server), "--wait", 0.3, *ITEM)
        assert 70 < result.exporters["parca"]["retry_in_s"] < 86


def test_resource_exhausted_without_it_gives_up_after_a_few_attempts(push):
    def full(h2):
        for _ in range(5):
            h2.send(trailers_only(h2.request()[0], "8"))
        faults.h2_ok(h2)

    with faults.serving(faults.h2_handler(full)) as server:
        result = push(to(server), "--repeat", 2, *ITEM)
        assert result.dropped() == {"resource_exhausted": 1} and result.exporters["parca"]["delivered"] == 1


def test_too_large_told_before_the_upload_ends_is_understood_and_halved(push):
    """Trailers-Only, then RST NO_ERROR, while the client still waits for room to send."""
    stages = []

    def refuse_early(h2):
        stream = h2.headers()
        stages.append(stream)
        h2.send(trailers_only(stream, "8", ("grpc-message", "grpc: received message larger than max (9 vs. 4)")) +
                frame(RST, 0, stream, b"\0\0\0\0"))
        faults.h2_ok(h2)

    with faults.serving(faults.h2_handler(refuse_early)) as server:
        result = push(to(server), "--label", "service_name=shop", "made:1:40000:cpu", "--wait", 20)
        assert result.exporters["parca"]["delivered"] == 1, result.exporters
        assert result.retried() == {} and stages == [1]


def test_unimplemented_compression_falls_back_to_none(push):
    encodings = []

    def no_gzip(h2):
        while True:
            stream, body = h2.request()
            encodings.append(body[0])
            h2.send(trailers_only(stream, "12") if body[0] else faults.ok(stream))

    with faults.serving(faults.h2_handler(no_gzip)) as server:
        result = push(to(server, "otlp"), "--repeat", 2, *ITEM)
        assert result.exporters["otlp"]["delivered"] == 2 and encodings == [1, 0, 0]


@pytest.mark.parametrize("name,first,word", [
    ("goaway before our stream", lambda h2: (h2.headers(), h2.send(frame(GOAWAY, 0, 0, struct.pack(">II", 0, 0))),
                                             time.sleep(5)), "goaway"),
    ("refused stream", lambda h2: (h2.send(frame(RST, 0, h2.headers(), struct.pack(">I", 7))), faults.h2_ok(h2)),
     "refused_stream"),
    ("reset", lambda h2: (h2.send(frame(RST, 0, h2.headers(), struct.pack(">I", 2))), faults.h2_ok(h2)), "reset"),
    ("cut before an answer", lambda h2: h2.request(), "cut"),
    ("cut in the answer", lambda h2: h2.send(reply_headers(h2.request()[0])), "cut"),
    ("cut at once", lambda h2: None, "cut"),
    ("no status", lambda h2: (h2.send(reply_headers(h2.request()[0], end=True)), faults.h2_ok(h2)), "bad_reply"),
    ("unknown frame order", lambda h2: (h2.request(), h2.send(frame(CONTINUATION, END_HEADERS, 1, b""))), "cut"),
    ("frame larger than allowed", lambda h2: (h2.request(), h2.send(b"\xff\xff\xff\0\0\0\0\0\1")), "cut"),
    ("broken header compression", lambda h2: (h2.send(frame(HEADERS, END_HEADERS, h2.request()[0], b"\xff" * 40)),
                                              time.sleep(5)), None),
], ids=lambda value: value if isinstance(value, str) and " " in value else "")
def test_a_broken_connection_is_replaced_and_nothing_is_lost(push, name, first, word):
    with once(first) as server:
        result = push(to(server), *ITEM)
        assert result.exporters["parca"]["delivered"] == 1, result.exporters
        assert sum(result.retried().values()) == 1
        if word:
            assert set(result.retried()) <= {word, "bad_reply"}


def test_goaway_between_calls_costs_no_attempt(push):
    def leave_after_one(h2):
        h2.send(faults.ok(h2.request()[0]) + frame(GOAWAY, 0, 0, struct.pack(">II", 1, 0)))
        time.sleep(1)

    with once(leave_after_one) as server:
        result = push(to(server), "--repeat", 3, *ITEM)
        assert result.exporters["parca"]["delivered"] == 3 and server.connections == 2
        assert sum(result.retried().values()) <= 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("farewell", [b"", frame(GOAWAY, 0, 0, struct.pack(">II", 1, 0))], ids=["close", "goaway"])
def test_a_kept_connection_that_ends_as_the_next_call_begins_costs_no_attempt(push, kind, farewell):
    def leave_at_the_second(h2):
        h2.send(faults.ok(h2.request()[0]))
        h2.headers()
        h2.send(farewell)

    with once(leave_at_the_second) as server:
        result = push(to(server, kind), "--repeat", 3, *ITEM)
        assert result.exporters[kind]["delivered"] == 3 and server.connections == 2
        assert result.retried() == {} and "exporter_retry" not in result.stderr


def test_a_window_that_stays_shut_ends_in_a_timeout(push):
    shut = struct.pack(">HI", 4, 0)  # SETTINGS_INITIAL_WINDOW_SIZE = 0

    def wait(h2):
        h2.headers()
        time.sleep(30)

    with once(wait, settings=shut) as server:
        result = push(to(server, timeout="1s"), "--wait", 1.5, *ITEM)
        assert result.retried().get("timeout", 0) >= 1


@pytest.mark.parametrize("name,flood", [
    ("settings", lambda stream: frame(SETTINGS, 0, 0) * 60000),
    ("ping", lambda stream: frame(PING, 0, 0, b"12345678") * 60000),
    ("continuation", lambda stream: frame(HEADERS, 0, stream, header_block((":status", "200"))) +
     frame(CONTINUATION, 0, stream, header_block(("a", "b" * 100))) * 20000),
    ("headers", lambda stream: frame(HEADERS, 0, stream, header_block((":status", "200"), ("a", "b" * 9000))) +
     frame(CONTINUATION, END_HEADERS, stream, header_block(("a", "b" * 9000)))),
    ("empty data", lambda stream: reply_headers(stream) + frame(DATA, 0, stream) * 60000),
    ("large reply", lambda stream: reply_headers(stream) + b"".join(
        frame(DATA, 0, stream, b"x" * 16000) for _ in range(8))),
    ("reset", lambda stream: b"".join(frame(RST, 0, n, b"\0\0\0\2") for n in range(101, 90001, 2))),
    ("acknowledged settings", lambda stream: frame(SETTINGS, ACK, 0) * 60000),
], ids=lambda value: value if isinstance(value, str) else "")
def test_a_flood_ends_the_connection_and_the_profile_is_kept(push, name, flood):
    def misbehave(h2):
        stream, _ = h2.request()
        h2.send(flood(stream))
        time.sleep(5)

    with once(misbehave) as server:
        start = time.monotonic()
        result = push(to(server), *ITEM)
        assert result.exporters["parca"]["delivered"] == 1, result.exporters
        assert server.connections >= 2
        assert "timeout" not in result.retried() and time.monotonic() - start < 10


def test_http_1_on_the_other_side_is_no_answer(push):
    def old(connection, _):
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with faults.serving(old) as server:
        result = push(to(server), "--wait", 0.5, *ITEM)
        assert result.exporters["parca"]["state"] == "failing" and result.exporters["parca"]["queued"] == 1


@pytest.mark.parametrize("status,least", [("503", 0), ("404", 55), ("401", 55)])
def test_a_proxy_that_answers_without_grpc_is_understood(push, status, least):
    def proxy(h2):
        while True:
            stream, _ = h2.request()
            h2.send(frame(HEADERS, END_HEADERS | 1, stream, header_block((":status", status))))

    with faults.serving(faults.h2_handler(proxy)) as server:
        result = push(to(server), "--wait", 0.3, *ITEM)
        assert result.retried().get(f"status_{status}", 0) >= 1
        assert least <= result.exporters["parca"]["retry_in_s"] < 70


def test_a_server_without_alpn_is_refused(push, tmp_path):
    certificates = faults.Certificates(tmp_path)
    with faults.serving(faults.h2_handler(faults.h2_ok), certificates.server("good")) as server:
        target = {**to(server), "url": f"https://127.0.0.1:{server.port}", "tls_config": {"ca_file": certificates.ca()}}
        result = push(target, "--wait", 0.5, *ITEM)
        assert result.retried().get("tls", 0) >= 1 and "ALPN" in result.exporters["parca"]["last_error"]


def test_a_server_that_stops_in_the_middle_of_its_answer_runs_into_the_timeout(push):
    def half(h2):
        stream, _ = h2.request()
        h2.send(reply_headers(stream) + frame(DATA, 0, stream, b"\0\0\0"))
        time.sleep(30)

    with once(half) as server:
        result = push(to(server, timeout="1s"), *ITEM)
        assert result.retried() == {"timeout": 1} and result.exporters["parca"]["delivered"] == 1


def test_metadata_and_credentials_are_sent_in_small_letters(push):
    seen = []

    def look(h2):
        h2._exactly(0)
        while True:
            kind, _, stream, payload = h2.frame()
            if kind == HEADERS:
                seen.append(payload)
            if kind == DATA:
                h2.send(faults.ok(stream))

    with faults.serving(faults.h2_handler(look)) as server:
        result = push(to(server, headers={"X-Team": "kitchen"}, bearer_token="abc"), *ITEM)
        assert result.exporters["parca"]["delivered"] == 1 and len(seen) == 1


def test_trailers_after_a_message_are_the_verdict(push):
    def late(h2):
        stream, _ = h2.request()
        h2.send(reply_headers(stream) + frame(DATA, 0, stream, b"\0\0\0\0\0") + trailers(stream, "3"))
        faults.h2_ok(h2)

    with once(late) as server:
        assert push(to(server), *ITEM).dropped() == {"invalid_argument": 1}
