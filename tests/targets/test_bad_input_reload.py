"""A new configuration is taken whole, or the old one stays in force."""
import os
import signal
import urllib.error
import urllib.request

import pytest

from lib.waiting import wait_until

INTERVAL = "pystrobe_sampling_interval_seconds"
RESULT = "pystrobe_config_last_reload_successful"


def settings(hz):
    return {"sampling": {"hz": hz, "window": "2s"}}


def post_reload(running):
    request = urllib.request.Request(running.url("/-/reload"), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait_hz(running, hz):
    wait_until(lambda: abs(running.metric(INTERVAL) * hz - 1) < 0.01, 30, f"sampling at {hz} Hz")


def break_config(running):
    """An error in line 2 of a file that would also change the rate."""
    running.config.write_text("sampling:\n  hertz: 31\nserver: {listen: nowhere}\n", encoding="utf-8")


def is_kept(running):
    """The old one is in force, the log says what is wrong and where."""
    wait_until(lambda: running.metrics().get(RESULT) == 0, 30, "the reload to fail")
    said = f"{running.config}:2:3: unknown key hertz in sampling"
    assert said in running.output()
    assert abs(running.metric(INTERVAL) * 20 - 1) < 0.01
    assert running.get("/healthz")[0] == 200


@pytest.fixture
def running(agent):
    """An agent at 20 Hz."""
    one = agent(settings(20)).wait_ready()
    wait_hz(one, 20)
    return one


@pytest.mark.threads
def test_sighup_loads_again_although_no_file_changed(running):
    taken = running.output().count("configuration taken")
    running.process.send_signal(signal.SIGHUP)
    wait_until(lambda: running.output().count("configuration taken") > taken, 30, "the configuration to be taken again")
    assert running.metrics()[RESULT] == 1


def test_sighup_keeps_the_old_configuration_when_the_new_one_is_bad(running):
    break_config(running)
    running.process.send_signal(signal.SIGHUP)
    is_kept(running)
    running.write_config(settings(50))
    running.process.send_signal(signal.SIGHUP)
    wait_hz(running, 50)


@pytest.mark.threads
def test_post_reload_answers_with_the_place_of_the_error(running):
    break_config(running)
    status, text = post_reload(running)
    assert status != 200 and f"{running.config}:2:3" in text
    is_kept(running)
    running.write_config(settings(50))
    assert post_reload(running)[0] == 200
    wait_hz(running, 50)


def test_a_changed_file_is_taken_without_being_asked(running):
    running.write_config(settings(50))
    wait_hz(running, 50)


def test_a_changed_file_that_is_bad_is_not_taken(running):
    break_config(running)
    is_kept(running)
    running.write_config(settings(50))
    wait_hz(running, 50)


def test_the_swap_of_a_mounted_config_map_is_taken(agent, tmp_path):
    """pystrobe.yaml -> ..data/pystrobe.yaml, ..data -> ..1, and the kubelet renames ..data over."""
    folder = tmp_path / "mounted"
    (folder / "..1").mkdir(parents=True)
    (folder / "..data").symlink_to("..1")
    (folder / "pystrobe.yaml").symlink_to("..data/pystrobe.yaml")
    running = agent(settings(20), folder=folder).wait_ready()
    wait_hz(running, 20)
    text = running.config.read_text(encoding="utf-8")
    assert "hz: 20" in text
    for number, hz in ((2, 50), (3, 25)):
        version = folder / f"..{number}"
        version.mkdir()
        (version / "pystrobe.yaml").write_text(text.replace("hz: 20", f"hz: {hz}"), encoding="utf-8")
        (folder / "..data_tmp").symlink_to(version.name)
        os.rename(folder / "..data_tmp", folder / "..data")
        wait_hz(running, hz)


def test_a_changed_secret_is_taken(agent, tmp_path):
    """A value that comes from ${file:} moves with the file."""
    value = tmp_path / "value"
    value.write_text("20\n", encoding="utf-8")
    running = agent({"sampling": {"hz": f"${{file:{value}}}", "window": "2s"}}).wait_ready()
    wait_hz(running, 20)
    value.write_text("50\n", encoding="utf-8")
    wait_hz(running, 50)
