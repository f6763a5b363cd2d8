"""What the HTTP exporters do when the other side misbehaves: nothing is lost that could be kept, nothing hangs."""
import email.utils
import json
import signal
import socket
import ssl
import threading
import time

import pytest

import faults
import servers
from lib.waiting import wait_until

ITEM = ("--label", "service_name=shop", "made:2:5:cpu")
OK = faults.answer(200)


def to(server, **more):
    scheme = "https" if server.tls else "http"
    return {"type": "pyroscope", "url": f"{scheme}://127.0.0.1:{server.port}", "timeout": "5s", **more}


def soon(**more):
    return {"retry_on_failure": {"initial_interval": "10ms", "max_interval": "50ms"}, **more}


def test_a_refused_connection_is_tried_again(push):
    (port,) = servers.free_ports(1)
    result = push({"type": "pyroscope", "url": f"http://127.0.0.1:{port}", **soon()}, "--wait", 0.5, *ITEM)
    assert result.exporters["pyroscope"]["state"] == "failing"
    assert result.retried()["connect"] >= 2
    assert result.dropped() == {}, "it stays on disk"


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("value,least,most", [
    ("7", 6.0, 8.0), ("DATE", 5.0, 8.0), ("1000000000", 299.0, 331.0), ("0", 0, 4.1), ("-1", 0, 4.1),
    ("soon", 0, 4.1), ("7 s", 0, 4.1), ("PAST", 0, 4.1), (None, 0, 4.1)])
def test_retry_after_is_honoured_and_nonsense_counts_as_absent(push, status, value, least, most):
    dates = {"DATE": email.utils.formatdate(time.time() + 7, usegmt=True),
             "PAST": email.utils.formatdate(time.time() - 70, usegmt=True)}
    headers = [] if value is None else [f"Retry-After: {dates.get(value, value)}"]
    with faults.serving(faults.scripted(faults.answer(status, *headers))) as server:
        result = push(to(server), "--wait", 0.15, *ITEM)
        assert result.retried().get(f"status_{status}", 0) >= 1
        assert least <= result.exporters["pyroscope"]["retry_in_s"] <= most


@pytest.mark.parametrize("status", [401, 403, 404, 302])
def test_what_an_operator_must_mend_is_kept_and_tried_once_a_minute(push, status):
    with faults.serving(faults.scripted(faults.answer(status))) as server:
        result = push(to(server), "--wait", 0.3, *ITEM)
        assert 55 < result.exporters["pyroscope"]["retry_in_s"] < 70
        assert result.exporters["pyroscope"]["queued"] == 1


@pytest.mark.parametrize("status", [408, 425, 499])
def test_what_only_passes_is_tried_again(push, status):
    with faults.serving(faults.scripted(faults.answer(status), OK)) as server:
        result = push(to(server, **soon()), *ITEM)
        assert result.retried() == {f"status_{status}": 1} and result.exporters["pyroscope"]["delivered"] == 1


def test_a_web_page_that_answers_everything_with_200_is_no_delivery(push):
    page = faults.answer(200, "Content-Type: text/html; charset=UTF-8", body=b"<!doctype html><title>Dashboards</title>")
    with faults.serving(faults.scripted(page)) as server:
        for target in (to(server), otlp(server)):
            result = push(target, "--wait", 0.3, *ITEM)
            exporter = result.exporters[target["type"]]
            assert exporter["queued"] == 1 and 55 < exporter["retry_in_s"] < 70
            assert result.retried() == {"web_page": 1} and "web page" in exporter["last_error"]


@pytest.mark.parametrize("status", [400, 405, 409, 415, 422])
def test_a_poison_profile_is_given_up_once_and_the_next_goes_through(push, status):
    handler = faults.scripted(faults.answer(status), OK)
    with faults.serving(handler) as server:
        result = push(to(server), "--repeat", 2, *ITEM)
        assert result.dropped() == {f"status_{status}": 1}
        assert result.exporters["pyroscope"]["delivered"] == 1
        assert len(handler.requests) == 2 and handler.times[1] - handler.times[0] < 1


