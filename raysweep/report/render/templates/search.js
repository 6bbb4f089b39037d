"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const byId = id => document.getElementById(id);
const NOT_SET = -0.13, WIDE = 1150, TALL = 400, TOP = 44, LOW = 52, SIDE = 86;
let arm = data.arms[0], brushes = {}, shown = [];

function make(parent, name, attributes, words) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (words !== undefined) node.textContent = words;
  parent.appendChild(node);
  return node;
}

function canvas(box, height) {
  return make(box, "svg", {viewBox: `0 0 ${WIDE} ${height}`, role: "img"});
}

function short(words, most) { return words.length > most ? words.slice(0, most - 1) + "…" : words; }

function say(trial) {
  const lines = [`trial ${trial.number}: ${trial.state}${trial.chosen ? ", chosen" : ""}`];
  data.objectives.forEach((objective, i) => {
    if (trial.values[i] !== null) lines.push(`${objective.label} ${trial.values[i]}`);
    else if (trial.last[i] !== null) lines.push(`${objective.label} ${trial.last[i]} at its last epoch`);
  });
  for (const [path, words] of trial.words) lines.push(`${path} = ${words}`);
  if (trial.seconds !== null) lines.push(`${trial.seconds} device-seconds`);
  if (trial.cause) lines.push(trial.cause);
  if (trial.run) lines.push(`MLflow run ${trial.run}`);
  return lines.join("\n");
}

