/* Tables of functions: sort by any column; a row marks its function in the flame graph. */
(function () {
    "use strict";
    var graph = document.querySelector(".pst-flame");

    function key(row, column) {
        var cell = row.cells[column];
        return cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v);
    }

    function sort(table, heads, column) {
        var head = heads[column], before = head.getAttribute("aria-sort");
        var down = before ? before === "ascending" : head.classList.contains("n");
        heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        Array.from(table.tBodies[0].rows).sort(function (a, b) {
            var x = key(a, column), y = key(b, column);
            var order = typeof x === "number" ? x - y : x.localeCompare(y);
            return down ? -order : order;
        }).forEach(function (row) { table.tBodies[0].appendChild(row); });
    }

    document.querySelectorAll(".pst-page table").forEach(function (table) {
        var heads = Array.from(table.querySelectorAll("th"));
        heads.forEach(function (head, column) {
            head.addEventListener("click", function () { sort(table, heads, column); });
        });
        table.tBodies[0].addEventListener("click", function (event) {
            var row = event.target.closest("tr");
            if (!row || !graph || !graph.pstFlame) return;
            graph.pstFlame.search("^" + row.cells[2].textContent.replace(/[.*+?^${}()|[\]\\]/g, "\\$&") + "( \\(|$)");
            graph.scrollIntoView({ behavior: "smooth", block: "nearest" });
        });
    });
}());
