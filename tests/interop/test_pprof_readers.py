"""Every format that pystrobe writes, opened by somebody else's reader: google/pprof, go tool pprof, pprof-format,
speedscope, an XML parser and Chromium. One profile of known numbers goes through `pystrobe convert`."""
import array
import fcntl
import json
import re
import subprocess
import termios
import time
import xml.etree.ElementTree as ElementTree

import pprof
import pytest
import readers
from lib.waiting import wait_until

MS = 1_000_000
FILE = "/srv/shop/app/views.py"
# Root first; the last frame is the leaf. Names are what Python really makes, and what breaks readers.
STACKS = {
    "MainThread": [
        (("<module>", "handle", "render"), 400 * MS),
        (("<module>", "handle", "<lambda>"), 100 * MS),
        (("<module>", "handle", "Page.sort.<locals>.<listcomp>"), 60 * MS),
        (("<module>", "handle", "löschen_名前"), 40 * MS),
    ],
    'worker "1"': [
        (("<module>", "work", "render"), 200 * MS),
        (("<module>", "work", "[torn]"), 10 * MS),
        (("<module>", "work", "operator&<\"x\">"), 190 * MS),
    ],
}
NAMES = sorted({name for stacks in STACKS.values() for stack, _ in stacks for name in stack})
TOTAL = sum(weight for stacks in STACKS.values() for _, weight in stacks)


def own(name):
    return sum(weight for stacks in STACKS.values() for stack, weight in stacks if stack[-1] == name)


