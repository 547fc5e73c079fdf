/* SPDX-License-Identifier: MIT */
/*
 * The data of the page, and what is summed up of them. A set is one moment, or one choice of
 * blocks; its stacks are [blocks, bytes, domain, place...], innermost place first. Here each stack
 * comes once, with the values of all sets.
 */
"use strict";
var data = JSON.parse(document.getElementById("data").textContent);
var BLOCKS = 0, BYTES = 1, OLD = 0, NEW = 1;
var UNKNOWN = "<unknown>", NOWHERE = "[unknown]";
var functions = new Map();
function new_place(fields) {
  var place = {name: fields[0], file: fields[1], line: fields[2], module: fields[3] || NOWHERE};
  var key = place.name + "\n" + place.module;
  if (!functions.has(key)) functions.set(key, functions.size);
  place.id = functions.get(key); /* of the function: equal for all lines of it */
  return place;
}
var places = data.places.map(new_place);
/* Of a stack that could not be taken. */
var unknown = new_place([UNKNOWN, null, 0, UNKNOWN]);
function zeros() { return data.sets.map(function () { return [0, 0]; }); }
function read_stacks() {
  var found = new Map();
  data.sets.forEach(function (set, at) {
    set.stacks.forEach(function (fields) {
      var key = fields.slice(2).join(), stack = found.get(key);
      if (!stack) {
        stack = {domain: fields[2], values: zeros(), frames: fields.length > 3
          ? fields.slice(3).map(function (number) { return places[number]; }) : [unknown]};
        found.set(key, stack);
      }
      stack.values[at][BLOCKS] += fields[0];
      stack.values[at][BYTES] += fields[1];
    });
  });
  return Array.from(found.values());
}
var stacks = read_stacks();
/* What is shown: the number of a set, or, of a difference, both. */
var shown = {set: 0, measure: BYTES, group: "function", cumulative: false, inverted: false,
  search: ""};

function grouped(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ",");
}
function signed(number) {
  return (number > 0 ? "+" : number < 0 ? "−" : "") + grouped(Math.abs(number));
}
function human(bytes) {
  var units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"], at = 0;
  while (bytes >= 1024 && at < units.length - 1) { bytes /= 1024; at++; }
  return at ? bytes.toFixed(bytes < 10 ? 2 : 1) + " " + units[at] : bytes + " bytes";
}
function share(part, whole) {
  return whole ? 100 * part / whole : 0;
}
function add_values(to, values) {
  values.forEach(function (pair, set) {
    to[set][BLOCKS] += pair[BLOCKS];
    to[set][BYTES] += pair[BYTES];
  });
}
function sums() {
  var total = zeros();
  stacks.forEach(function (stack) { add_values(total, stack.values); });
  return total;
}

function domain_name(number) {
  return data.domains[number] || "domain " + number;
}
function place_text(place) {
  return place.name + (place.file ? " " + place.file + (place.line ? ":" + place.line : "") : "");
}
/* The key and the name of a place, as poolmalloc report --by prints it. */
var groups = {
  "function": function (p) { return [p.name + "\n" + p.module, p.name, p.module]; },
  "file": function (p) { return [p.file || p.module, p.file || p.module, ""]; },
  "line": function (p) {
    var name = p.file ? p.file + ":" + p.line : p.module;
    return [name, name, ""];
  },
  "module": function (p) { return [p.module, p.module, ""]; }
};

function add_to(rows, key, make, stack) {
  var row = rows.get(key);
  if (!row) {
    row = make();
    row.values = zeros();
    rows.set(key, row);
  }
  add_values(row.values, stack.values);
}

/* The rows of the table that is shown, with the values of all sets. */
function table_rows() {
  var rows = new Map(), by = groups[shown.group];
  stacks.forEach(function (stack) {
    if (shown.group === "domain")
      return add_to(rows, stack.domain, function () {
        return {name: domain_name(stack.domain), under: ""};
      }, stack);
    if (shown.group === "traceback")
      return add_to(rows, stack.frames.map(place_text).join("\n"), function () {
        return {name: place_text(stack.frames[0]), under: "", frames: stack.frames};
      }, stack);
    var seen = new Set();
    (shown.cumulative ? stack.frames : stack.frames.slice(0, 1)).forEach(function (place) {
      var names = by(place);
      if (seen.has(names[0])) return;
      seen.add(names[0]);
      add_to(rows, names[0], function () { return {name: names[1], under: names[2]}; }, stack);
    });
  });
  return Array.from(rows.values());
}

/* How wide a stack is now: of a difference, wide enough for old and new. */
function worth(values) {
  return data.diff ? Math.max(values[OLD][shown.measure], values[NEW][shown.measure])
    : values[shown.set][shown.measure];
}

/*
 * The tree of the flame graph: outermost function first, or the other way round. A node has the
 * stacks that lead through it; what lies below it is made when it is drawn, since most of a large
 * tree is never seen.
 */
function new_node(parent, place) {
  return {parent: parent, place: place, depth: parent ? parent.depth + 1 : 0, stacks: [],
    children: null, width: 0, values: zeros()};
}
function add_stack(node, stack) {
  node.stacks.push(stack);
  node.width += worth(stack.values);
  add_values(node.values, stack.values);
}
function make_tree() {
  var root = new_node(null, {name: "all", file: null, line: 0, module: "", id: -1});
  stacks.forEach(function (stack) {
    if (worth(stack.values) > 0) add_stack(root, stack);
  });
  return root;
}
function children_of(node) {
  if (node.children) return node.children;
  var found = new Map(), at = node.depth;
  node.stacks.forEach(function (stack) {
    var frames = stack.frames, place = frames[shown.inverted ? at : frames.length - 1 - at];
    if (!place) return;
    if (!found.has(place.id)) found.set(place.id, new_node(node, place));
    add_stack(found.get(place.id), stack);
  });
  node.children = Array.from(found.values()).sort(function (a, b) {
    return a.place.name < b.place.name ? -1 : 1;
  });
  return node.children;
}

/* Places come in many stacks: each keeps the answer to what it was asked last. */
function matches(place) {
  var text = shown.search.toLowerCase();
  if (place.asked !== text) {
    place.asked = text;
    place.fits = text !== "" && [place.name, place.file || "", place.module].some(
      function (field) { return field.toLowerCase().indexOf(text) >= 0; });
  }
  return place.fits;
}
/* The share of what is shown that has a match in its stack, each block once. */
function found_share(set) {
  var part = 0, whole = 0;
  stacks.forEach(function (stack) {
    var value = stack.values[set][shown.measure];
    whole += value;
    if (stack.frames.some(matches)) part += value;
  });
  return share(part, whole);
}