def test_413_splits_once_and_then_gives_up(push):
    handler = faults.scripted(faults.answer(413))
    with faults.serving(handler) as server:
        assert push(to(server), *ITEM).dropped() == {"too_large": 1}
        sizes = [len(body) for _, body in handler.requests]
        assert len(sizes) == 2 and sizes[1] < sizes[0]
    handler = faults.scripted(faults.answer(413), OK)
    with faults.serving(handler) as server:
        assert push(to(server), *ITEM).exporters["pyroscope"]["delivered"] == 1
        assert len(handler.requests) == 3, "the whole, then two halves"


def test_a_retry_goes_on_behind_what_was_delivered(push):
    handler = faults.scripted(faults.answer(413), OK, faults.answer(503), OK)
    with faults.serving(handler) as server:
        assert push(to(server, **soon()), *ITEM).exporters["pyroscope"]["delivered"] == 1
    bodies = [body for _, body in handler.requests]
    assert len(bodies) in (4, 5)
    assert all(body != bodies[1] for body in bodies[2:]), "the delivered half is not sent again"


@pytest.mark.parametrize("status,word", [(200, "delivered"), (503, "retried")])
def test_an_endless_reply_is_cut_at_its_cap_and_judged_by_its_status(push, status, word):
    sent = []

    def endless(connection):
        connection.sendall(f"HTTP/1.1 {status} X\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        try:
            while sum(sent) < 64 << 20:
                connection.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
                sent.append(0x4000)
        finally:
            connection.close()

    with faults.serving(faults.scripted(endless)) as server:
        result = push(to(server), "--wait", 1 if word == "retried" else 20, *ITEM)
        assert sum(sent) < 16 << 20, "the reply was read to its end"
        if word == "delivered":
            assert result.exporters["pyroscope"]["delivered"] == 1
        else:
            assert result.retried()["status_503"] >= 1


def test_headers_of_10_mb_are_cut(push):
    def large(connection):
        connection.sendall(b"HTTP/1.1 400 X\r\n")
        for n in range(2500):
            connection.sendall(f"X-{n}: ".encode() + b"y" * 4000 + b"\r\n")

    with faults.serving(faults.scripted(large)) as server:
        result = push(to(server), *ITEM)
        assert result.dropped() == {"status_400": 1}


def test_a_redirect_is_not_followed_and_no_token_leaves_the_origin(push):
    with faults.serving(faults.scripted(OK)) as elsewhere:
        moved = faults.answer(307, f"Location: http://127.0.0.1:{elsewhere.port}/")
        with faults.serving(faults.scripted(moved)) as server:
            result = push(to(server, bearer_token="secret-canary"), "--wait", 0.5, *ITEM)
            assert elsewhere.connections == 0
            assert result.retried() == {"status_3xx": 1}
            assert "secret-canary" not in result.stderr + result.metrics


def test_a_reply_that_never_ends_its_headers_runs_into_the_timeout(push):
    def drip(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while True:
            connection.sendall(b"y")
            time.sleep(0.2)

    with faults.serving(faults.scripted(drip)) as server:
        start = time.monotonic()
        result = push(to(server, timeout="1s"), "--wait", 1.5, *ITEM)
        assert result.retried() == {"timeout": 1}
        assert time.monotonic() - start < 5


def test_a_slow_reply_is_given_up_long_before_its_timeout(push):
    def drip(connection):
        connection.sendall(b"HTTP/1.1 ")
        while True:
            connection.sendall(b"2")
            time.sleep(1)

    with faults.serving(faults.scripted(drip)) as server:
        result = push(to(server, timeout="60s"), "--wait", 13, "--stop", 0.1, *ITEM, timeout=60)
        assert result.retried() == {"timeout": 1}


def test_a_connection_cut_in_mid_body_is_tried_again(push):
    def cut(connection, number):
        if number == 1:
            connection.recv(100)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            return
        faults.scripted(OK)(connection, number)

    with faults.serving(cut) as server:
        result = push(to(server, **soon()), *ITEM)
        assert result.exporters["pyroscope"]["delivered"] == 1
        assert sum(result.retried().values()) == 1


@pytest.mark.parametrize("garbage", [
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzzz\r\n", b"\0\1\2garbage\r\n\r\n", b"SSH-2.0-x\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 3000, b"HTTP/1.1 999999 X\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx"])
def test_garbage_has_a_verdict_and_the_next_attempt_is_made(push, garbage):
    def reply(connection):
        connection.sendall(garbage)
        connection.close()

    with faults.serving(faults.scripted(reply, OK)) as server:
        result = push(to(server, **soon()), "--wait", 5, *ITEM)
        exporter = result.exporters["pyroscope"]
        assert exporter["delivered"] + exporter["dropped"] == 1


def test_an_exporter_that_is_down_does_not_delay_another(push):
    hole = socket.socket()
    hole.bind(("127.0.0.1", 0))
    hole.listen(64)
    with servers.start_receiver() as backend:
        dead = {"type": "pyroscope", "name": "dead", "url": f"http://127.0.0.1:{hole.getsockname()[1]}", "timeout": "60s"}
        result = push([dead, backend.exporter(name="alive")], "--wait", 2, "--stop", 0.5, "--repeat", 20, *ITEM)
        assert result.exporters["alive"]["delivered"] == 20
        assert result.exporters["dead"]["delivered"] == 0
        assert len(backend.inner.accepted) == 20
        assert result.stop_seconds < 2
    hole.close()


def test_sigterm_ends_within_the_deadline_however_the_backend_hangs(push):
    hole = socket.socket()
    hole.bind(("127.0.0.1", 0))
    hole.listen(64)
    address = f"http://127.0.0.1:{hole.getsockname()[1]}"
    every = [{"type": "pyroscope", "url": address, "timeout": "60s"}, {"type": "parca", "url": address, "timeout": "60s"},
             {"type": "otlp", "url": address, "timeout": "60s"}]
    process = push.start(every, "--wait", 60, "--stop", 1, *ITEM)
    time.sleep(0.5)
    start = time.monotonic()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert time.monotonic() - start < 5
    assert process.returncode == 0 and "left behind" not in err
    assert json.loads(out)["stop_seconds"] < 2
    hole.close()


def test_the_end_tries_once_more_what_waits_for_a_retry(push):
    handler = faults.scripted(faults.answer(503, "Retry-After: 200"), OK)
    with faults.serving(handler) as server:
        result = push(to(server), "--wait", 0.3, "--stop", 3, "--repeat", 3, *ITEM)
        assert len(handler.requests) == 4
        assert result.dropped() == {}


def test_max_elapsed_time_gives_a_profile_up(push):
    with faults.serving(faults.scripted(faults.answer(503))) as server:
        retry = {"initial_interval": "20ms", "max_interval": "30ms", "max_elapsed_time": "200ms"}
        result = push(to(server, retry_on_failure=retry), "--wait", 10, *ITEM)
        assert result.dropped() == {"retries_exhausted": 1}
        assert result.seconds < 8


def test_a_profile_that_is_always_answered_with_500_does_not_hold_up_the_others(push):
    others = []

    def handler(connection, _):
        while request := faults.read_request(connection):
            bad = b"series-0" in request[1]
            refused = bad and len(others) < 16
            if not bad:
                others.append(request)
            connection.sendall(faults.answer(500 if refused else 200))

    with faults.serving(handler) as server:
        result = push(to(server, **soon()), "--series", 5, "--repeat", 4, "--wait", 20, "made:2:5:cpu")
        assert len(others) == 16 and result.exporters["pyroscope"]["delivered"] == 20, result.exporters
        assert result.retried()["status_500"] >= 1


def test_70_percent_of_errors_lose_nothing(push):
    count, lock = [0], threading.Lock()
    accepted = set()

    def handler(connection, _):
        while True:
            request = faults.read_request(connection)
            if request is None:
                return
            with lock:
                count[0] += 1
                n = count[0]
            if n % 10 < 4:
                connection.sendall(faults.answer(503))
            elif n % 10 < 7:
                return  # cut after the request was read
            else:
                accepted.add(request[1])
                connection.sendall(OK)

    with faults.serving(handler) as server:
        result = push(to(server, **soon()), "--repeat", 30, "--wait", 30, *ITEM)
        assert result.exporters["pyroscope"]["delivered"] == 30
        assert len(accepted) == 30 and result.dropped() == {}


# ---- TLS ----

@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return faults.Certificates(tmp_path_factory.mktemp("certificates"))


def tls_server(certificates, name, kind="pyroscope", **limits):
    if kind == "pyroscope":
        return faults.serving(faults.scripted(OK), certificates.server(name, **limits))
    return faults.serving(faults.h2_handler(faults.h2_ok), certificates.server(name, "h2", **limits))


@pytest.mark.parametrize("kind", ["pyroscope", "parca"])
@pytest.mark.parametrize("name", ["expired", "wrong-host", "unknown-ca"])
def test_a_bad_certificate_gets_no_byte_of_a_profile(push, certificates, kind, name):
    with tls_server(certificates, name, kind) as server:
        result = push(to(server, type=kind, tls_config={"ca_file": certificates.ca()}), "--wait", 0.5, *ITEM)
        assert result.exporters[kind]["delivered"] == 0
        assert result.retried().get("tls", 0) >= 1, result.retried()
        assert "certificate" in result.exporters[kind]["last_error"].lower()


@pytest.mark.parametrize("kind", ["pyroscope", "parca"])
def test_a_good_certificate_and_one_found_by_its_name_are_taken(push, certificates, kind):
    with tls_server(certificates, "good", kind) as server:
        result = push(to(server, type=kind, tls_config={"ca_file": certificates.ca()}), *ITEM)
        assert result.exporters[kind]["delivered"] == 1, result.exporters
    with tls_server(certificates, "wrong-host", kind) as server:
        named = {"ca_file": certificates.ca(), "server_name": "elsewhere.example"}
        result = push(to(server, type=kind, tls_config=named), *ITEM)
        assert result.exporters[kind]["delivered"] == 1, result.exporters


@pytest.mark.parametrize("kind", ["pyroscope", "parca"])
def test_verification_can_be_switched_off_by_name_only(push, certificates, kind):
    with tls_server(certificates, "expired", kind) as server:
        result = push(to(server, type=kind, tls_config={"insecure_skip_verify": True}), *ITEM)
        assert result.exporters[kind]["delivered"] == 1, result.exporters


@pytest.mark.parametrize("kind", ["pyroscope", "parca"])
def test_the_oldest_tls_version_is_kept(push, certificates, kind):
    with tls_server(certificates, "good", kind, maximum_version=ssl.TLSVersion.TLSv1_2) as server:
        config = {"ca_file": certificates.ca(), "min_version": "1.3"}
        result = push(to(server, type=kind, tls_config=config), "--wait", 0.5, *ITEM)
        assert result.exporters[kind]["delivered"] == 0 and result.retried().get("tls", 0) >= 1


@pytest.mark.parametrize("kind", ["pyroscope", "parca"])
def test_a_stalled_handshake_ends_within_the_connect_deadline(push, kind):
    def stall(connection, _):
        time.sleep(60)

    with faults.serving(stall) as server:
        target = {"type": kind, "url": f"https://127.0.0.1:{server.port}", "timeout": "60s"}
        result = push(target, "--wait", 7, "--stop", 0.1, *ITEM, timeout=60)
        assert result.retried() == {"timeout": 1}


def test_a_client_certificate_is_shown(push, certificates):
    context = certificates.server("good")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates.ca())
    client = {"ca_file": certificates.ca(), "cert_file": str(certificates.folder / "wrong-host.pem"),
              "key_file": str(certificates.folder / "wrong-host.key")}
    with faults.serving(faults.scripted(OK), context) as server:
        assert push(to(server, tls_config=client), *ITEM).exporters["pyroscope"]["delivered"] == 1
        bare = push(to(server, tls_config={"ca_file": certificates.ca()}), "--wait", 0.5, *ITEM)
        assert bare.exporters["pyroscope"]["delivered"] == 0


@pytest.mark.parametrize("kind,version", [
    ("pyroscope", ssl.TLSVersion.TLSv1_2), ("parca", ssl.TLSVersion.TLSv1_2), ("parca", ssl.TLSVersion.TLSv1_3)])
def test_a_client_certificate_that_is_missing_is_what_the_log_says(push, certificates, kind, version):
    """With TLS 1.3 the server says so only after the handshake; libcurl then may have nothing to tell but the cut."""
    context = certificates.server("good", "h2" if kind == "parca" else None, maximum_version=version)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates.ca())
    handler = faults.scripted(OK) if kind == "pyroscope" else faults.h2_handler(faults.h2_ok)
    with faults.serving(handler, context) as server:
        result = push(to(server, type=kind, tls_config={"ca_file": certificates.ca()}), "--wait", 0.5, *ITEM)
        assert result.exporters[kind]["delivered"] == 0
        said = result.exporters[kind]["last_error"].lower()
        assert "certificate required" in said or "handshake failure" in said, said


