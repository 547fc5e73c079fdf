/* SPDX-License-Identifier: MIT */
/*
 * The data of the page, and what is summed up of them. A set is one moment, or one choice of
 * blocks; its stacks are [blocks, bytes, domain, place...], innermost place first.
 */
"use strict";
var data = JSON.parse(document.getElementById("data").textContent);
var BLOCKS = 0, BYTES = 1, OLD = 0, NEW = 1;
var UNKNOWN = "<unknown>", NOWHERE = "[unknown]";
var places = data.places.map(function (fields) {
  return {name: fields[0], file: fields[1], line: fields[2], module: fields[3] || NOWHERE};
});
/* Of a stack that could not be taken. */
var unknown = {name: UNKNOWN, file: null, line: 0, module: UNKNOWN};
var stacks = data.sets.map(function (set) {
  return set.stacks.map(function (fields) {
    return {
      blocks: fields[0], bytes: fields[1], domain: fields[2],
      frames: fields.length > 3
        ? fields.slice(3).map(function (number) { return places[number]; }) : [unknown]
    };
  });
});
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
function sum(set) {
  return stacks[set].reduce(function (total, stack) {
    return [total[BLOCKS] + stack.blocks, total[BYTES] + stack.bytes];
  }, [0, 0]);
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

function add_to(rows, key, make, set, stack) {
  var row = rows.get(key);
  if (!row) {
    row = make();
    row.values = data.sets.map(function () { return [0, 0]; });
    rows.set(key, row);
  }
  row.values[set][BLOCKS] += stack.blocks;
  row.values[set][BYTES] += stack.bytes;
}

/* The rows of the table that is shown, with the values of all sets. */
function table_rows() {
  var rows = new Map(), by = groups[shown.group];
  stacks.forEach(function (list, set) {
    list.forEach(function (stack) {
      if (shown.group === "domain")
        return add_to(rows, stack.domain, function () {
          return {name: domain_name(stack.domain), under: ""};
        }, set, stack);
      if (shown.group === "traceback")
        return add_to(rows, stack.frames.map(place_text).join("\n"), function () {
          return {name: place_text(stack.frames[0]), under: "", frames: stack.frames};
        }, set, stack);
      var seen = new Set();
      (shown.cumulative ? stack.frames : stack.frames.slice(0, 1)).forEach(function (place) {
        var names = by(place);
        if (seen.has(names[0])) return;
        seen.add(names[0]);
        add_to(rows, names[0], function () {
          return {name: names[1], under: names[2]};
        }, set, stack);
      });
    });
  });
  return Array.from(rows.values());
}

/* What a node or row is worth now: of a difference, what is wide enough for old and new. */
function worth(values) {
  return data.diff ? Math.max(values[OLD][shown.measure], values[NEW][shown.measure])
    : values[shown.set][shown.measure];
}

function new_node(parent, place) {
  return {parent: parent, place: place, depth: parent ? parent.depth + 1 : 0, children: new Map(),
    values: data.sets.map(function () { return [0, 0]; })};
}
/* The tree of the flame graph: outermost function first, or the other way round. */
function make_tree() {
  var root = new_node(null, {name: "all", file: null, line: 0, module: ""});
  stacks.forEach(function (list, set) {
    if (!data.diff && set !== shown.set) return;
    list.forEach(function (stack) {
      var node = root, frames = stack.frames, count = frames.length;
      for (var i = -1; i < count; i++) {
        if (i >= 0) {
          var place = frames[shown.inverted ? i : count - 1 - i];
          var key = place.name + "\n" + place.module, child = node.children.get(key);
          if (!child) node.children.set(key, child = new_node(node, place));
          node = child;
        }
        node.values[set][BLOCKS] += stack.blocks;
        node.values[set][BYTES] += stack.bytes;
      }
    });
  });
  weigh(root);
  return root;
}
/* Widths, from the leaves: a node is as wide as its children and what it has itself. */
function weigh(root) {
  var order = [root];
  for (var i = 0; i < order.length; i++)
    order[i].children.forEach(function (child) { order.push(child); });
  for (i = order.length - 1; i >= 0; i--) {
    var node = order[i], below = 0;
    node.list = Array.from(node.children.values()).filter(function (child) {
      return child.width > 0;
    });
    node.list.sort(function (a, b) { return a.place.name < b.place.name ? -1 : 1; });
    node.list.forEach(function (child) { below += child.width; });
    node.width = Math.max(worth(node.values), below);
  }
}

function matches(place) {
  var text = shown.search.toLowerCase();
  return text !== "" && [place.name, place.file || "", place.module].some(function (field) {
    return field.toLowerCase().indexOf(text) >= 0;
  });
}
/* The share of what is shown that has a match in its stack, each block once. */
function found_share(set) {
  var part = 0, whole = 0;
  stacks[set].forEach(function (stack) {
    var value = shown.measure === BYTES ? stack.bytes : stack.blocks;
    whole += value;
    if (stack.frames.some(matches)) part += value;
  });
  return share(part, whole);
}