def total(name):
    return sum(weight for stacks in STACKS.values() for stack, weight in stacks if name in stack)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A speedscope file written here: the way in for exact numbers, threads and labels."""
    frames = [{"name": name, "file": "" if name.startswith("[") else FILE, "line": 10 * i + 1}
              for i, name in enumerate(NAMES)]
    profiles = [{"type": "sampled", "name": f'Process 77 Thread {tid} "{thread}"', "unit": "nanoseconds",
                 "startValue": 0, "endValue": 0, "samples": [[NAMES.index(n) for n in stack] for stack, _ in stacks],
                 "weights": [weight for _, weight in stacks]}
                for tid, (thread, stacks) in enumerate(STACKS.items(), 101)]
    path = tmp_path_factory.mktemp("source") / "source.speedscope.json"
    path.write_text(json.dumps({"shared": {"frames": frames}, "profiles": profiles}), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def convert(pystrobe, source, tmp_path_factory):
    """convert(name, *options) -> path of the file that pystrobe wrote."""
    folder = tmp_path_factory.mktemp("converted")

    def run(name, *options, inputs=(source,)):
        target = folder / name
        done = subprocess.run([pystrobe, "convert", *map(str, inputs), "-o", target, *options], capture_output=True,
                              text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return target

    return run


def test_google_pprof_reads_every_number(convert):
    read, = readers.read_pprof(convert("a.pb.gz"))
    assert read["types"] == ["samples/count", "cpu/nanoseconds"]
    assert (read["default"], read["period_type"]) == ("cpu", "cpu/nanoseconds")
    assert read["totals"] == {"samples/count": 7, "cpu/nanoseconds": TOTAL}
    assert sorted(read["functions"]) == NAMES
    for name in NAMES:
        function = read["functions"][name]
        assert function["self"].get("cpu/nanoseconds", 0) == own(name), name
        assert function["total"]["cpu/nanoseconds"] == total(name), name
        assert function["file"] == ("" if name.startswith("[") else FILE)
    assert set(read["labels"]["thread_name"]) == set(STACKS)
    assert set(read["num_labels"]["thread_id"]) == {101, 102}
    assert set(read["num_labels"]["pid"]) == {77}


@pytest.mark.parametrize("mode", ["wall", "gil"])
def test_google_pprof_reads_the_other_modes(convert, mode):
    read, = readers.read_pprof(convert(f"{mode}.pb.gz", "--mode", mode))
    assert read["types"] == ["samples/count", f"{mode}/nanoseconds"]
    assert (read["default"], read["period_type"]) == (mode, f"{mode}/nanoseconds")


def test_merged_files_stay_one_valid_profile(convert, source):
    once = convert("once.pb.gz")
    read, = readers.read_pprof(convert("merged.pb.gz", inputs=(once, source, once)))
    assert read["totals"] == {"samples/count": 21, "cpu/nanoseconds": 3 * TOTAL}
    assert read["samples"] == 7


def test_go_tool_pprof_keeps_names_in_brackets(convert):
    top = readers.go_tool_pprof("-top", "-nodecount=100", convert("a.pb.gz"))
    for name in NAMES:
        assert re.search(rf"\s{re.escape(name)}$", top, re.MULTILINE), f"{name} is missing:\n{top}"
    assert re.search(r"^\s+600ms 60\.00%.*\srender$", top, re.MULTILINE), top
    raw = readers.go_tool_pprof("-raw", convert("a.pb.gz"))
    assert f"{FILE}:" in raw and "thread_name:[MainThread]" in raw


def test_npm_pprof_format_reads_the_same(convert):
    read = readers.read_pprof_format(convert("a.pb.gz"))
    assert read["types"] == ["samples/count", "cpu/nanoseconds"]
    assert read["totals"] == [7, TOTAL]
    assert read["self"] == {name: own(name) for name in NAMES if own(name)}
    assert "thread_name=MainThread" in read["labels"] and "thread_id=101" in read["labels"]


@pytest.mark.parametrize("name, whole", [
    ("a.speedscope.json", True), ("a.pb.gz", True), ("a.folded", True), ("a.trace.json", False)])
def test_speedscope_imports(convert, tmp_path, name, whole):
    """The first profile of the file: the sum of all, or, in a trace, the first thread."""
    options = ("--weights", "time") if name.endswith(".folded") else ()
    table, profiles, title = readers.read_speedscope(convert(name, *options), tmp_path)
    stacks = [pair for thread, pairs in STACKS.items() if whole or thread == "MainThread" for pair in pairs]
    everything = sum(weight for _, weight in stacks)
    for function in sorted({n for stack, _ in stacks for n in stack}):
        of_all = 100 * sum(weight for stack, weight in stacks if function in stack) / everything
        of_own = 100 * sum(weight for stack, weight in stacks if stack[-1] == function) / everything
        assert table[function] == pytest.approx((of_all, of_own), abs=0.6), function
    if name.endswith(".speedscope.json"):
        assert title == "pystrobe · cpu"
        assert profiles == ["all threads"] + [
            f'Process 77 Thread {tid} "{thread}"' for tid, thread in enumerate(STACKS, 101)]


def test_trace_events_nest_and_never_go_back(convert):
    events = json.loads(convert("nest.trace.json").read_text(encoding="utf-8"))
    open_slices, last = {}, {}
    for event in events:
        if event["ph"] == "M":
            assert event["name"] == "thread_name" and event["args"]["name"] in STACKS
            continue
        track = (event["pid"], event["tid"])
        assert event["ts"] >= last.get(track, 0)
        last[track] = event["ts"]
        if event["ph"] == "B":
            open_slices.setdefault(track, []).append(event["name"])
        else:
            assert open_slices[track].pop() == event["name"]
    assert not any(open_slices.values())
    assert last == {(77, 101): 600_000, (77, 102): 400_000}


def test_raw_comes_back_through_raw(convert):
    """Lines are sorted, numbers add up, and reading them again gives the same lines."""
    first = convert("first.txt", "--weights", "time", "--full-filenames")
    lines = first.read_text(encoding="utf-8").splitlines()
    assert lines == sorted(lines, key=str.encode)
    assert sum(int(line.rsplit(" ", 1)[1]) for line in lines) * 1000 == TOTAL
    assert lines[0].startswith(f"<module> ({FILE}:")


def test_otlp_file_is_profiles_data(convert):
    """Two fields, resource_profiles and dictionary; the wire is read by the tests' own protobuf reader."""
    message = list(pprof.fields(convert("a.otlp").read_bytes()))
    assert {number for number, _ in message} == {1, 2}
    dictionary = list(pprof.fields(dict(message)[2]))
    strings = {value.decode() for number, value in dictionary if number == 5}
    assert set(NAMES) <= strings and FILE in strings