def test_it_recovers_by_itself_when_the_trusted_file_is_mended(push, certificates, tmp_path):
    trusted = tmp_path / "ca.pem"
    trusted.write_bytes((certificates.folder / "other-ca.pem").read_bytes())
    with tls_server(certificates, "good") as server:
        process = push.start(to(server, tls_config={"ca_file": str(trusted)}, **soon()), "--wait", 20, *ITEM)
        wait_until(lambda: server.connections >= 2, what="two refused handshakes")
        trusted.write_bytes((certificates.folder / "ca.pem").read_bytes())
        out, _ = process.communicate(timeout=30)
        assert json.loads(out)["exporters"]["pyroscope"]["delivered"] == 1


# ---- credentials, proxies, sockets ----

def header(request, name):
    for line in request[0].split("\r\n")[1:]:
        key, _, value = line.partition(":")
        if key.lower() == name.lower():
            return value.strip()
    return None


@pytest.mark.parametrize("settings,value", [
    ({"basic_auth": {"username": "user", "password": "pass"}}, "Basic dXNlcjpwYXNz"),
    ({"bearer_token": "abc"}, "Bearer abc"),
    ({"authorization": {"type": "Token", "credentials_file": "FILE"}}, "Token from-file"),
    ({"bearer_token_file": "FILE"}, "Bearer from-file")])
