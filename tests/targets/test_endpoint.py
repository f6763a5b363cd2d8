"""The local HTTP endpoint: what it serves to whom, and what it survives."""
import contextlib
import functools
import gzip
import http.client
import json
import os
import re
import socket
import threading
import time
import urllib.parse

import pytest

import endpoint_demo
from lib.scale import JUDGED
from lib.waiting import wait_until


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with endpoint_demo.serving("--store", tmp_path_factory.mktemp("endpoint") / "store", "--minutes", 5, "--live") as url:
        yield urllib.parse.urlsplit(url)


def ask(address, path, method="GET", body=None, timeout=30, **headers):
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=timeout)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body, headers=named)
        reply = connection.getresponse()
        return reply.status, dict(reply.getheaders()), reply.read()
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/healthz", "/-/healthy", "/readyz", "/-/ready"])
def test_health_and_readiness_answer_ok(address, path):
    status, _, body = ask(address, path)
    assert (status, body) == (200, b"ok\n")


def test_not_ready_is_503_with_the_reason():
    with endpoint_demo.serving("--no-store", "--not-ready", "service shop: no sample for 3 windows") as url:
        where = urllib.parse.urlsplit(url)
        status, _, body = ask(where, "/readyz")
        assert status == 503 and b"no sample for 3 windows" in body
        assert ask(where, "/healthz")[0] == 200