def frames_of(root):
    space = "{http://www.w3.org/2000/svg}"
    return [(g.get("data-f"), g.find(f"{space}title").text) for g in root.iter(f"{space}g") if g.get("data-f")]


@pytest.mark.parametrize("flame", [False, True])
def test_svg_is_xml_with_every_frame(convert, flame):
    root = ElementTree.parse(convert("a.svg", *(["--flame"] if flame else []))).getroot()
    frames = frames_of(root)
    labels = {title.split("\n")[0] for _, title in frames}
    assert labels == {"all", "[torn]"} | {
        f"{name} (app/views.py:{10 * i + 1})" for i, name in enumerate(NAMES) if name != "[torn]"}
    assert frames[0][0] == f"0 0 {TOTAL}"


def shown(driver):
    return driver.execute_script(
        "return Array.from(document.querySelectorAll('.f')).filter(f => f.style.display !== 'none')"
        ".map(f => f.querySelector('title').textContent.split('\\n')[0].replace(/ \\(.*/, ''))")


def click(driver, label):
    driver.execute_script(
        "const f = Array.from(document.querySelectorAll('.f')).find(f => f.querySelector('title').textContent"
        ".startsWith(arguments[0])); f.querySelector('rect').dispatchEvent(new MouseEvent('click', {bubbles: true}))", label)


def pixel(driver, x, y):
    """Colour of one pixel of a screenshot, read by the browser itself."""
    return driver.execute_async_script("""
        const [data, x, y, done] = arguments, image = new Image();
        image.onload = () => {
            const canvas = document.createElementNS('http://www.w3.org/1999/xhtml', 'canvas');
            canvas.width = image.width; canvas.height = image.height;
            const context = canvas.getContext('2d');
            context.drawImage(image, 0, 0);
            done(Array.from(context.getImageData(x, y, 1, 1).data));
        };
        image.src = 'data:image/png;base64,' + data;""", driver.get_screenshot_as_base64(), x, y)


def test_svg_zooms_searches_and_turns_in_a_browser(convert):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    with readers.browser() as driver:
        driver.get(f"file://{convert('live.svg')}")
        everything = shown(driver)
        assert everything.count("render") == 2
        assert driver.execute_script("return document.documentElement.getAttribute('width')") == \
            str(driver.execute_script("return document.documentElement.clientWidth"))

        click(driver, "work (")
        assert sorted(shown(driver)) == sorted(["all", "<module>", "work", "render", "[torn]", "operator&<\"x\">"])
        driver.find_element(By.CSS_SELECTOR, ".pst-reset").click()
        assert shown(driver) == everything

        search = driver.find_element(By.CSS_SELECTOR, "input")
        search.send_keys("^render|torn")
        assert driver.find_element(By.CSS_SELECTOR, ".pst-matched").text == "61.0% in 3 frames"
        search.send_keys(Keys.ESCAPE)
        search.send_keys("nothing[")
        assert driver.find_element(By.CSS_SELECTOR, ".pst-matched").text == "no match"
        search.send_keys(Keys.ESCAPE)
        assert driver.find_element(By.CSS_SELECTOR, ".pst-matched").text == ""

        def top_of(label):
            return float(driver.execute_script(
                "return Array.from(document.querySelectorAll('.f')).find(f => f.querySelector('title').textContent"
                ".startsWith(arguments[0])).querySelector('rect').getAttribute('y')", label))

        assert top_of("all") < top_of("render (")
        driver.find_element(By.CSS_SELECTOR, ".pst-turn").click()
        assert top_of("all") > top_of("render (")
        assert readers.complaints(driver) == []


@pytest.mark.parametrize("name", ["scheme.svg", "scheme.html"])
def test_pages_follow_light_and_dark(convert, name):
    path = convert(name)
    brightness = {}
    for dark in (False, True):
        with readers.browser(dark=dark) as driver:
            driver.get(f"file://{path}")
            brightness[dark] = sum(pixel(driver, 3, 3)[:3])
    assert brightness[False] > 700 and brightness[True] < 150, brightness


