"""The API server's list and watch: what is followed, from where, how often; and lists that come in pages. A fake server."""
import json
import threading
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from lib import kube
from lib.kube import pods, row_of, settings, wait_labels
from lib.waiting import wait_until

pytestmark = pytest.mark.skipif(not kube.can_make_cgroups(), reason="this machine lets nobody make a cgroup")


class Api:
    """lists and watches: what is answered, one after the other, the last of each again and again. asked: ("list" or "watch", query)."""

    def __init__(self, lists, watches):
        self.lists, self.watches, self.asked = lists, watches, []
        self.ended = threading.Event()

    def __call__(self, path, token):
        query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        kind = "watch" if query.get("watch") == "1" else "list"
        assert query["fieldSelector"] == "spec.nodeName=node-1"
        self.asked.append((kind, query))
        answers = self.watches if kind == "watch" else self.lists
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return answer if isinstance(answer, tuple) else (200, answer)

    def silence(self):
        """A watch that says nothing."""
        self.ended.wait(120)
        yield b"\n"

    def versions(self):
        return [(kind, query.get("resourceVersion")) for kind, query in self.asked]


def event(what, version, **item):
    item.setdefault("metadata", {})["resourceVersion"] = version
    return json.dumps({"type": what, "object": item}).encode() + b"\n"


def listed(version, *items, **more):
    return {**pods(*items), "metadata": {"resourceVersion": version, **more}}


GONE = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}


@pytest.fixture
def serve(authority):
    """serve(api) -> the URL of a server that answers by it, until the test ends."""
    running = []

    def start(api):
        running.append((api, kube.Server(authority.good, api)))
        return running[-1][1].url

    yield start
    for api, server in running:
        print("asked:", *api.asked, sep="\n")
        api.ended.set()
        server.__exit__()


def test_changes_are_followed_through_ends_cuts_and_versions_that_are_gone(agent, account, in_pod, serve):
    added, relisted, modified = in_pod(), in_pod(), in_pod()

    def first():
        line = event("ADDED", "105", **kube.pod("added", added[1].id))
        yield b"x" * (3 << 20) + b"\n" + line[:100]
        yield line[100:] + b"not json\n"
        yield event("BOOKMARK", "110")

    def cut():
        yield event("MODIFIED", "205", **kube.pod("other", "f" * 64))[:50]
        raise ConnectionAbortedError

    def last():
        yield event("MODIFIED", "301", **kube.pod("modified", modified[1].id))
        yield from api.silence()

    api = Api([listed("100"), listed("200", kube.pod("relisted", relisted[1].id)), listed("300")],
              [first(), iter([event("ERROR", "", **GONE)]), cut(), (410, GONE), (403, b"{}"), last()])
    with agent(settings(account, added[0], relisted[0], modified[0], api=serve(api), source="apiserver")) as one:
        for (process, _), name in ((added, "added"), (relisted, "relisted"), (modified, "modified")):
            wait_labels(one, process.pid, pod=name)
        assert api.versions() == [("list", "0"), ("watch", "100"), ("watch", "110"), ("list", None), ("watch", "200"), ("watch", "200"),
                                  ("list", None), ("watch", "300"), ("watch", "300")]  # refused once, as by a server that starts
        watch = api.asked[1][1]
        assert watch["allowWatchBookmarks"] == "true" and 300 <= int(watch["timeoutSeconds"]) < 600
        assert one.metrics()['pystrobe_overflow_total{what="pods"}'] == 2  # the long line, and what is no JSON
        assert one.metric("pystrobe_k8s_requests_total", source="apiserver", code="410") == 2  # in the stream and as a status
        log = one.output()
        assert log.count("kubernetes cannot be asked") == 2 and "cut" in log and "kubernetes answers again" in log, log


