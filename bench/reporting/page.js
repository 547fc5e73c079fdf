/* SPDX-License-Identifier: MIT */
/* The report's page without this script is whole; with it tables sort and the theme can be chosen. */
(function () {
  "use strict";
  var root = document.documentElement;

  function sorter(table, column, button) {
    var head = button.parentNode, body = table.tBodies[0];
    return function () {
      var up = head.getAttribute("aria-sort") !== "ascending";
      var rows = Array.prototype.map.call(body.rows, function (row, at) {
        var cell = row.cells[column], number = cell.getAttribute("data-v");
        var text = cell.textContent;
        return {row: row, at: at, number: number === null ? NaN : parseFloat(number), text: text};
      });
      var byNumber = head.classList.contains("num");
      rows.sort(function (a, b) {
        var order;
        if (byNumber) {
          /* What has no number stays at the end, whichever way. */
          if (isNaN(a.number) || isNaN(b.number))
            return isNaN(a.number) - isNaN(b.number) || a.at - b.at;
          order = a.number - b.number;
        } else {
          order = a.text.localeCompare(b.text, "en", {numeric: true});
        }
        return (up ? order : -order) || a.at - b.at;
      });
      rows.forEach(function (one) { body.appendChild(one.row); });
      Array.prototype.forEach.call(head.parentNode.cells, function (other) {
        other.setAttribute("aria-sort", "none");
      });
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
    };
  }

  document.querySelectorAll("table").forEach(function (table) {
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (head, column) {
      var button = document.createElement("button");
      button.type = "button";
      while (head.firstChild) button.appendChild(head.firstChild);
      head.appendChild(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", sorter(table, column, button));
    });
  });

  var theme = document.getElementById("theme"), themes = ["auto", "light", "dark"];
  function kept(value) {
    /* A browser may forbid a local file to keep anything. */
    try {
      if (value) localStorage.setItem("poolmalloc-report-theme", value);
      return localStorage.getItem("poolmalloc-report-theme");
    } catch (error) {
      return null;
    }
  }
  function use(name) {
    if (name === "auto") root.removeAttribute("data-theme");
    else root.setAttribute("data-theme", name);
    theme.textContent = "Theme: " + name;
    theme.setAttribute("data-now", name);
  }
  use(themes.indexOf(kept()) > 0 ? kept() : "auto");
  theme.hidden = false;
  theme.addEventListener("click", function () {
    var next = themes[(themes.indexOf(theme.getAttribute("data-now")) + 1) % themes.length];
    kept(next);
    use(next);
  });
})();
