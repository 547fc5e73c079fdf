/* SPDX-License-Identifier: MIT */
/* What the controls do. The other scripts come before this one, in one text. */
var search = document.getElementById("search"), statusLine = document.getElementById("status");

function choices(id, names, current, choose) {
  var group = document.getElementById(id);
  names.forEach(function (name) {
    var button = element("button", name[1]);
    button.type = "button";
    button.setAttribute("data-choice", name[0]);
    button.setAttribute("aria-pressed", name[0] === current);
    button.addEventListener("click", function () {
      Array.prototype.forEach.call(group.children, function (other) {
        other.setAttribute("aria-pressed", other === button);
      });
      choose(name[0]);
    });
    group.appendChild(button);
  });
}

function show_status() {
  var values = tree.values, words;
  if (data.diff)
    words = "Old: " + amounts(values[OLD]) + ". New: " + amounts(values[NEW]) + ". Change: "
      + signed(values[NEW][BYTES] - values[OLD][BYTES]) + " bytes.";
  else
    words = data.sets[shown.set].title + ": " + amounts(values[shown.set]) + ".";
  if (shown.search !== "")
    words += " Found “" + shown.search + "” in " + found_share(data.diff ? NEW : shown.set)
      .toFixed(2) + " %" + (data.diff ? " of what is new." : ".");
  statusLine.textContent = words;
}

function redraw_graph() {
  tree = make_tree();
  zoom(tree);
  show_status();
}

choices("sets", data.diff ? [] : data.sets.map(function (set, at) { return [at, set.title]; }),
  data.first, function (set) { shown.set = set; redraw_graph(); draw_table(); });
choices("measures", [[BYTES, "bytes"], [BLOCKS, "blocks"]], BYTES, function (measure) {
  shown.measure = measure;
  redraw_graph();
});
choices("groups", ["function", "file", "line", "module", "traceback"]
  .concat(data.domains.length ? ["domain"] : []).map(function (name) {
    return [name, name];
  }), data.group, function (group) {
  shown.group = group;
  var apart = group === "traceback" || group === "domain";
  cumulative.disabled = apart;
  if (apart) shown.cumulative = cumulative.checked = false;
  draw_table();
});

var cumulative = document.getElementById("cumulative");
cumulative.addEventListener("change", function () {
  shown.cumulative = cumulative.checked;
  draw_table();
});
document.getElementById("inverted").addEventListener("change", function (event) {
  shown.inverted = event.target.checked;
  redraw_graph();
});
search.addEventListener("input", function () {
  shown.search = search.value.trim();
  draw_graph();
  show_status();
});
document.getElementById("reset").addEventListener("click", function () { zoom(tree); });
more.addEventListener("click", function () {
  all_rows = true;
  draw_table();
});
document.addEventListener("keydown", function (event) {
  if (event.key === "/" && event.target.tagName !== "INPUT") {
    event.preventDefault();
    search.focus();
  } else if (event.key === "Escape") {
    hide_tip();
  }
});
addEventListener("resize", draw_graph);

var theme = document.getElementById("theme"), themes = ["auto", "light", "dark"], theme_now = 0;
function use_theme() {
  if (theme_now) document.documentElement.setAttribute("data-theme", themes[theme_now]);
  else document.documentElement.removeAttribute("data-theme");
  theme.textContent = "Theme: " + themes[theme_now];
}
theme.addEventListener("click", function () {
  theme_now = (theme_now + 1) % themes.length;
  use_theme();
});

document.getElementById("facts").replaceChildren.apply(document.getElementById("facts"),
  [].concat.apply([], data.facts.map(function (fact) {
    return [element("dt", fact[0]), element("dd", fact[1])];
  })));
document.getElementById("reading").textContent = data.diff
  ? "A box is a function, below the one that called it, as wide as what was or is allocated in it,"
    + " whichever is more. Red grew, blue shrank, grey is as it was."
  : "A box is a function, below the one that called it, as wide as what was allocated in it and in"
    + " what it called. The colour stands for the library. Click to zoom, / to search.";
shown.set = data.first;
shown.group = data.group;
shown.cumulative = cumulative.checked = data.cumulative;
cumulative.disabled = data.group === "traceback" || data.group === "domain";
use_theme();
redraw_graph();
draw_table();