def test_an_annotation_that_changes_while_a_pod_runs_takes_effect_at_once(agent, account, in_pod, serve):
    process, cgroup = in_pod()
    steps = [threading.Event(), threading.Event(), threading.Event()]

    def changes():
        for number, annotations in enumerate([{"pystrobe.io/enabled": "false"}, {"pystrobe.io/hz": "fast"}, {"pystrobe.io/hz": "50"}]):
            steps[number].wait(60)
            yield event("MODIFIED", f"10{number}", **kube.pod("web-1", cgroup.id, annotations=annotations))
        yield from api.silence()

    api = Api([listed("100", kube.pod("web-1", cgroup.id))], [changes()])
    with agent(settings(account, process, api=serve(api), source="apiserver")) as one:
        wait_labels(one, process.pid, pod="web-1")
        wait_until(lambda: row_of(one, process.pid)["state"] == "active", 30, "a sample")
        steps[0].set()
        wait_until(lambda: row_of(one, process.pid)["state"] == "skipped", 10, "the pod to be left alone")
        assert row_of(one, process.pid)["reason"] == "annotation"
        steps[1].set()
        row = wait_until(lambda: row_of(one, process.pid)["state"] == "active" and row_of(one, process.pid), 10, "samples again")
        assert "annotation pystrobe.io/hz passed over: fast is not a number from 1 to 1000" in row["why"]
        steps[2].set()
        row = wait_until(lambda: (row := row_of(one, process.pid)) and "50 Hz by annotation" in row["why"] and row, 20, "the annotation")
        assert row["labels_after"]["pod"] == "web-1"
        wait_until(lambda: row_of(one, process.pid)["rate_hz"] > 30, 20, "the rate that is asked for")
        assert [kind for kind, _ in api.asked] == ["list", "watch"]


def test_a_service_account_without_the_verb_watch_lists_for_each_new_container(agent, account, in_pod, serve):
    process, cgroup = in_pod()
    api = Api([listed("1"), listed("2", kube.pod("web-5d8f7-abc", cgroup.id))], [(403, b"{}")])
    with agent(settings(account, process, api=serve(api), source="apiserver")) as one:
        wait_until(lambda: len(api.asked) == 5, 60, "the list after three refusals")
        assert api.versions() == [("list", "0"), ("watch", "1"), ("watch", "1"), ("watch", "1"), ("list", "0")]
        wait_labels(one, process.pid, pod="web-5d8f7-abc")
        assert "lacks the verb watch" in one.output()
        in_pod()
        wait_until(lambda: len(api.asked) > 5, 30, "a list for the new container")
        assert [kind for kind, _ in api.asked].count("watch") == 3


def test_watches_that_end_at_once_are_asked_for_ever_more_rarely(agent, account, in_pod, serve):
    process, _ = in_pod()
    times = []

    class Timed(Api):
        def __call__(self, path, token):
            times.append(time.monotonic())
            return super().__call__(path, token)

    api = Timed([listed("1")], [(200, b"")])
    def gaps():
        return [after - before for before, after in zip(times, times[1:])]

    with agent(settings(account, process, api=serve(api), source="apiserver")):
        # A container of somebody else's that appears meanwhile makes it ask at once, and begin anew.
        wait_until(lambda: max(gaps(), default=0) > 1.9, 60, "a pause of two seconds")
        assert len(times) < 15, gaps()
    assert [kind for kind, _ in api.asked[:2]] == ["list", "watch"]


def test_a_list_that_is_too_large_comes_in_pages_and_begins_again_when_one_is_gone(agent, account, in_pod, serve):
    process, cgroup = in_pod()
    wanted = kube.pod("web-5d8f7-abc", cgroup.id)
    api = Api([(200, b"{\"pad\": \"" + b"x" * (9 << 20) + b"\"}"), listed("7", **{"continue": "to/ken=="}), (410, GONE),
               listed("8", **{"continue": "more"}), listed("8", wanted)], [])
    api.watches.append(api.silence())
    with agent(settings(account, process, api=serve(api), source="apiserver")) as one:
        wait_labels(one, process.pid, pod="web-5d8f7-abc")
        wait_until(lambda: len(api.asked) == 6, 30, "the watch")
        pages = [query.get("continue") for kind, query in api.asked if kind == "list"]
        assert pages == [None, None, "to/ken==", None, "more"] and all(query["limit"] == "50" for _, query in api.asked[1:5])
        assert api.versions()[-1] == ("watch", "8")