def test_credentials_are_sent_to_the_backend(push, tmp_path, settings, value):
    (tmp_path / "secret").write_text("from-file\n", encoding="utf-8")
    settings = json.loads(json.dumps(settings).replace("FILE", str(tmp_path / "secret")))
    handler = faults.scripted(OK)
    with faults.serving(handler) as server:
        push(to(server, headers={"X-Extra": "more"}, **settings), *ITEM)
        assert header(handler.requests[0], "Authorization") == value
        assert header(handler.requests[0], "X-Extra") == "more"


def test_a_secret_file_is_read_again_when_it_changes(push, tmp_path):
    secret = tmp_path / "token"
    secret.write_text("old", encoding="utf-8")

    def refuse(connection):
        secret.write_text("new", encoding="utf-8")
        connection.sendall(faults.answer(503))

    handler = faults.scripted(refuse, OK)
    with faults.serving(handler) as server:
        push(to(server, bearer_token_file=str(secret), **soon()), *ITEM)
        assert [header(request, "Authorization") for request in handler.requests] == ["Bearer old", "Bearer new"]


def test_a_missing_secret_file_is_named_and_waited_for(push, tmp_path):
    with faults.serving(faults.scripted(OK)) as server:
        result = push(to(server, bearer_token_file=str(tmp_path / "absent")), "--wait", 0.3, *ITEM)
        assert server.connections == 0 and result.retried() == {"auth": 1}
        assert "absent" in result.exporters["pyroscope"]["last_error"]


