"""The local page in a real browser, over real stored profiles: functions, filter, flame graph search and zoom,
ranges, download, empty states, and that nothing is asked of any other host."""
import contextlib
import gzip
import json
import os
import pathlib
import urllib.request

import pytest

import endpoint_demo

webdriver = pytest.importorskip("selenium.webdriver", reason="python3-selenium is not installed")
from selenium.common.exceptions import StaleElementReferenceException  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

WAIT_S = 40
BROWSER = pytest.mark.unsanitized(reason="what works is the browser; test_endpoint asks the server for the same")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp("browser")) as driver:
        yield driver


@contextlib.contextmanager
def open_browser(folder, *more):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1440,1300",
                     f"--user-data-dir={folder}", *more]:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver")
                              if hasattr(webdriver, "ChromeService") else chrome_service())
    try:
        yield driver
    finally:
        driver.quit()


def chrome_service():
    from selenium.webdriver.chrome.service import Service
    return Service("/usr/bin/chromedriver")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with endpoint_demo.serving("--store", tmp_path_factory.mktemp("page") / "store", "--minutes", 20, "--services", 3) as url:
        yield url


def until(browser, condition, what):
    """The page draws its tables anew, so a node found a moment ago may be gone: then it is looked for again."""
    waiter = WebDriverWait(browser, WAIT_S, poll_frequency=0.1, ignored_exceptions=[StaleElementReferenceException])
    return waiter.until(condition, f"never: {what}")


def go(browser, url):
    """Another hash alone is no new page, so it leaves first."""
    browser.get("about:blank")
    browser.get(url)


def texts(browser, selector):
    return browser.execute_script("return [...document.querySelectorAll(arguments[0])].map(node => node.innerText)", selector)


def text(browser, selector):
    return "\n".join(texts(browser, selector))


def click(browser, selector, words=None):
    """On the first node of the selector (with that text), as it is now."""
    assert browser.execute_script(
        "const node = [...document.querySelectorAll(arguments[0])].find(n => !arguments[1] || n.textContent === arguments[1]);"
        "if (node) node.click(); return !!node", selector, words), f"nothing to click: {selector} {words}"


def functions(browser):
    return texts(browser, "#top .name")


def open_view(browser, page, view="service=shop-web&mode=cpu&last=15m"):
    go(browser, page + "#" + view)
    until(browser, lambda b: len(functions(b)) > 5, "a table of functions")
    until(browser, flame_ready, "a flame graph with its script running")


def flame_ready(browser):
    return browser.execute_script(
        "const d = document.querySelector('#flame').contentDocument; return !!(d && d.documentElement.pstFlame)")


def in_flame(browser, script, *arguments):
    return browser.execute_script("const root = document.querySelector('#flame').contentDocument.documentElement;" + script, *arguments)


def visible_frames(browser):
    return in_flame(browser, "return [...root.querySelectorAll('.f')].filter(f => f.style.display !== 'none').length")


@BROWSER
def test_functions_are_listed_with_file_and_line_and_shares(browser, page):
    open_view(browser, page)
    assert {"tokenize", "Cursor.execute", "JSONEncoder.iterencode"} <= set(functions(browser))
    row = next(row for row in texts(browser, "#top tbody tr") if row.startswith("tokenize"))
    assert "ranking.py:4" in row and "%" in row
    shares = [float(share.rstrip("%")) for share in texts(browser, "#top .meter.self .share")]
    assert shares == sorted(shares, reverse=True) and 98 < sum(shares) < 102
    until(browser, lambda b: all(texts(b, "#top td:nth-child(4)")), "the other mode's shares beside them")


@BROWSER
def test_what_the_table_says_is_what_the_store_holds(browser, page):
    open_view(browser, page)
    words = browser.find_element(By.ID, "flame").get_attribute("data-view")
    with urllib.request.urlopen(f"{page}api/top?{words}") as reply:
        top = json.load(reply)
    assert functions(browser)[:5] == [row["name"] for row in top["functions"][:5]]
    with urllib.request.urlopen(browser.find_element(By.ID, "download-pprof").get_attribute("href")) as reply:
        assert "attachment" in reply.headers["Content-Disposition"]
        assert b"Cursor.execute" in gzip.decompress(reply.read())


@BROWSER
def test_the_filter_narrows_the_table(browser, page):
    open_view(browser, page)
    box = browser.find_element(By.ID, "filter")
    box.send_keys("json")
    until(browser, lambda b: functions(b) == ["JSONEncoder.iterencode"], "one function left")
    box.clear()
    box.send_keys("zzz")
    until(browser, lambda b: "No function matches" in text(b, "#top"), "a word about no match")


@BROWSER
def test_a_click_on_a_function_finds_it_in_the_flame_graph(browser, page):
    open_view(browser, page)
    click(browser, "#top .name", "tokenize")
    until(browser, lambda b: in_flame(b, "return root.querySelectorAll('.hit').length") > 0, "marked frames")
    labels = in_flame(browser, "return [...root.querySelectorAll('.hit title')].map(t => t.textContent)")
    assert all(label.startswith("tokenize (") for label in labels)


