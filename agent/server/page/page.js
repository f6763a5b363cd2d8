/* The page: asks /api/ for what the address bar says and shows it. The state is in the address, so
 * that a view can be kept and sent. Text from targets only ever becomes text nodes. */
(function () {
    "use strict";

    const one = (selector) => document.querySelector(selector);
    const SVG = "http://www.w3.org/2000/svg";
    const SECONDS = { "5m": 300, "15m": 900, "1h": 3600, "6h": 21600, "24h": 86400 };
    const ROWS = 25;
    const state = { service: "", mode: "cpu", last: "15m", from: 0, to: 0 };
    const shown = { functions: [], total: 0, other: null, sort: "self", all: false, windows: 0, timer: 0, ticket: 0 };

    function make(tag, properties, ...children) {
        const node = document.createElement(tag);
        Object.entries(properties || {}).forEach(([key, value]) => {
            if (key === "class") node.className = value; else if (key in node) node[key] = value; else node.setAttribute(key, value);
        });
        node.append(...children);
        return node;
    }

    function drawing(tag, attributes) {
        const node = document.createElementNS(SVG, tag);
        Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
        return node;
    }

    const percent = (part, whole) => (whole > 0 ? 100 * part / whole : 0).toFixed(1) + "%";
    const count = (n) => n.toLocaleString("en-US");

    function duration(ns) {
        const s = ns / 1e9;
        if (!ns) return "0";
        if (s >= 3600) return (s / 3600).toFixed(1) + " h";
        if (s >= 120) return (s / 60).toFixed(1) + " min";
        if (s >= 1) return s.toFixed(s >= 10 ? 1 : 2) + " s";
        return (s * 1e3).toFixed(s >= 0.01 ? 0 : 1) + " ms";
    }

    function bytes(n) {
        const units = ["B", "KiB", "MiB", "GiB"];
        let unit = 0;
        for (; n >= 1024 && unit < 3; unit++) n /= 1024;
        return n.toFixed(unit && n < 100 ? 1 : 0) + " " + units[unit];
    }

    function ago(ns) {
        if (!ns) return "never";
        const s = Math.max(0, Date.now() / 1e3 - ns / 1e9);
        return s < 90 ? Math.round(s) + " s ago" : s < 5400 ? Math.round(s / 60) + " min ago" : Math.round(s / 3600) + " h ago";
    }

    /* --- State and address --- */
    function readAddress() {
        const words = new URLSearchParams(location.hash.slice(1));
        state.service = words.get("service") || "";
        state.mode = ["cpu", "wall", "gil"].includes(words.get("mode")) ? words.get("mode") : "cpu";
        state.from = Number(words.get("from")) || 0;
        state.to = Number(words.get("to")) || 0;
        state.last = state.from && state.to > state.from ? "custom" : words.get("last") in SECONDS ? words.get("last") : "15m";
    }

    function writeAddress(change) {
        Object.assign(state, change);
        const words = new URLSearchParams();
        if (state.service) words.set("service", state.service);
        words.set("mode", state.mode);
        if (state.last === "custom") {
            words.set("from", Math.round(state.from));
            words.set("to", Math.round(state.to));
        } else {
            words.set("last", state.last);
        }
        const hash = "#" + words;
        if (location.hash === hash) refresh(); else location.hash = hash;
    }

    /* One fixed range for all questions of a view, so that the server answers them from one merge. */
    function question(extra) {
        const words = new URLSearchParams({ mode: state.mode, from: state.shownFrom, to: state.shownTo });
        if (state.service) words.set("service", state.service);
        Object.entries(extra || {}).forEach(([key, value]) => words.set(key, value));
        return words.toString();
    }

    async function ask(path, words) {
        const reply = await fetch("/api/" + path + (words ? "?" + words : ""), { headers: { Accept: "application/json" } });
        if (!reply.ok) throw new Error((await reply.text()).trim() || "HTTP " + reply.status);
        return reply.json();
    }

    /* --- Health strip --- */
    function chip(kind, text, hint) {
        return make("span", { class: "chip " + kind, title: hint || text }, text);
    }

    function showStatus(status) {
        const chips = [chip(status.ready.ok ? "good" : "bad", status.ready.ok ? "ready" : "not ready", status.ready.reason || "samples flow")];
        if (!status.ready.ok && status.ready.reason) chips.push(chip("bad", status.ready.reason.split("\n")[0], status.ready.reason));
        status.exporters.forEach((e) => {
            const kind = e.state === "ok" ? "good" : e.state === "down" ? "bad" : e.state === "idle" ? "" : "warn";
            const text = e.name + (e.state === "ok" ? "" : ": " + e.state) + (e.queued ? ", " + count(e.queued) + " waiting" : "");
            chips.push(chip(kind, text, [count(e.sent) + " sent, " + count(e.dropped) + " dropped, last success " + ago(e.last_success_ns), e.reason].filter(Boolean).join("\n")));
        });
        if (status.store) {
            const s = status.store;
            chips.push(chip(s.degraded ? "warn" : "good", s.degraded ? "store: " + s.reason : "store " + bytes(s.bytes),
                count(s.profiles) + " profiles, oldest " + ago(s.oldest_ns) + (s.dropped ? ", " + count(s.dropped) + " dropped" : "") +
                (s.damaged_files ? ", " + s.damaged_files + " damaged files set aside" : "")));
        } else {
            chips.push(chip("warn", "no store", "the embedded store is not available"));
        }
        const a = status.samples, all = a.taken + a.torn + a.failed;
        if (all) {
            const bad = (a.torn + a.failed) / all;
            chips.push(chip(bad > 0.02 ? "warn" : "good", count(a.taken) + " samples, " + (100 * a.torn / all).toFixed(2) + "% torn",
                count(a.torn) + " torn, " + count(a.failed) + " failed, " + count(a.late) + " ticks late"));
        }
        if (a.overhead_cpu) chips.push(chip(a.overhead_cpu > 0.02 ? "warn" : "good", "costs " + (100 * a.overhead_cpu).toFixed(1) + "% of a core", bytes(a.overhead_bytes) + " of memory"));
        one("#strip").replaceChildren(...chips);
        one("#version").textContent = status.version;
    }

    /* --- Processes and services --- */
    function showTargets(answer) {
        const order = { active: 0, waiting: 1, failed: 2, skipped: 3, gone: 4 };
        const list = answer.targets.sort((a, b) => (order[a.state] ?? 9) - (order[b.state] ?? 9) || b.cpu_ratio - a.cpu_ratio || a.pid - b.pid);
        const active = list.filter((t) => t.state === "active").length;
        shown.targets = list;
        one("#targets-hint").textContent = list.length ? active + " of " + list.length + " sampled" : "";
        one("#targets tbody").replaceChildren(...(list.length ? list.slice(0, 500).map((t) => make("tr", {},
            make("td", { class: "number" }, String(t.pid)), make("td", {}, t.service), make("td", {}, t.python_version),
            make("td", {}, make("span", { class: "state " + t.state }, t.state)), make("td", { class: "reason" }, t.reason),
            make("td", { class: "number" }, t.state === "active" ? (100 * t.cpu_ratio).toFixed(1) + "%" : ""),
            make("td", { class: "number" }, t.rate_hz ? t.rate_hz.toFixed(1) + " Hz" : ""),
            make("td", { class: "number" }, t.samples ? count(t.samples) : ""), make("td", { class: "number" }, t.samples ? count(t.torn) : ""),
            make("td", { class: "command", title: t.command }, t.command)))
            : [make("tr", {}, make("td", { colSpan: 10, class: "faint" }, "None found yet. The agent looks every few seconds."))]));
    }

    function showServices(answer) {
        const rows = new Map();
        answer.services.forEach((s) => {
            const row = rows.get(s.service) || { name: s.service, cpu: 0, wall: 0, gil: 0, windows: 0, last: 0 };
            row[s.mode] = s.value_ns;
            row.windows += s.windows;
            row.last = Math.max(row.last, s.last_ns);
            rows.set(s.service, row);
        });
        const list = [...rows.values()].sort((a, b) => b.cpu - a.cpu || b.wall - a.wall || a.name.localeCompare(b.name));
        const cpu = list.reduce((sum, s) => sum + s.cpu, 0);
        shown.services = list;
        one("#services tbody").replaceChildren(...list.map((s) => {
            const row = make("tr", { tabIndex: 0 }, make("td", {}, s.name || "(no name)"), make("td", { class: "number" }, duration(s.cpu)),
                make("td", { class: "number" }, percent(s.cpu, cpu)), make("td", { class: "number" }, duration(s.wall)),
                make("td", { class: "number" }, count(s.windows)), make("td", {}, ago(s.last)));
            const choose = () => { writeAddress({ service: s.name }); window.scrollTo(0, 0); };
            row.addEventListener("click", choose);
            row.addEventListener("keydown", (event) => { if (event.key === "Enter") choose(); });
            return row;
        }));
        one("#services-card").hidden = !list.length;
        const names = list.map((s) => s.name);
        if (state.service && !names.includes(state.service)) names.push(state.service);
        one("#service").replaceChildren(make("option", { value: "" }, "All services"), ...names.map((name) => make("option", { value: name }, name)));
        one("#service").value = state.service;
        one('[data-mode="gil"]').hidden = state.mode !== "gil" && !answer.services.some((s) => s.mode === "gil");
    }

    /* --- Time line --- */
    function clock(seconds, span) {
        const date = new Date(seconds * 1e3), time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: span <= 900 ? "2-digit" : undefined });
        return span > 86400 ? date.toLocaleDateString([], { month: "short", day: "numeric" }) + " " + time : time;
    }

    function showTimeline(answer) {
        one("#timeline-card").hidden = !answer.value_ns.some((value) => value > 0);
        if (one("#timeline-card").hidden) return;
        const values = answer.value_ns, from = answer.from_ns / 1e9, to = answer.to_ns / 1e9, span = to - from;
        const cores = values.map((v) => v / 1e9 / (span / values.length)), peak = Math.max(...cores);
        const box = one("#timeline"), width = box.clientWidth || 1200, left = 52, right = 16, top = 8, floor = 70;
        const svg = drawing("svg", { viewBox: "0 0 " + width + " 92", role: "img", "aria-label": "Load over time" });
        const scale = (width - left - right) / values.length;
        const unit = state.mode === "cpu" ? " cores" : state.mode === "wall" ? " threads" : " held";
        [0, 1].forEach((part) => {
            const y = floor - part * (floor - top);
            svg.append(drawing("line", { class: "grid", x1: left, x2: width - right, y1: y, y2: y }));
            const label = drawing("text", { x: left - 6, y: y + 4, "text-anchor": "end" });
            label.textContent = part ? peak.toPrecision(2) : "0";
            svg.append(label);
        });
        cores.forEach((value, i) => {
            const height = value / peak * (floor - top);
            if (height < 0.2) return;
            const column = drawing("rect", { class: "column", x: (left + i * scale).toFixed(2), width: Math.max(scale - (scale > 3 ? 1 : 0), 0.5).toFixed(2), y: (floor - height).toFixed(2), height: height.toFixed(2) });
            const title = drawing("title", {});
            title.textContent = clock(from + i * span / values.length, span) + ": " + value.toPrecision(3) + unit;
            column.append(title);
            svg.append(column);
        });
        for (let i = 0; i <= 6; i++) {
            const label = drawing("text", { x: left + (width - left - right) * i / 6, y: 87, "text-anchor": i === 0 ? "start" : i === 6 ? "end" : "middle" });
            label.textContent = clock(from + span * i / 6, span);
            svg.append(label);
        }
        box.replaceChildren(svg);
        shown.brush = { from, span, left, width: width - left - right, svg };
        const busy = values.length - values.findIndex((v) => v > 0) - [...values].reverse().findIndex((v) => v > 0);
        const average = values.reduce((a, b) => a + b, 0) / 1e9 / (span * busy / values.length);
        one("#timeline-title").textContent = (state.service || "All services") + ": " + average.toPrecision(2) + unit + " while it was seen";
    }

    function brushing() {
        const box = one("#timeline");
        let start = null, band = null;
        const at = (event) => {
            const b = shown.brush, rect = box.getBoundingClientRect();
            return Math.min(1, Math.max(0, ((event.clientX - rect.left) - b.left) / b.width));
        };
        box.addEventListener("pointerdown", (event) => {
            if (!shown.brush) return;
            start = at(event);
            band = drawing("rect", { class: "brush", y: 8, height: 62, x: 0, width: 0 });
            shown.brush.svg.append(band);
            box.setPointerCapture(event.pointerId);
        });
        box.addEventListener("pointermove", (event) => {
            if (start === null) return;
            const b = shown.brush, low = Math.min(start, at(event)), high = Math.max(start, at(event));
            band.setAttribute("x", b.left + low * b.width);
            band.setAttribute("width", (high - low) * b.width);
        });
        box.addEventListener("pointerup", (event) => {
            if (start === null) return;
            const b = shown.brush, low = Math.min(start, at(event)), high = Math.max(start, at(event));
            start = null;
            band.remove();
            if ((high - low) * b.width > 5) writeAddress({ last: "custom", from: Math.floor(b.from + low * b.span), to: Math.ceil(b.from + high * b.span) });
        });
    }

    /* --- Functions --- */
    const key = (f) => f.name + "\n" + f.file + "\n" + f.line;

    function meter(kind, part) {
        const svg = drawing("svg", { preserveAspectRatio: "none", viewBox: "0 0 100 10", "aria-hidden": "true" });
        const width = shown.total > 0 ? 100 * part / shown.total : 0;
        svg.append(drawing("rect", { width: width.toFixed(3), height: 10 }));
        return make("td", { class: "number meter " + kind }, svg, make("span", {}, duration(part), make("span", { class: "share" }, percent(part, shown.total))));
    }

    function showFunctions() {
        const words = one("#filter").value.trim().toLowerCase();
        const field = { self: (a, b) => b.self_ns - a.self_ns || b.total_ns - a.total_ns, total: (a, b) => b.total_ns - a.total_ns || b.self_ns - a.self_ns, name: (a, b) => a.name.localeCompare(b.name) }[shown.sort];
        const found = shown.functions.filter((f) => !words || (f.name + " " + f.file).toLowerCase().includes(words)).sort(field);
        const rows = shown.all || words ? found : found.slice(0, ROWS);
        one("#top tbody").replaceChildren(...rows.map((f) => {
            const line = ":" + (f.hot_line || f.line), place = f.file ? f.file + line : "";
            const other = shown.other && shown.other.rows.get(key(f));
            const row = make("tr", {},
                make("td", { tabIndex: 0, title: f.name + "\n" + place + "\nclick to find it in the flame graph" },
                    make("span", { class: "name" }, f.name), make("span", { class: "file" }, f.file ? f.short_file + line : "")),
                meter("self", f.self_ns), meter("total", f.total_ns),
                make("td", { class: "number" }, !shown.other ? "" : other ? percent(other.self_ns, shown.other.total) : "0.0%"));
            const choose = () => findInFlame(row, f.name);
            row.addEventListener("click", choose);
            row.addEventListener("keydown", (event) => { if (event.key === "Enter") choose(); });
            return row;
        }));
        if (!rows.length) one("#top tbody").append(make("tr", {}, make("td", { colSpan: 4, class: "faint" }, "No function matches.")));
        one("#more").hidden = shown.all || !!words || found.length <= ROWS;
        one("#more").textContent = "Show all " + found.length;
        document.querySelectorAll("[data-sort]").forEach((button) => {
            if (button.dataset.sort === shown.sort) button.setAttribute("aria-sort", "descending"); else button.removeAttribute("aria-sort");
        });
    }

    function flame() {
        const page = one("#flame").contentDocument;
        return page && page.documentElement && page.documentElement.pstFlame;
    }

    function findInFlame(row, name) {
        const again = row.classList.contains("chosen");
        document.querySelectorAll("#top tr.chosen").forEach((node) => node.classList.remove("chosen"));
        if (!again) row.classList.add("chosen");
        if (flame()) flame().search(again ? "" : "^" + name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&") + "(?= \\(|$)");
    }

    function fitFlame() {
        const frame = one("#flame"), root = frame.contentDocument && frame.contentDocument.documentElement;
        if (!root) return;
        const height = Number(root.getAttribute("height"));
        if (height) frame.height = height + 8;
        if (flame()) flame().layout();
    }

    function showProfile(top) {
        shown.functions = top.functions;
        shown.total = top.total_ns;
        shown.windows = top.windows;
        shown.other = null;
        one("#other-head").textContent = state.mode === "wall" ? "CPU share" : "Wall share";
        one("#other-head").title = "own share of this function in the other mode";
        one("#summary").textContent = duration(top.total_ns) + " of " + state.mode + " time, " + count(top.samples) + " samples, " + count(top.windows) + (top.windows === 1 ? " window" : " windows") +
            (top.bad_windows ? ", " + count(top.bad_windows) + " unreadable" : "") + (top.truncated ? "; cut: choose a shorter range or one service" : "");
        showFunctions();
        /* Replaced, not navigated: a step of the picture's own would stand between the reader and "back". */
        one("#flame").contentWindow.location.replace("/api/flamegraph.svg?" + question());
        one("#flame").dataset.view = question();
        one("#download-pprof").href = "/api/profile.pb.gz?" + question();
        one("#download-svg").href = "/api/flamegraph.svg?" + question({ download: 1 });
    }

    async function showOther(ticket) {
        const answer = await ask("top", question({ mode: state.mode === "wall" ? "cpu" : "wall", rows: 1000 }));
        if (ticket !== shown.ticket || !answer.windows) return;
        shown.other = { total: answer.total_ns, rows: new Map(answer.functions.map((f) => [key(f), f])) };
        showFunctions();
    }

    /* --- Nothing to show: say what to do --- */
    function explain() {
        const box = one("#empty"), targets = shown.targets || [], services = shown.services || [];
        const say = (headline, ...lines) => box.replaceChildren(make("p", {}, make("strong", {}, headline)), ...lines.map((line) => make("p", {}, ...[].concat(line))));
        if (services.length) {
            say("No " + state.mode + " profile of " + (state.service || "these services") + " in this range",
                ["Choose a longer range, another mode, or a service from the table below."]);
        } else if (targets.some((t) => t.state === "active")) {
            say("Waiting for the first window", ["Sampling has begun. The first profile closes after a few seconds; this page looks again by itself."]);
        } else if (targets.length) {
            say("No Python process can be sampled at the moment", ["The table below says why for each of them. ", make("code", {}, "pystrobe doctor"), " prints the remedy."]);
        } else {
            say("No Python process yet", ["Start one, for example ", make("code", {}, "python3 -m http.server"), ": it is found within seconds."],
                ["Is one running that is not listed? ", make("code", {}, "pystrobe ps --why PID"), " says what the agent sees."]);
        }
    }

    /* --- One refresh at a time; a later one makes an earlier one's answers void --- */
    function range() {
        const now = Math.ceil(Date.now() / 1e3);
        state.shownTo = state.last === "custom" ? state.to : now;
        state.shownFrom = state.last === "custom" ? state.from : now - SECONDS[state.last];
    }

    function showControls() {
        document.querySelectorAll("[data-mode]").forEach((b) => b.setAttribute("aria-pressed", b.dataset.mode === state.mode));
        document.querySelectorAll("[data-last]").forEach((b) => b.setAttribute("aria-pressed", b.dataset.last === state.last));
        one("#custom").hidden = state.last !== "custom";
        const local = (seconds) => { const d = new Date(seconds * 1e3); return new Date(d - d.getTimezoneOffset() * 6e4).toISOString().slice(0, 19); };
        one("#from").value = local(state.shownFrom);
        one("#to").value = local(state.shownTo);
        document.title = (state.service ? state.service + " - " : "") + "pystrobe";
    }

    async function refresh() {
        const ticket = ++shown.ticket;
        const fresh = (show) => (answer) => { if (ticket === shown.ticket) show(answer); };
        clearTimeout(shown.timer);
        range();
        showControls();
        one("#app").hidden = false;
        document.body.classList.add("busy");
        let problem = "";
        const note = (error) => { problem = problem || error.message; };
        await Promise.all([
            ask("status").then(fresh(showStatus)).catch(note), ask("targets").then(fresh(showTargets)).catch(note),
            ask("services", question()).then(fresh(showServices)).catch(note),
            ask("timeline", question({ buckets: 180 })).then(fresh(showTimeline)).catch(note),
            ask("top", question({ rows: 500 })).then(fresh((top) => {
                one("#profile").hidden = !top.windows;
                if (top.windows) showProfile(top); else shown.windows = 0;
            })).catch((error) => { one("#profile").hidden = true; shown.windows = 0; note(error); }),
        ]);
        if (ticket !== shown.ticket) return;
        document.body.classList.remove("busy");
        one("#problem").hidden = !problem;
        one("#problem").textContent = problem;
        one("#empty").hidden = !!shown.windows || !!problem;
        if (!shown.windows) explain();
        else showOther(ticket).catch(() => {});
        schedule();
    }

    /* Until there is something to see it looks again by itself; later only when asked to. */
    function schedule() {
        const live = one("#live").checked;
        if (!shown.windows && state.last !== "custom") shown.timer = setTimeout(refresh, 3000);
        else if (live) shown.timer = setTimeout(refresh, 15000);
        else shown.timer = setTimeout(glance, 10000);
    }

    async function glance() {
        if (!document.hidden) await Promise.all([ask("status").then(showStatus), ask("targets").then(showTargets)]).catch((error) => {
            one("#problem").hidden = false;
            one("#problem").textContent = "The agent does not answer: " + error.message;
        });
        schedule();
    }

    function listen() {
        one("#service").addEventListener("change", (event) => writeAddress({ service: event.target.value }));
        one("#modes").addEventListener("click", (event) => event.target.dataset.mode && writeAddress({ mode: event.target.dataset.mode }));
        one("#ranges").addEventListener("click", (event) => {
            const last = event.target.dataset.last;
            if (last === "custom") writeAddress({ last, from: state.shownFrom, to: state.shownTo });
            else if (last) writeAddress({ last, from: 0, to: 0 });
        });
        one("#custom").addEventListener("submit", (event) => {
            event.preventDefault();
            const from = new Date(one("#from").value) / 1e3, to = new Date(one("#to").value) / 1e3;
            if (from < to) writeAddress({ last: "custom", from, to });
        });
        one("#refresh").addEventListener("click", refresh);
        one("#live").addEventListener("change", () => { clearTimeout(shown.timer); if (one("#live").checked) refresh(); else schedule(); });
        one("#filter").addEventListener("input", showFunctions);
        one("#more").addEventListener("click", () => { shown.all = true; showFunctions(); });
        document.querySelectorAll("[data-sort]").forEach((button) => button.addEventListener("click", () => { shown.sort = button.dataset.sort; showFunctions(); }));
        one("#flame").addEventListener("load", fitFlame);
        window.addEventListener("hashchange", () => { readAddress(); shown.all = false; refresh(); });
        brushing();
    }

    readAddress();
    listen();
    refresh();
}());