def test_the_lanes_of_an_exporter_share_one_oauth2_token(push):
    """Each asked for a token of its own: up to 64 at once."""
    tokens = faults.scripted(*[faults.answer(200, "Content-Type: application/json",
                                             body=b'{"access_token":"one","expires_in":3600}')] * 64)
    with faults.serving(tokens) as issuer, servers.start_receiver(delay=0.3) as backend:
        oauth2 = {"client_id": "me", "client_secret": "s", "token_url": f"http://127.0.0.1:{issuer.port}/token"}
        result = push(dict(backend.exporter(), oauth2=oauth2), "--wait", 30, "--series", 40, "made:1:2:cpu", timeout=60)
        assert result.exporters["pyroscope"]["delivered"] == 40, result.exporters
        assert backend.inner.most_at_once > 4, "several lanes"
        assert len(tokens.requests) == 1


def test_a_server_of_tokens_in_trouble_is_asked_again_soon(push):
    """Only what it refuses is for a person to mend."""
    good = faults.answer(200, "Content-Type: application/json", body=b'{"access_token":"one","expires_in":3600}')
    tokens = faults.scripted(faults.answer(503), faults.answer(429), good)
    with faults.serving(tokens) as issuer, faults.serving(faults.scripted(OK)) as server:
        oauth2 = {"client_id": "me", "client_secret": "s", "token_url": f"http://127.0.0.1:{issuer.port}/token"}
        result = push(to(server, oauth2=oauth2, **soon()), "--wait", 10, *ITEM)
        assert result.retried() == {"token": 2} and result.exporters["pyroscope"]["delivered"] == 1, result.exporters


