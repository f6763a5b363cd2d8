/* Behaviour of one flame graph: zoom on click, search by text or regular expression, both
 * orientations, and a layout that follows the width at hand. Works standalone and inside a page. */
(function () {
    "use strict";
    var root = document.currentScript.closest("svg");
    var one = function (selector) { return root.querySelector(selector); };
    var standalone = document.documentElement === root;
    var rowHeight = Number(root.dataset.row), top = Number(root.dataset.top), margin = 10;
    var flame = root.dataset.flame === "1";
    var detail = one(".pst-detail"), matched = one(".pst-matched"), input = one("input");
    var reset = one(".pst-reset"), turn = one(".pst-turn");

    var deepest = 0;
    var frames = Array.prototype.map.call(root.querySelectorAll(".f"), function (node) {
        var numbers = node.dataset.f.split(" ").map(Number);
        var title = node.querySelector("title").textContent;
        var label = title.slice(0, title.indexOf("\n"));
        deepest = Math.max(deepest, numbers[0]);
        return {
            node: node, rect: node.querySelector("rect"), text: node.querySelector("text"), title: title, label: label,
            name: label.replace(/ \([^()]*\)$/, ""), depth: numbers[0], left: numbers[1], width: numbers[2]
        };
    });
    if (!frames.length) return;
    var all = frames[0], zoomed = all, width = 0, advance = 7;

    function measure() {
        var probe = frames[0].text, before = probe.textContent;
        probe.textContent = "0123456789012345678901234567890123456789";
        advance = probe.getComputedTextLength() / 40 || 7;
        probe.textContent = before;
    }

    function columns(text) {
        return /^[\x20-\x7e]*$/.test(text) ? text.length : Array.from(text).reduce(function (sum, c) {
            return sum + (c.codePointAt(0) >= 0x1100 ? 2 : 1);
        }, 0);
    }

    function fitted(frame, pixels) {
        var room = Math.floor((pixels - 8) / advance);
        if (room < 2) return "";
        if (columns(frame.label) <= room) return frame.label;
        if (columns(frame.name) <= room) return frame.name;
        var text = "", used = 1;
        for (var c of frame.name) {
            used += c.codePointAt(0) >= 0x1100 ? 2 : 1;
            if (used > room) break;
            text += c;
        }
        return text + "…";
    }

    function place(frame) {
        var above = frame !== zoomed && frame.depth < zoomed.depth && frame.left <= zoomed.left &&
            frame.left + frame.width >= zoomed.left + zoomed.width;
        var from = Math.max(frame.left, zoomed.left), to = Math.min(frame.left + frame.width, zoomed.left + zoomed.width);
        var x = above ? 0 : (from - zoomed.left) / zoomed.width * width;
        var w = above ? width : (to - from) / zoomed.width * width;
        var shown = above || (to > from && frame.depth >= zoomed.depth && w >= 0.3);
        frame.node.style.display = shown ? "" : "none";
        if (!shown) return;
        var y = top + (flame ? deepest - frame.depth : frame.depth) * rowHeight;
        frame.node.classList.toggle("above", above);
        frame.rect.setAttribute("x", (margin + x).toFixed(2));
        frame.rect.setAttribute("y", y);
        frame.rect.setAttribute("width", Math.max(w, 0.3).toFixed(2));
        frame.text.setAttribute("x", (margin + x + 4).toFixed(2));
        frame.text.setAttribute("y", y + rowHeight - 5.5);
        frame.text.textContent = fitted(frame, w);
    }

    function layout() {
        var outer = root.parentNode.clientWidth || window.innerWidth || 1200;
        if (standalone) outer = document.documentElement.clientWidth || window.innerWidth || 1200;
        outer = Math.max(outer, 420);
        root.removeAttribute("viewBox");
        root.setAttribute("width", outer);
        width = outer - 2 * margin;
        one(".pst-controls").setAttribute("transform", "translate(" + (outer - margin) + ",0)");
        frames.forEach(place);
        reset.classList.toggle("off", zoomed === all);
        root.dataset.zoom = zoomed.label;
    }

    function zoom(frame) {
        zoomed = frame;
        layout();
    }

    function tester(query) {
        try {
            var pattern = new RegExp(query, "i");
            return function (text) { return pattern.test(text); };
        } catch (notARegex) {
            var plain = query.toLowerCase();
            return function (text) { return text.toLowerCase().indexOf(plain) >= 0; };
        }
    }

    /* Share of the whole that lies under matching frames; nested ones count once. */
    function search(query) {
        var hit = query ? tester(query) : function () { return false; };
        var end = -1, sum = 0, count = 0;
        frames.forEach(function (frame) { frame.hit = frame !== all && hit(frame.label); });
        frames.filter(function (frame) { return frame.hit; })
            .sort(function (a, b) { return a.left - b.left || b.width - a.width; })
            .forEach(function (frame) {
                var to = frame.left + frame.width;
                count++;
                if (to > end) sum += to - Math.max(frame.left, end);
                end = Math.max(end, to);
            });
        frames.forEach(function (frame) { frame.node.classList.toggle("hit", frame.hit); });
        root.classList.toggle("searching", !!query);
        matched.textContent = !query ? "" : count ? (100 * sum / all.width).toFixed(1) + "% in " + count + " frames" : "no match";
    }

    function orient() {
        flame = !flame;
        turn.querySelector("text").textContent = flame ? "Icicle" : "Flame";
        layout();
        if (standalone && flame) window.scrollTo(0, document.documentElement.scrollHeight);
    }

    function button(node, action) {
        node.addEventListener("click", action);
        node.addEventListener("keydown", function (event) {
            if (event.key === "Enter" || event.key === " ") { event.preventDefault(); action(); }
        });
    }

    function frameOf(event) {
        var node = event.target.closest && event.target.closest(".f");
        return node && frames.find(function (frame) { return frame.node === node; });
    }

    root.addEventListener("click", function (event) {
        var frame = frameOf(event);
        if (frame) zoom(frame);
    });
    root.addEventListener("mouseover", function (event) {
        var frame = frameOf(event);
        detail.textContent = frame ? frame.title.replace("\n", "  —  ") : detail.dataset.hint;
    });
    input.addEventListener("input", function () { search(input.value); });
    window.addEventListener("keydown", function (event) {
        var typing = /^(input|textarea|select)$/i.test(event.target.nodeName);
        if ((event.key === "/" && !typing) || (standalone && event.key === "f" && (event.ctrlKey || event.metaKey))) {
            event.preventDefault();
            input.focus();
        } else if (event.key === "Escape" && (event.target === input || !typing)) {
            if (input.value) { input.value = ""; search(""); } else { zoom(all); }
        }
    });
    button(reset, function () { zoom(all); });
    button(turn, orient);
    window.addEventListener("resize", layout);
    root.classList.add("live");
    detail.dataset.hint = "click a frame to zoom, / to search, Esc to go back";
    detail.textContent = detail.dataset.hint;
    measure();
    layout();
    root.pstFlame = { zoom: zoom, search: function (query) { input.value = query; search(query); }, layout: layout };
}());
