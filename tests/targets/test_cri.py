"""Names of pods and containers from a real containerd, over its CRI: processes in the cgroups of containers that it knows."""
import pytest

from lib import kube
from lib.containerd import Containerd
from lib.kube import row_of, wait_labels
from lib.waiting import wait_until

pytestmark = pytest.mark.skipif(not kube.can_make_cgroups(), reason="this machine lets nobody make a cgroup")
UID = "7a3ee0e6-0d5a-4b7e-8d2f-c0ffee000001"


@pytest.fixture(scope="module")
def containerd():
    with Containerd() as one:
        yield one


def test_pods_are_named_by_a_socket_that_comes_goes_and_comes_back(agent, containerd, in_pod, tmp_path):
    ids = containerd.pod("web-1", "shop", UID, ["app", "side"], labels={"app.kubernetes.io/name": "web"},
                         annotations={"pystrobe.io/hz.app": "50"})
    socket = tmp_path / "cri.sock"
    (app, _), (stranger, strange) = in_pod(container_id=ids[0]), in_pod()
    select = [{"action": "keep", "source_labels": ["__container_id__"], "regex": "|".join([*ids, strange.id])}]
    settings = {"sampling": {"overhead": {"cpu": "100%"}}, "discovery": {
        "interval": "1s", "min_age": "0s", "select": select, "kubernetes": {"enabled": "false"},
        "containers": {"docker": "off", "cri": str(socket)}}}
    with agent(settings) as one:
        wait_until(lambda: row_of(one, app.pid) and one.metric("pystrobe_metadata_failures_total", source="cri") > 0, 30, "a failure")
        socket.symlink_to(containerd.socket)
        row = wait_labels(one, app.pid, namespace="shop", pod="web-1", container="app", service_name="web")
        assert row["labels_before"]["__meta_kubernetes_pod_uid"] == UID
        assert row["labels_before"]["__meta_kubernetes_pod_label_app_kubernetes_io_name"] == "web"
        assert 'pod="web-1" from cri' in row["why"]
        assert "__meta_kubernetes_pod_name" not in row_of(one, stranger.pid)["labels_before"]
        socket.unlink()
        side, _ = in_pod(container_id=ids[1])
        failed = one.metric("pystrobe_metadata_failures_total", source="cri")
        wait_until(lambda: one.metric("pystrobe_metadata_failures_total", source="cri") > failed, 30, "another failure")
        socket.symlink_to(containerd.socket)
        wait_labels(one, side.pid, namespace="shop", pod="web-1", container="side")
        assert row_of(one, app.pid)["labels_after"]["pod"] == "web-1"
        assert one.output().count("cri cannot be asked") == 2 and one.output().count("cri answers again") == 2