@BROWSER
def test_the_flame_graph_searches_and_zooms(browser, page):
    open_view(browser, page)
    before = visible_frames(browser)
    assert before > 20
    frame = browser.find_element(By.ID, "flame")
    browser.execute_script("arguments[0].scrollIntoView()", frame)
    browser.switch_to.frame(frame)
    try:
        browser.find_element(By.CSS_SELECTOR, ".f rect").click()
        ActionChains(browser).send_keys("/").send_keys("render_template").perform()
        until(browser, lambda b: "%" in b.find_element(By.CSS_SELECTOR, ".pst-matched").text, "a share of what matched")
        target = max(browser.find_elements(By.CSS_SELECTOR, ".f.hit rect"), key=lambda node: float(node.get_attribute("width")))
        browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", target)
        ActionChains(browser).move_to_element(target).click().perform()
    finally:
        browser.switch_to.default_content()
    until(browser, lambda b: "render_template" in in_flame(b, "return root.dataset.zoom"), "zoomed to the frame")
    assert visible_frames(browser) < before
    in_flame(browser, "root.querySelector('.pst-reset').dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    until(browser, lambda b: visible_frames(b) == before, "everything again")


@BROWSER
def test_mode_service_and_range_change_the_view_and_the_address(browser, page):
    open_view(browser, page)
    click(browser, "[data-mode=wall]")
    until(browser, lambda b: "of wall time" in text(b, "#summary"), "the wall profile")
    click(browser, "[data-last='5m']")
    until(browser, lambda b: "last=5m" in b.current_url, "the range in the address")
    until(browser, lambda b: b.find_element(By.CSS_SELECTOR, "[data-last='5m']").get_attribute("aria-pressed") == "true", "5 min pressed")
    click(browser, "#services td", "mailer")
    until(browser, lambda b: "service=mailer" in b.current_url and "mailer" in text(b, "#timeline-title"), "the other service")
    browser.back()
    until(browser, lambda b: "service=shop-web" in b.current_url and "shop-web" in text(b, "#timeline-title"), "back")


@BROWSER
def test_dragging_over_the_time_line_chooses_a_range(browser, page):
    open_view(browser, page)
    before = int(text(browser, "#summary").split(" windows")[0].split(", ")[-1])
    line = browser.find_element(By.ID, "timeline")
    ActionChains(browser).move_to_element_with_offset(line, -100, 0).click_and_hold().move_by_offset(200, 0).release().perform()
    until(browser, lambda b: "from=" in b.current_url, "a range in the address")
    until(browser, lambda b: 0 < int(text(b, "#summary").split(" windows")[0].split(", ")[-1]) < before, "fewer windows")


@BROWSER
def test_targets_and_exporters_say_their_state_and_reason(browser, page):
    open_view(browser, page)
    table = text(browser, "#targets")
    assert "CAP_SYS_PTRACE" in table and "active" in table and "younger than discovery.min_age" in table
    strip = text(browser, "#strip")
    assert "parca: retrying, 37 waiting" in strip and "torn" in strip and "store" in strip


@BROWSER
def test_nothing_runs_into_the_policy_and_no_other_host_is_asked(browser, page):
    browser.get_log("browser")
    browser.get_log("performance")
    open_view(browser, page)
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    asked = {json.loads(entry["message"])["message"]["params"]["request"]["url"]
             for entry in browser.get_log("performance")
             if json.loads(entry["message"])["message"]["method"] == "Network.requestWillBeSent"}
    assert any("/api/top" in url for url in asked)
    assert {url for url in asked if not url.startswith((page, "about:", "data:", "blob:"))} == set()


@BROWSER
def test_text_of_targets_never_becomes_markup(browser, page):
    go(browser, page + "#service=" + "%3Cimg%20src%3Dx%20onerror%3Ddocument.title%3D1%3E&mode=cpu&last=15m")
    until(browser, lambda b: "No cpu profile of <img" in text(b, "#empty"), "the empty state with the name as text")
    assert browser.find_elements(By.CSS_SELECTOR, "main img") == []


@BROWSER
def test_without_any_process_it_says_what_to_do(browser, tmp_path):
    with endpoint_demo.serving("--store", tmp_path / "store", "--minutes", 0, "--targets", 0) as url:
        go(browser, url)
        until(browser, lambda b: "No Python process yet" in text(b, "#empty"), "the first-run text")
        assert "pystrobe ps" in text(browser, "#empty")


@BROWSER
def test_before_the_first_window_it_waits_and_then_shows_it_by_itself(browser, tmp_path):
    with endpoint_demo.serving("--store", tmp_path / "store", "--minutes", 0, "--targets", 3, "--live-after", 4) as url:
        go(browser, url)
        until(browser, lambda b: "Waiting for the first window" in text(b, "#empty"), "the waiting text")
        until(browser, lambda b: len(functions(b)) > 3, "functions without a click")


@BROWSER
def test_without_scripts_there_are_targets_and_a_form(tmp_path, page):
    with open_browser(tmp_path / "plain", "--blink-settings=scriptEnabled=false") as plain:
        plain.get(page)
        assert "Without JavaScript" in plain.find_element(By.TAG_NAME, "body").text
        plain.find_element(By.CSS_SELECTOR, "noscript form button").click()
        until(plain, lambda b: "<svg" in b.page_source and "tokenize" in b.page_source, "the flame graph as a picture")


@BROWSER
def test_screenshots_for_people(tmp_path, page):
    """Kept where PYSTROBE_SCREENSHOTS names a folder; a blank page fails in any case."""
    folder = pathlib.Path(os.environ.get("PYSTROBE_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    for name, more in [("light", []), ("dark", ["--blink-settings=preferredColorScheme=0"])]:
        with open_browser(tmp_path / name, *more) as driver:
            open_view(driver, page)
            driver.set_window_size(1440, 2300)
            assert driver.save_screenshot(str(folder / f"page-{name}.png"))
        assert (folder / f"page-{name}.png").stat().st_size > 50000