@pytest.mark.threads
def test_metrics_are_prometheus_text(address):
    ask(address, "/nowhere")
    status, headers, body = ask(address, "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    text = body.decode()
    assert re.search(r"^pystrobe_store_profiles \d+$", text, re.M)
    assert re.search(r'^pystrobe_http_requests_total\{path="other",code="404"\} \d+$', text, re.M)
    line = re.compile(r'^(# (HELP|TYPE) .+|[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? -?[0-9.e+-]+)$')
    assert [bad for bad in text.splitlines() if not line.match(bad)] == []


def test_targets_are_json_for_scripts_and_html_for_browsers(address):
    status, headers, body = ask(address, "/debug/targets")
    assert status == 200 and headers["Content-Type"] == "application/json"
    rows = json.loads(body)["targets"]
    assert {"active", "waiting", "skipped", "failed"} == {row["state"] for row in rows}
    failed = next(row for row in rows if row["state"] == "failed")
    assert "CAP_SYS_PTRACE" in failed["reason"] and failed["labels_after"]["pod"] == "pod-<1>"
    status, headers, body = ask(address, "/debug/targets", Accept="text/html,application/xhtml+xml,*/*;q=0.8")
    assert headers["Content-Type"].startswith("text/html")
    assert b"pod-&lt;1&gt;" in body and b"pod-<1>" not in body


def test_every_answer_carries_the_security_headers(address):
    for path in ["/", "/metrics", "/nowhere", "/api/top", "/page.js", "/debug/targets"]:
        headers = ask(address, path)[1]
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert "default-src 'none'" in headers["Content-Security-Policy"], path
        assert "unsafe" not in headers["Content-Security-Policy"], path
        assert headers["X-Frame-Options"] == "DENY", path


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7072", "127.0.0.1.evil.example", "10.0.0.1", "[::2]:80", "localhost.evil"])
def test_a_foreign_host_header_is_refused(address, host):
    for path in ["/", "/metrics", "/debug/targets", "/api/status"]:
        assert ask(address, path, Host=host)[0] == 403, path


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9999", "127.0.0.1", "127.0.0.2:1", "[::1]:7072"])
def test_every_name_of_this_machine_is_a_good_host(address, host):
    assert ask(address, "/healthz", Host=host)[0] == 200


def test_reload_needs_post_and_refuses_foreign_origins(address):
    own = f"http://{address.netloc}"
    assert ask(address, "/-/reload")[0] == 405
    for origin in ["http://evil.example", "null", own + ".evil", "https://" + address.netloc]:
        assert ask(address, "/-/reload", "POST", Origin=origin)[0] == 403, origin
    status, _, body = ask(address, "/-/reload", "POST", Origin=own)
    assert (status, body) == (200, b"reloaded\n")
    status, _, body = ask(address, "/-/reload", "POST")
    assert status == 500 and b"kept the old configuration: agent.yaml:3:7:" in body


def test_requests_that_another_site_makes_a_browser_send_are_refused(address):
    assert ask(address, "/api/status", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors")[0] == 403
    assert ask(address, "/debug/pprof/profile?seconds=1", Sec_Fetch_Site="same-site")[0] == 403
    assert ask(address, "/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")[0] == 200
    assert ask(address, "/api/status", Sec_Fetch_Site="same-origin")[0] == 200


def test_other_methods_and_paths_are_refused(address):
    status, headers, _ = ask(address, "/metrics", "DELETE")
    assert status == 405 and headers["Allow"] == "GET, HEAD"
    assert ask(address, "/../etc/passwd")[0] == 404
    status, _, body = ask(address, "/healthz", "HEAD")
    assert (status, body) == (200, b"")


@pytest.mark.parametrize("query", ["mode=memory", "last=0", "last=9999d", "last=-5m", "from=5&to=4", "from=x", "to=1e9", "from=1.0000000001"])
def test_a_bad_question_is_a_bad_request(address, query):
    assert ask(address, f"/api/top?{query}")[0] == 400


@pytest.mark.threads
def test_pull_is_a_pprof_of_that_service(address):
    status, headers, body = ask(address, "/debug/pprof/profile?service=live&seconds=2&mode=cpu", timeout=60)
    assert status == 200 and headers["Content-Type"] == "application/octet-stream"
    raw = gzip.decompress(body)
    assert b"nanoseconds" in raw and b"Flask.wsgi_app" in raw and b"thread_name" in raw


def test_pull_is_bounded_and_says_what_it_wants(address):
    assert ask(address, "/debug/pprof/profile?service=live&seconds=61")[0] == 400
    assert ask(address, "/debug/pprof/profile?service=live&seconds=0")[0] == 400
    status, _, body = ask(address, "/debug/pprof/profile?seconds=1")
    assert status == 400 and b"shop-web" in body and b"live" in body
    status, _, body = ask(address, "/debug/pprof/profile?service=liev&seconds=30")
    assert status == 404 and b"liev" in body
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(ask(address, "/debug/pprof/profile?service=live&seconds=4", timeout=60)[0]))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [200, 200, 429, 429, 429, 429]


def test_pulls_whose_clients_went_away_make_room_for_others(address):
    """Two of a minute each would have kept everybody else out until the end of it."""
    clients, answer = [], b""
    while not answer:
        clients.append(socket.create_connection((address.hostname, address.port), timeout=0.5))
        clients[-1].sendall(b"GET /debug/pprof/profile?service=live&seconds=60 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with contextlib.suppress(TimeoutError):
            answer = clients[-1].recv(100)
    assert b" 429 " in answer and len(clients) >= 3
    for client in clients:
        client.close()
    wait_until(lambda: ask(address, "/debug/pprof/profile?service=live&seconds=1", timeout=60)[0] == 200, 20, "room for others")


def test_a_request_that_never_ends_is_cut_and_others_are_served_meanwhile(address):
    """Slow loris: a byte at a time, from as many connections as one address may have, save those that the asking takes: the
    server may still be closing the last of them when the next comes."""
    slow = [socket.create_connection((address.hostname, address.port), timeout=30) for _ in range(29)]
    try:
        for connection in slow:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        ended = set()
        started = time.monotonic()
        deadline = started + 40
        while len(ended) < len(slow) and time.monotonic() < deadline:
            assert ask(address, "/healthz")[0] == 200
            for connection in slow:
                try:
                    connection.sendall(b"x")
                    connection.settimeout(0.01)
                    if connection.recv(1) == b"":
                        ended.add(connection)
                except TimeoutError:
                    pass
                except OSError:
                    ended.add(connection)
            time.sleep(0.5)
        assert len(ended) == len(slow), "some connections were kept although their request never arrived"
    finally:
        for connection in slow:
            connection.close()


def peak_mib(pid):
    return int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{pid}/status", encoding="ascii").read())[1]) / 1024


def test_many_downloads_at_once_take_the_memory_of_one(tmp_path):
    process = endpoint_demo.start("--store", tmp_path / "store", "--minutes", 20)
    try:
        address = urllib.parse.urlsplit(process.stdout.readline().removeprefix("listening on ").strip())
        path = "/api/profile.pb.gz?last=24h"
        assert ask(address, path)[0] == 200
        before, results = peak_mib(process.pid), []
        threads = [threading.Thread(target=lambda: results.append(ask(address, path, timeout=60)[0])) for _ in range(28)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [200] * 28
        assert not JUDGED or peak_mib(process.pid) - before < 13  # a sanitizer's memory is its own
    finally:
        endpoint_demo.stop(process)


def test_large_headers_and_bodies_are_refused(address):
    assert ask(address, "/healthz", X_Large="x" * 100000)[0] in (431, 413, 400)
    try:
        status = ask(address, "/-/reload", "POST", body=b"x" * 100000)[0]
        assert status == 413
    except (ConnectionError, http.client.HTTPException):
        pass
    assert ask(address, "/healthz")[0] == 200


def test_garbage_does_no_harm(address):
    for bytes_ in [b"\0" * 4096, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", os.urandom(8192), b"GET /%00%ff?service=%ff%00 HTTP/1.1\r\nHost: localhost\r\n\r\n"]:
        with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
            connection.sendall(bytes_)
            try:
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass
            except OSError:
                pass
    assert ask(address, "/healthz")[0] == 200


def off_loopback(test):
    """The test's body runs where a listener on every address reaches nobody."""

    @functools.wraps(test)
    def wrapped(tmp_path):
        reason = endpoint_demo.in_a_network_of_its_own(lambda: test(tmp_path))
        if reason:
            pytest.skip(reason)

    return wrapped


def on_every_address(tmp_path, *more):
    return endpoint_demo.serving("--listen", ":0", "--store", tmp_path / "store", "--minutes", 1, *more)


@off_loopback
def test_off_loopback_only_metrics_and_health_are_served(tmp_path):
    with on_every_address(tmp_path) as url:
        where = urllib.parse.urlsplit(url)
        for path in ["/metrics", "/healthz", "/readyz", "/-/healthy", "/-/ready"]:
            assert ask(where, path, Host="node1.cluster.local")[0] == 200, path
        for path in ["/", "/debug/targets", "/debug/pprof/profile?seconds=1", "/api/status", "/api/top", "/page.js", "/nowhere"]:
            status, _, body = ask(where, path)
            assert status == 403 and b"bearer_token_file" in body, path
        assert ask(where, "/-/reload", "POST")[0] == 403


@off_loopback
def test_off_loopback_the_token_opens_the_rest(tmp_path):
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    with on_every_address(tmp_path, "--token-file", token) as url:
        where = urllib.parse.urlsplit(url)
        assert ask(where, "/metrics")[0] == 200
        status, headers, _ = ask(where, "/debug/targets")
        assert status == 401 and headers["WWW-Authenticate"].startswith("Basic")
        for wrong in ["Bearer", "Bearer s3cre", "Bearer s3crett", "Bearer S3cret", "Basic czNjcmV0"]:
            assert ask(where, "/debug/targets", Authorization=wrong)[0] == 401, wrong
        assert ask(where, "/debug/targets", Authorization="Bearer s3cret")[0] == 200
        assert ask(where, "/", Authorization="Basic YW55OnMzY3JldA==")[0] == 200
        token.write_text("another")
        assert ask(where, "/debug/targets", Authorization="Bearer s3cret")[0] == 401
        assert ask(where, "/debug/targets", Authorization="Bearer another")[0] == 200
        token.write_text("")
        assert ask(where, "/debug/targets", Authorization="Bearer ")[0] == 503


def test_an_address_in_use_is_one_clear_line(address):
    process = endpoint_demo.start("--no-store", "--listen", address.netloc)
    try:
        assert process.wait(timeout=20) == 1
        lines = process.stderr.read().splitlines()
        assert len(lines) == 1 and "in use" in lines[0] and "server.listen" in lines[0]
    finally:
        endpoint_demo.stop(process)


@pytest.mark.parametrize("listen", ["nonsense", "localhost", "127.0.0.1:99999", "::1:80", "unix:relative", "[::1:80", "127.0.0.1:"])
def test_a_bad_address_is_a_usage_error(listen):
    process = endpoint_demo.start("--no-store", "--listen", listen)
    try:
        assert process.wait(timeout=20) == 2
        assert "server.listen" in process.stderr.read()
    finally:
        endpoint_demo.stop(process)


def test_a_unix_socket_is_private_reused_after_a_kill_and_removed_at_the_end(tmp_path):
    path = tmp_path / "agent.sock"
    process = endpoint_demo.start("--no-store", "--listen", f"unix:{path}")
    process.stdout.readline()
    process.kill()
    process.wait()
    endpoint_demo.stop(process)
    assert path.exists()
    with endpoint_demo.serving("--no-store", "--listen", f"unix:{path}") as url:
        assert url == f"unix:{path}"
        assert path.stat().st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert connection.recv(64).startswith(b"HTTP/1.")
        second = endpoint_demo.start("--no-store", "--listen", f"unix:{path}")
        assert second.wait(timeout=20) == 1 and "in use" in second.stderr.read()
        endpoint_demo.stop(second)
    assert not path.exists()


def test_stopping_cancels_a_pull_within_seconds(tmp_path):
    process = endpoint_demo.start("--store", tmp_path / "store", "--minutes", 1)
    where = urllib.parse.urlsplit(process.stdout.readline().removeprefix("listening on ").strip())
    results = []

    def pull():
        try:
            results.append(ask(where, "/debug/pprof/profile?service=shop-web&seconds=60", timeout=90)[0])
        except (OSError, http.client.HTTPException):
            results.append("closed")

    thread = threading.Thread(target=pull)
    thread.start()
    deadline = time.monotonic() + 10
    while "pulling" not in results and time.monotonic() < deadline:
        if threads_of(process.pid) >= 5:
            break
        time.sleep(0.05)
    started = time.monotonic()
    endpoint_demo.stop(process)
    thread.join(timeout=20)
    assert process.returncode == 0 and results in ([503], ["closed"])
    assert time.monotonic() - started < 10


def threads_of(pid):
    return len(os.listdir(f"/proc/{pid}/task"))