def test_html_is_whole_sorts_and_marks(convert):
    from selenium.webdriver.common.by import By

    with readers.browser() as driver:
        driver.get(f"file://{convert('a.html')}")

        def functions():
            return [cell.text for cell in driver.find_elements(By.CSS_SELECTOR, "td.f")]

        assert sorted(functions()) == NAMES
        assert functions()[0] == "render"
        driver.find_elements(By.CSS_SELECTOR, "th")[1].click()
        assert functions()[0] == "<module>"
        driver.find_elements(By.CSS_SELECTOR, "th")[2].click()
        assert functions()[-1] == "work" or functions()[-1] == "löschen_名前"
        for row in driver.find_elements(By.CSS_SELECTOR, "tbody tr"):
            if row.find_element(By.CSS_SELECTOR, ".f").text == "<lambda>":
                row.click()
        assert driver.find_element(By.CSS_SELECTOR, ".pst-matched").text == "10.0% in 1 frames"
        assert driver.execute_script("return performance.getEntriesByType('resource').length") == 0
        assert readers.complaints(driver) == []


def test_diff_finds_a_change_of_twenty_points(pystrobe, tmp_path):
    (tmp_path / "old.txt").write_text("main (m.py:1);a (m.py:2) 50\nmain (m.py:1);b (m.py:5) 50\n", encoding="utf-8")
    (tmp_path / "new.txt").write_text("main (m.py:1);a (m.py:2) 60\nmain (m.py:1);b (m.py:5) 140\n", encoding="utf-8")
    done = subprocess.run([pystrobe, "diff", tmp_path / "old.txt", tmp_path / "new.txt", "-o", tmp_path / "diff.svg"],
                          capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        " -20.00 points   50.00% ->  30.00%  a (m.py:2)", " +20.00 points   50.00% ->  70.00%  b (m.py:5)"]
    titles = [title for _, title in frames_of(ElementTree.parse(tmp_path / "diff.svg").getroot())]
    assert any(title.startswith("b (m.py:5)\n") and "50.00% → 70.00% (+20.00 points)" in title for title in titles)


@pytest.mark.parametrize("arguments, code, says", [
    (["convert", "-o", "x.svg"], 2, "nothing to convert"),
    (["convert", "SOURCE"], 2, "--output"),
    (["convert", "SOURCE", "-o", "x", "-f", "png"], 2, "png is not a format"),
    (["convert", "/nonexistent", "-o", "x.svg"], 1, "/nonexistent: No such file"),
    (["convert", "BROKEN", "-o", "x.svg"], 1, "not a profile"),
    (["convert", "WALL", "SOURCE", "-o", "x.svg"], 1, "convert each mode apart"),
    (["diff", "SOURCE", "-o", "x.svg"], 2, "OLD and the NEW"),
    (["diff", "SOURCE", "SOURCE", "-o", "x.pb.gz"], 2, "flamegraph or html"),
    (["diff", "WALL", "SOURCE", "-o", "x.svg"], 1, "files of one mode"),
])
def test_bad_input_is_one_clear_line(pystrobe, source, convert, tmp_path, arguments, code, says):
    (tmp_path / "broken.pb.gz").write_bytes(convert("a.pb.gz").read_bytes()[:-9])
    places = {"SOURCE": source, "BROKEN": tmp_path / "broken.pb.gz", "WALL": convert("wall.pb.gz", "--mode", "wall")}
    done = subprocess.run([pystrobe, *(str(places.get(word, word)) for word in arguments)], cwd=tmp_path,
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code
    assert says in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / "x.svg").exists()


def unread(pipe):
    left = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, left)
    return left[0]


@pytest.mark.parametrize("place", ["-", "/dev/stdin"])
def test_a_pipe_whose_writer_is_slow_is_waited_for(pystrobe, source, place):
    """`record -o - | convert -` and `convert <(...)`: what came later was not waited for."""
    text = source.read_bytes()
    with subprocess.Popen([pystrobe, "convert", place, "-f", "raw", "-o", "-"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        process.stdin.write(text[:100])
        process.stdin.flush()
        wait_until(lambda: unread(process.stdin) == 0, 20, "convert to read the first half")
        time.sleep(0.1)  # in which it would fail
        written, _ = process.communicate(text[100:], timeout=60)
        assert process.returncode == 0 and written.count(b"\n") > 1