function hover(node, trial) {
  const tip = byId("tip");
  node.addEventListener("pointerenter", () => {
    tip.textContent = say(trial);
    tip.hidden = false;
    for (const one of shown) if (one.trial === trial && one.width) one.line.setAttribute("stroke-width", 4.5);
  });
  node.addEventListener("pointermove", event => {
    const left = Math.min(event.pageX + 14, document.documentElement.clientWidth - tip.offsetWidth - 8);
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${event.pageY + 14}px`;
  });
  node.addEventListener("pointerleave", () => {
    tip.hidden = true;
    for (const one of shown) if (one.trial === trial && one.width) one.line.setAttribute("stroke-width", one.width);
  });
}

function selects(trial) {
  return Object.entries(brushes).every(([axis, [from, to]]) => {
    const place = trial.places[axis] ?? (Number(axis) < data.axes.length - data.objectives.length ? NOT_SET : null);
    return place !== null && place >= from && place <= to;
  });
}

function select() {
  for (const one of shown) one.group.classList.toggle("off", !selects(one.trial));
  const left = arm.trials.filter(selects).length;
  byId("selected").textContent = Object.keys(brushes).length ? `${left} of ${arm.trials.length} trials selected` : "";
}

const xOf = i => SIDE + i * (WIDE - SIDE - 40) / Math.max(1, data.axes.length - 1);
const yOf = place => TOP + (1 - place) * (TALL - TOP - LOW);

function drawParallel() {
  const svg = canvas(byId("parallel"), TALL);
  const fields = data.axes.length - data.objectives.length;
  const rank = trial => (trial.chosen ? 2 : 0) + (trial.values[0] === null ? -1 : 0);
  const sign = data.objectives[0].maximize ? 1 : -1;
  const order = [...arm.trials].filter(t => t.values[0] !== null || t.state === "pruned")
    .sort((a, b) => rank(a) - rank(b) || sign * (a.values[0] - b.values[0]));
  for (const trial of order) {
    const last = trial.values[0] === null ? fields : data.axes.length;
    const path = trial.places.slice(0, last)
      .map((place, i) => `${i ? "L" : "M"}${xOf(i).toFixed(1)} ${yOf(place ?? NOT_SET).toFixed(1)}`).join("");
    const group = make(svg, "g", {});
    const width = trial.chosen ? 4 : 1.4;
    const line = make(group, "path", {d: path, fill: "none", stroke: trial.color, "stroke-width": width});
    if (trial.values[0] === null) line.setAttribute("stroke-dasharray", "4 3");
    hover(make(group, "path", {d: path, class: "hit"}), trial);
    shown.push({group, trial, line, width});
  }
  data.axes.forEach((axis, i) => drawAxis(svg, axis, i, i < fields));
}

function drawAxis(svg, axis, i, field) {
  const x = xOf(i), missing = field && arm.trials.some(trial => trial.places[i] === null);
  make(svg, "line", {x1: x, x2: x, y1: yOf(0), y2: yOf(1), stroke: "#555"});
  for (const [place, words] of axis.marks) {
    make(svg, "line", {x1: x - 4, x2: x, y1: yOf(place), y2: yOf(place), stroke: "#555"});
    make(svg, "text", {x: x - 7, y: yOf(place) + 4, "text-anchor": "end", class: "mark"}, short(words, 13));
  }
  if (missing)
    make(svg, "text", {x: x - 7, y: yOf(NOT_SET) + 4, "text-anchor": "end", class: "mark"}, "not set");
  const title = make(svg, "text", {x, y: i % 2 ? 14 : 30, "text-anchor": "middle", "font-weight": 600},
    short(axis.label, 26) + (axis.log ? " (log)" : ""));
  make(title, "title", {}, axis.path || axis.label);
  const band = make(svg, "rect", {x: x - 8, width: 16, y: 0, height: 0, class: "brush"});
  const rail = make(svg, "rect", {x: x - 14, width: 28, y: TOP - 8, height: yOf(NOT_SET) - TOP + 22, class: "rail"});
  drag(svg, rail, band, i);
}

function drag(svg, rail, band, axis) {
  let start = null;
  const placeAt = event => {
    const box = svg.getBoundingClientRect();
    const y = (event.clientY - box.top) * TALL / box.height;
    return 1 - (y - TOP) / (TALL - TOP - LOW);
  };
  const update = event => {
    const end = placeAt(event), from = Math.min(start, end), to = Math.max(start, end);
    if (to - from < 0.015) { delete brushes[axis]; band.setAttribute("height", 0); }
    else {
      brushes[axis] = [from, to];
      band.setAttribute("y", yOf(to));
      band.setAttribute("height", yOf(from) - yOf(to));
    }
    select();
  };
  rail.addEventListener("pointerdown", event => {
    start = placeAt(event);
    rail.setPointerCapture(event.pointerId);
    update(event);
  });
  rail.addEventListener("pointermove", event => { if (start !== null) update(event); });
  rail.addEventListener("pointerup", () => { start = null; });
  rail.addEventListener("pointercancel", () => { start = null; });
}

function marksOf(low, high) {
  const raw = (high - low) / 5, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(s => s * power).find(s => s >= raw);
  const marks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) marks.push(i * step);
  return marks.map(value => [value, value.toFixed(Math.max(0, -Math.floor(Math.log10(step) + 1e-9)))]);
}

function drawHistory(index) {
  const height = 300, bottom = 250, svg = canvas(byId("history"), height), objective = data.objectives[index];
  const valueOf = trial => trial.values[index] ?? (trial.state === "pruned" ? trial.last[index] : null);
  const values = arm.trials.map(valueOf).filter(value => value !== null);
  let low = Math.min(...values), high = Math.max(...values);
  if (!values.length) { low = 0; high = 1; }
  if (low === high) { low -= 0.05; high += 0.05; }
  const pad = 0.06 * (high - low), most = Math.max(1, ...arm.trials.map(trial => trial.number));
  const x = number => SIDE + 12 + number * (WIDE - SIDE - 60) / most;
  const y = value => bottom - 18 - (value - low + pad) / (high - low + 2 * pad) * (bottom - 48);
  make(svg, "line", {x1: SIDE, x2: WIDE - 40, y1: bottom, y2: bottom, stroke: "#555"});
  for (const [value, words] of values.length ? marksOf(low, high) : []) {
    make(svg, "line", {x1: SIDE, x2: WIDE - 40, y1: y(value), y2: y(value), stroke: "#e6e6e6"});
    make(svg, "text", {x: SIDE - 8, y: y(value) + 4, "text-anchor": "end"}, words);
  }
  const step = Math.max(1, Math.ceil(most / 12));
  for (let number = 0; number <= most; number += step)
    make(svg, "text", {x: x(number), y: bottom + 18, "text-anchor": "middle"}, number);
  make(svg, "text", {x: WIDE / 2, y: bottom + 40, "text-anchor": "middle"}, "trial");
  make(svg, "text", {x: SIDE, y: 16}, "validation " + objective.label);
  drawBest(svg, index, x, y, most);
  for (const trial of arm.trials) drawPoint(svg, trial, valueOf(trial), index, x, y, bottom);
}

function drawBest(svg, index, x, y, most) {
  const sign = data.objectives[index].maximize ? 1 : -1;
  let best = null, path = "";
  for (const trial of arm.trials) {
    const value = trial.values[index];
    if (value === null || (best !== null && sign * value <= sign * best)) continue;
    path += best === null ? `M${x(trial.number)} ${y(value)}` : `H${x(trial.number)}V${y(value)}`;
    best = value;
  }
  if (path) make(svg, "path", {d: `${path}H${x(most)}`, fill: "none", stroke: "#222", "stroke-width": 1.5});
}

function drawPoint(svg, trial, value, index, x, y, bottom) {
  const group = make(svg, "g", {}), at = x(trial.number);
  if (value === null) {
    const color = trial.state === "failed" ? "#D55E00" : "#777";
    const cross = `M${at - 5} ${bottom - 14}l10 10m-10 0l10 -10`;
    make(group, "path", {d: cross, stroke: color, "stroke-width": 2, fill: "none"});
  } else if (trial.values[index] === null) {
    make(group, "circle", {cx: at, cy: y(value), r: 4.5, fill: "#fff", stroke: "#777", "stroke-width": 1.4});
  } else {
    const look = trial.chosen ? {r: 8, stroke: "#222", "stroke-width": 2} : {r: 5};
    make(group, "circle", {cx: at, cy: y(value), fill: trial.color, ...look});
  }
  const target = {cx: at, cy: value === null ? bottom - 9 : y(value), r: 10, fill: "transparent"};
  hover(make(group, "circle", target), trial);
  shown.push({group, trial});
}

function draw() {
  for (const id of ["parallel", "history"]) byId(id).replaceChildren();
  brushes = {};
  shown = [];
  byId("counts").textContent = arm.counts;
  drawParallel();
  data.objectives.forEach((_, index) => drawHistory(index));
  select();
}

data.arms.forEach((one, i) => byId("arm").add(new Option(one.name, i)));
byId("pick").hidden = data.arms.length < 2;
byId("arm").addEventListener("change", event => { arm = data.arms[event.target.value]; draw(); });
byId("release").addEventListener("click", draw);
draw();