def test_an_oauth2_token_is_fetched_once_and_again_after_401(push):
    tokens = faults.scripted(
        faults.answer(200, "Content-Type: application/json", body=b'{"access_token":"one","expires_in":3600}'),
        faults.answer(200, "Content-Type: application/json", body=b'{"access_token":"two","expires_in":3600}'))
    backend = faults.scripted(OK, OK, faults.answer(401))
    with faults.serving(tokens) as issuer, faults.serving(backend) as server:
        oauth2 = {"client_id": "me", "client_secret": "s p&", "token_url": f"http://127.0.0.1:{issuer.port}/token",
                  "scopes": ["a", "b"]}
        push(to(server, oauth2=oauth2), "--repeat", 3, "--wait", 0.5, "--stop", 2, *ITEM)
        assert [header(request, "Authorization") for request in backend.requests] == [
            "Bearer one", "Bearer one", "Bearer one", "Bearer two"]
        assert len(tokens.requests) == 2
        assert tokens.requests[0][1] == b"grant_type=client_credentials&scope=a%20b"
        assert header(tokens.requests[0], "Authorization") == "Basic bWU6cyUyMHAlMjY="


@pytest.mark.parametrize("kind", ["pyroscope", "parca"])
def test_a_proxy_is_used_for_what_no_proxy_does_not_name(push, kind):
    seen = []

    def proxy(connection, _):
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        line = head.split(b"\r\n")[0].decode()
        seen.append((line, head.decode("latin-1")))
        if line.startswith("CONNECT"):
            connection.sendall(b"HTTP/1.1 200 ok\r\n\r\n")
            faults.h2_handler(faults.h2_ok)(connection, 1)
        else:
            connection.sendall(OK)

    with faults.serving(proxy) as server:
        target = {"type": kind, "url": "http://backend.example:4040", "proxy_url": f"http://127.0.0.1:{server.port}",
                  "bearer_token": "canary"}
        assert push(target, *ITEM).exporters[kind]["delivered"] == 1
        line, head = seen[0]
        assert "backend.example:4040" in line
        if kind == "parca":
            assert line.startswith("CONNECT") and "canary" not in head, "the proxy sees no credentials"
        around = push({**target, "no_proxy": "backend.example"}, "--wait", 0.5, *ITEM)
        assert around.exporters[kind]["delivered"] == 0 and len(seen) == 1


