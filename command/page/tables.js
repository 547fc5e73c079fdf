/* SPDX-License-Identifier: MIT */
/* The tables. Rows beyond the first are made when they are asked for. */
var table = document.getElementById("table"), more = document.getElementById("more");
var FIRST_ROWS = 50;
var sorted = {column: 0, up: false}, all_rows = false;

function column(title, value, text, tint) {
  return {title: title, value: value, text: text || grouped, tint: tint || null};
}
function by_change(number) { return number > 0 ? "grow" : number < 0 ? "shrink" : ""; }
function change_of(measure) {
  return function (row) { return row.values[NEW][measure] - row.values[OLD][measure]; };
}
function value_of(set, measure) {
  return function (row) { return row.values[set][measure]; };
}
function columns() {
  if (data.diff)
    return [column("Bytes, change", change_of(BYTES), signed, by_change),
      column("Bytes now", value_of(NEW, BYTES)),
      column("Blocks, change", change_of(BLOCKS), signed, by_change),
      column("Blocks now", value_of(NEW, BLOCKS))];
  var set = shown.set, total = sums()[set][BYTES];
  return [column("Bytes", value_of(set, BYTES)),
    column("Share", function (row) { return share(row.values[set][BYTES], total); },
      function (number) { return number.toFixed(2) + " %"; }),
    column("Blocks", value_of(set, BLOCKS))];
}

function element(name, text, css) {
  var made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (css) made.className = css;
  return made;
}
function number_cell(one, row) {
  var value = one.value(row), css = "num" + (one.tint ? " " + one.tint(value) : "");
  var cell = element("td", one.text(value), css);
  cell.setAttribute("data-v", value);
  return cell;
}
function name_cell(row) {
  var cell = element("td");
  if (!row.frames || row.frames.length < 2) {
    cell.appendChild(element("span", row.name));
  } else {
    var details = element("details"), list = element("ol");
    details.appendChild(element("summary", row.name));
    row.frames.forEach(function (place) { list.appendChild(element("li", place_text(place))); });
    details.appendChild(list);
    cell.appendChild(details);
  }
  if (row.under) cell.appendChild(element("small", row.under));
  return cell;
}

/* As poolmalloc report and diff sort: what is most, or has changed most, first. */
function order(rows, list) {
  var one = list[sorted.column], number = function (row) {
    var value = one.value(row);
    return data.diff && one.tint ? Math.abs(value) : value;
  };
  return rows.sort(function (a, b) {
    var result = one ? number(a) - number(b) : a.name.localeCompare(b.name, "en");
    if (result) return sorted.up ? result : -result;
    return list[1].value(b) - list[1].value(a) || (a.name < b.name ? -1 : 1);
  });
}

function draw_head(list) {
  var row = element("tr"), title = shown.group.charAt(0).toUpperCase() + shown.group.slice(1);
  list.map(function (one) { return one.title; }).concat(title).forEach(function (text, at) {
    var head = element("th", undefined, at < list.length ? "num" : ""), button = element("button");
    button.type = "button";
    button.textContent = text;
    head.scope = "col";
    head.setAttribute("aria-sort", sorted.column !== at ? "none"
      : sorted.up ? "ascending" : "descending");
    button.addEventListener("click", function () {
      sorted = {column: at, up: sorted.column === at ? !sorted.up : at === list.length};
      draw_table();
      table.tHead.rows[0].cells[at].firstChild.focus();
    });
    head.appendChild(button);
    row.appendChild(head);
  });
  table.tHead.replaceChildren(row);
}

function draw_table() {
  var list = columns(), rows = order(table_rows().filter(function (row) {
    return data.diff || row.values[shown.set][BLOCKS] > 0;
  }), list);
  var count = all_rows ? rows.length : Math.min(rows.length, FIRST_ROWS);
  draw_head(list);
  table.tBodies[0].replaceChildren.apply(table.tBodies[0], rows.slice(0, count).map(function (row) {
    var line = element("tr");
    list.forEach(function (one) { line.appendChild(number_cell(one, row)); });
    line.appendChild(name_cell(row));
    return line;
  }));
  var total = element("tr"), totals = {values: sums()};
  list.forEach(function (one) { total.appendChild(number_cell(one, totals)); });
  total.appendChild(element("td", "total"));
  table.tFoot.replaceChildren(total);
  more.hidden = count === rows.length;
  more.textContent = "Show all " + grouped(rows.length) + " rows";
}
