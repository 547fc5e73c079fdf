/* SPDX-License-Identifier: MIT */
/*
 * The flame graph: a box for each function in the place that it was called from, as wide as what
 * was allocated in it. Boxes too narrow to be seen are not drawn; a zoom shows them.
 */
var graph = document.getElementById("graph"), tip = document.getElementById("tip");
var HIGH = 20, LETTER = 7.3, LEAST = 0.6;
var tree = null, zoomed = null, boxes = new Map();

function svg(name, attributes) {
  var element = document.createElementNS("http://www.w3.org/2000/svg", name);
  Object.keys(attributes).forEach(function (key) { element.setAttribute(key, attributes[key]); });
  return element;
}

/* By module, so that libraries can be told apart; of a difference by how much it changed. */
function colour(node) {
  if (data.diff) {
    var was = node.values[OLD][shown.measure], is = node.values[NEW][shown.measure];
    var change = (is - was) / Math.max(is, was, 1);
    return [change > 0 ? 4 : 212, Math.round(100 * Math.min(Math.abs(change), 1)) + "%"];
  }
  var hash = 7, text = node.place.module;
  for (var i = 0; i < text.length; i++) hash = (hash * 31 + text.charCodeAt(i)) % 9973;
  return [hash % 360, node.parent ? "55%" : "0%"];
}

function amounts(values) {
  return human(values[BYTES]) + " (" + grouped(values[BYTES]) + " bytes) in "
    + grouped(values[BLOCKS]) + " blocks";
}
function percent_words(node) {
  var all = tree.values[shown.set][shown.measure];
  var words = share(node.values[shown.set][shown.measure], all).toFixed(2) + " % of all";
  if (zoomed !== tree)
    words += ", " + share(node.values[shown.set][shown.measure],
      zoomed.values[shown.set][shown.measure]).toFixed(2) + " % of " + zoomed.place.name;
  return words;
}
function words_of(node) {
  var lines = [node.place.name], values = node.values;
  if (node.place.file) lines.push(node.place.file);
  if (node.place.module) lines.push(node.place.module);
  if (data.diff)
    lines.push("old: " + amounts(values[OLD]), "new: " + amounts(values[NEW]), "change: "
      + signed(values[NEW][BYTES] - values[OLD][BYTES]) + " bytes in "
      + signed(values[NEW][BLOCKS] - values[OLD][BLOCKS]) + " blocks");
  else
    lines.push(amounts(values[shown.set]), percent_words(node));
  return lines.join("\n");
}

function show_tip(node, x, y) {
  tip.textContent = words_of(node);
  tip.hidden = false;
  var box = tip.getBoundingClientRect();
  tip.style.left = Math.max(4, Math.min(x + 14, innerWidth - box.width - 8)) + "px";
  tip.style.top = (y + 20 + box.height < innerHeight ? y + 20 : Math.max(4, y - box.height - 12))
    + "px";
}
function hide_tip() { tip.hidden = true; }

function draw_box(parent, node, left, wide, top) {
  var paint = colour(node), group = svg("g", {
    "class": "frame" + (matches(node.place) ? " found" : "")
      + (node.depth < zoomed.depth ? " above" : ""),
    tabindex: node === zoomed ? 0 : -1, role: "button", "aria-label": words_of(node)});
  group.setAttribute("style", "--h:" + paint[0] + ";--s:" + paint[1]);
  group.appendChild(svg("rect", {x: left, y: top, width: wide, height: HIGH, rx: 2}));
  var letters = Math.floor((wide - 6) / LETTER), name = node.place.name;
  if (letters >= 3) {
    var text = svg("text", {x: left + 4, y: top + 14});
    text.textContent = name.length <= letters ? name : name.slice(0, letters - 1) + "…";
    group.appendChild(text);
  }
  group.addEventListener("click", function () { zoom(node); });
  group.addEventListener("mousemove", function (event) {
    show_tip(node, event.clientX, event.clientY);
  });
  group.addEventListener("mouseleave", hide_tip);
  group.addEventListener("focus", function () {
    var box = group.getBoundingClientRect();
    show_tip(node, box.left, box.bottom - 14);
  });
  group.addEventListener("blur", hide_tip);
  group.addEventListener("keydown", function (event) { on_key(event, node); });
  parent.appendChild(group);
  boxes.set(node, group);
}

/* The zoomed box is as wide as the graph; those that it was called from lie above it. */
function draw_graph() {
  var wide = graph.clientWidth || 1000, todo = [], deepest = 0, root = svg("svg", {});
  boxes.clear();
  hide_tip();
  for (var node = zoomed; node; node = node.parent) todo.unshift([node, 0, wide]);
  while (todo.length) {
    var one = todo.pop(), at = one[1];
    draw_box(root, one[0], at, one[2], one[0].depth * HIGH);
    deepest = Math.max(deepest, one[0].depth + 1);
    if (one[0].depth < zoomed.depth) continue;
    children_of(one[0]).forEach(function (child) {
      var width = child.width * wide / (zoomed.width || 1);
      if (width >= LEAST) todo.push([child, at, width]);
      at += width;
    });
  }
  root.setAttribute("height", deepest * HIGH);
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", "Flame graph; arrow keys move, Enter zooms, Escape zooms out");
  graph.replaceChildren(root);
}

function zoom(node) {
  var had = graph.contains(document.activeElement);
  zoomed = node;
  draw_graph();
  document.getElementById("reset").disabled = zoomed === tree;
  if (had) boxes.get(node).focus();
}

function on_key(event, node) {
  var family = node.parent ? children_of(node.parent) : [node];
  var at = family.indexOf(node), to = null;
  var drawn = function (one) { return boxes.has(one); };
  if (event.key === "ArrowUp") to = node.parent;
  else if (event.key === "ArrowDown") to = children_of(node).find(drawn);
  else if (event.key === "ArrowLeft") to = family.slice(0, at).reverse().find(drawn);
  else if (event.key === "ArrowRight") to = family.slice(at + 1).find(drawn);
  else if (event.key === "Enter" || event.key === " ") zoom(node);
  else if (event.key === "Escape") zoom(tree);
  else return;
  event.preventDefault();
  if (!to || !boxes.has(to)) return;
  boxes.forEach(function (box) { box.setAttribute("tabindex", -1); });
  boxes.get(to).setAttribute("tabindex", 0);
  boxes.get(to).focus();
}