@pytest.mark.parametrize("kind", ["pyroscope", "parca"])
def test_a_proxy_that_wants_a_password_costs_no_profile(push, kind):
    seen = []

    def proxy(connection, _):
        while request := faults.read_request(connection):
            seen.append(request)
            if header(request, "Proxy-Authorization") != "Basic bWU6cDp3":  # me:p:w
                connection.sendall(faults.answer(407, "Proxy-Authenticate: Basic realm=x"))
                continue
            if request[0].startswith("CONNECT"):
                connection.sendall(b"HTTP/1.1 200 ok\r\n\r\n")
                return faults.h2_handler(faults.h2_ok)(connection, 1)
            connection.sendall(OK)
        return None

    with faults.serving(proxy) as server:
        target = {"type": kind, "url": "http://backend.example:4040"}
        result = push({**target, "proxy_url": f"http://127.0.0.1:{server.port}"}, "--wait", 0.3, *ITEM)
        assert result.exporters[kind]["queued"] == 1 and result.dropped() == {}, result.exporters
        assert "407" in result.exporters[kind]["last_error"]
        result = push({**target, "proxy_url": f"http://me:p%3Aw@127.0.0.1:{server.port}"}, *ITEM)
        assert result.exporters[kind]["delivered"] == 1, result.exporters
        assert "p:w" not in result.stderr and "p%3Aw" not in result.stderr


@pytest.mark.parametrize("kind", ["pyroscope", "parca"])
def test_the_proxy_of_the_environment_is_not_asked_for_a_backend_on_loopback(push, kind):
    handler = faults.scripted(OK) if kind == "pyroscope" else faults.h2_handler(faults.h2_ok)
    with faults.serving(handler) as server:
        proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:1")
        result = push(to(server, type=kind), "--wait", 2, *ITEM, environment=proxies)
        assert result.exporters[kind]["delivered"] == 1, result.exporters


@pytest.mark.parametrize("kind", ["pyroscope", "parca"])
def test_a_unix_socket_is_an_address(push, tmp_path, kind):
    handler = faults.scripted(OK) if kind == "pyroscope" else faults.h2_handler(faults.h2_ok)
    with faults.serving(handler, path=tmp_path / "backend.sock"):
        result = push({"type": kind, "url": f"unix:{tmp_path}/backend.sock"}, *ITEM)
        assert result.exporters[kind]["delivered"] == 1, result.exporters


@pytest.mark.parametrize("kind", ["pyroscope", "parca"])
def test_a_name_that_does_not_resolve_is_tried_again(push, kind):
    result = push({"type": kind, "url": "http://nowhere.invalid:4040"}, "--wait", 1, *ITEM)
    assert result.exporters[kind]["state"] in ("failing", "idle")
    assert result.exporters[kind]["delivered"] == 0


# ---- OTLP over HTTP ----

def otlp(server, **more):
    return {"type": "otlp", "protocol": "http/protobuf", "url": f"http://127.0.0.1:{server.port}", **soon(), **more}


def test_a_partial_success_is_never_sent_again(push):
    body = b"\x0a\x0e\x08\x01\x12\x0anot today!"
    with faults.serving(faults.scripted(faults.answer(200, body=body))) as server:
        result = push(otlp(server), *ITEM)
        assert result.dropped() == {"partial_success": 1}
        assert "not today!" in result.exporters["otlp"]["last_error"]
        assert server.connections == 1


def test_a_500_of_a_receiver_that_cannot_convert_does_not_block_for_ever(push):
    handler = faults.scripted(*[faults.answer(500)] * 5, OK)
    with faults.serving(handler) as server:
        result = push(otlp(server), "--repeat", 2, "--wait", 10, *ITEM)
        assert result.dropped() == {"status_500": 1}
        assert result.exporters["otlp"]["delivered"] == 1


def test_the_path_is_added_once(push):
    handler = faults.scripted(OK)
    with faults.serving(handler) as server:
        base = f"http://127.0.0.1:{server.port}"
        for url in (base, base + "/", base + "/v1development/profiles", base + "/otlp"):
            push(otlp(server, url=url), *ITEM)
        paths = [request[0].split()[1] for request in handler.requests]
        assert paths == ["/v1development/profiles"] * 3 + ["/otlp/v1development/profiles"]
        assert header(handler.requests[0], "Content-Type") == "application/x-protobuf"
        assert header(handler.requests[0], "Content-Encoding") == "gzip"
