"use strict";

// The contents of the log so far: curves by name, evaluations and expansions by step, texts by tag.
let curves, evaluations, expansions, texts, run;

const COLOURS = ["#3b7dd8", "#d8663b", "#2f9e6e", "#a05bc0", "#c7a21b", "#7d8590", "#d0487e", "#3aa6b9"];
const OWN_KEYS = new Set(["kind", "step", "epoch", "time"]);

// The charts in the order of the page. A name goes to the first chart that takes it, else to its
// own.
const CHARTS = [
  ["loss", name => name === "loss" || name === "eval_loss"],
  ["loss components", name => /^(?!eval_|train_).*_loss$/.test(name) || name === "flops" || name === "regularizer"],
  ["retrieval metrics", name => name.startsWith("eval_") && name.includes("@")],
  ["terms per text", name => /^(query|doc)_terms/.test(name) || name === "eval_avg_nnz"],
  ["regularizer strengths", name => name === "lambda_q" || name === "lambda_d"],
  ["learning rate", name => name === "learning_rate"],
  ["gradient norm", name => name === "grad_norm"],
  ["tokens per second", name => name === "tokens_per_second"],
];

const byId = id => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

// Makes an element with attributes and children. Strings become text nodes, never HTML.
function element(name, attributes = {}, ...children) {
  const svg = ["svg", "path", "polyline", "text", "line", "circle"].includes(name);
  const made = svg ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function shown(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e7) return String(value);
  if (size >= 1e-3 && size < 1e7) return String(+value.toPrecision(5));
  // Zeros at the end are removed, as in 2e-5.
  return value.toExponential(3).replace(/\.?0*e/, "e");
}

function duration(seconds) {
  const s = Math.round(seconds), two = n => String(n).padStart(2, "0");
  return `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
}

function reset() {
  curves = new Map();
  evaluations = [];
  expansions = [];
  texts = new Map();
}

function add(record) {
  if (record.kind === "text") texts.set(record.tag, record.text);
  if (record.kind === "summary") {
    const values = Object.entries(record).filter(([name]) => !OWN_KEYS.has(name));
    texts.set("summary of the run", values.map(([name, value]) => `${name}: ${shown(value)}`).join("\n"));
  }
  if (record.kind === "expansions") expansions.push(record);
  if (record.kind === "eval") evaluations.push(record);
  if (record.kind !== "train" && record.kind !== "eval") return;
  for (const [name, value] of Object.entries(record)) {
    if (OWN_KEYS.has(name) || (value !== null && typeof value !== "number")) continue;
    if (!curves.has(name)) curves.set(name, []);
    curves.get(name).push([record.step, value]);
  }
}

// Keeps at most two points, the lowest and the highest, for each of `columns` intervals of steps.
function thinned(points, columns) {
  if (points.length <= 2 * columns) return points;
  const first = points[0][0], span = points[points.length - 1][0] - first || 1;
  const kept = [];
  let column = -1, low, high;
  const close = () => {
    if (column < 0) return;
    kept.push(...(low === high ? [low] : low[0] < high[0] ? [low, high] : [high, low]));
  };
  for (const point of points) {
    const its = Math.min(columns - 1, Math.floor((point[0] - first) / span * columns));
    if (its !== column) {
      close();
      [column, low, high] = [its, point, point];
    } else if (point[1] < low[1]) low = point;
    else if (point[1] > high[1]) high = point;
  }
  close();
  return kept;
}

// Returns three to seven round numbers from `low` to `high`.
function ticks(low, high) {
  const rough = (high - low) / 6, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(n => n * power).find(n => n >= rough * 0.999) || rough;
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high * (1 + 1e-12) && found.length < 20; i++) found.push(+(i * step).toPrecision(12));
  return found;
}

// Returns powers of ten, or round numbers if there are too few powers of ten.
function logarithmicTicks(low, high) {
  if (high - low < 2) return ticks(10 ** low, 10 ** high).filter(value => value > 0);
  return ticks(low, high).filter(Number.isInteger).map(power => 10 ** power);
}

const W = 480, H = 220, LEFT = 58, RIGHT = 8, TOP = 8, BOTTOM = 22;

// Makes a chart of several curves that shows the values next to the pointer.
function chart(title, names) {
  const wanted = byId("logarithmic").checked;
  const finite = names.map(name => curves.get(name).filter(point => point[1] !== null));
  const all = finite.flat().map(point => point[1]);
  const logarithmic = wanted && all.some(value => value > 0);
  const lines = finite.map(points => logarithmic ? points.filter(point => point[1] > 0) : points);
  const scale = logarithmic ? Math.log10 : value => value;
  let low = Infinity, high = -Infinity, first = Infinity, last = -Infinity;
  for (const [step, value] of lines.flat()) {
    low = Math.min(low, scale(value));
    high = Math.max(high, scale(value));
    first = Math.min(first, step);
    last = Math.max(last, step);
  }
  const svg = element("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `${title} by step` });
  const keys = names.map((name, i) => {
    const value = finite[i].length ? finite[i][finite[i].length - 1][1] : null;
    return element("span", { class: "key", style: `--colour:${COLOURS[i % COLOURS.length]}` }, `${name} ${shown(value)}`);
  });
  const missing = names.reduce((sum, name) => sum + curves.get(name).length, 0) - all.length;
  if (missing) keys.push(element("small", {}, `${missing} not finite`));
  const figure = element("figure", {}, element("figcaption", {}, element("b", {}, title), ...keys), svg);
  if (low > high) return figure;
  if (low === high) {
    const room = Math.abs(low) / 10 || 1;
    low -= room;
    high += room;
  }
  if (first === last) last = first + 1;
  const x = step => LEFT + (W - LEFT - RIGHT) * (step - first) / (last - first);
  const y = value => TOP + (H - TOP - BOTTOM) * (high - scale(value)) / (high - low);
  svg.append(element("path", { class: "axis", d: `M${LEFT} ${TOP}V${H - BOTTOM}H${W - RIGHT}` }));
  for (const value of logarithmic ? logarithmicTicks(low, high) : ticks(low, high)) {
    svg.append(element("text", { x: LEFT - 5, y: y(value) + 4, "text-anchor": "end" }, shown(value)));
  }
  for (const step of ticks(first, last).filter(Number.isInteger)) {
    svg.append(element("text", { x: x(step), y: H - 6, "text-anchor": "middle" }, String(step)));
  }
  lines.forEach((points, i) => {
    const colour = COLOURS[i % COLOURS.length];
    const path = thinned(points, W - LEFT - RIGHT).map(([step, value]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`);
    svg.append(element("polyline", { points: path.join(" "), stroke: colour }));
    if (points.length === 1) svg.append(element("circle", { cx: x(points[0][0]), cy: y(points[0][1]), r: 3, fill: colour }));
  });
  hover(figure, svg, names, lines, x, step => first + (step - LEFT) / (W - LEFT - RIGHT) * (last - first));
  return figure;
}

function hover(figure, svg, names, lines, x, stepAt) {
  const note = element("div", { class: "hover", hidden: "" });
  const cursor = element("line", { class: "cursor", y1: TOP, y2: H - BOTTOM, visibility: "hidden" });
  svg.append(cursor);
  figure.append(note);
  svg.addEventListener("pointermove", event => {
    const box = svg.getBoundingClientRect(), share = (event.clientX - box.left) / box.width;
    const step = stepAt(share * W);
    const near = lines.map(points => nearest(points, step));
    const [at] = near.filter(Boolean).sort((a, b) => Math.abs(a[0] - step) - Math.abs(b[0] - step));
    if (!at) return;
    note.textContent = [`step ${at[0]}`].concat(names.map((name, i) => {
      if (!near[i]) return `${name}: –`;
      return `${name}: ${shown(near[i][1])}${near[i][0] === at[0] ? "" : ` (step ${near[i][0]})`}`;
    })).join("\n");
    note.hidden = false;
    note.style.left = share < 0.5 ? `${share * 100 + 3}%` : "";
    note.style.right = share < 0.5 ? "" : `${(1 - share) * 100 + 3}%`;
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, x(at[0]));
    cursor.setAttribute("visibility", "visible");
  });
  svg.addEventListener("pointerleave", () => {
    note.hidden = true;
    cursor.setAttribute("visibility", "hidden");
  });
}

// Returns the point with the nearest step by binary search; steps ascend.
function nearest(points, step) {
  let low = 0, high = points.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < step) low = middle + 1;
    else high = middle;
  }
  const before = points[low - 1];
  return before && step - before[0] < points[low][0] - step ? before : points[low];
}

function drawCharts() {
  const groups = CHARTS.map(([title, takes]) => [title, takes, []]);
  for (const name of curves.keys()) {
    const group = groups.find(([, takes]) => takes(name));
    if (group) group[2].push(name);
    else groups.push([name.replaceAll("_", " "), () => false, [name]]);
  }
  byId("charts").replaceChildren(...groups.filter(group => group[2].length).map(([title, , names]) => chart(title, names)));
}

// Returns the best value of a column: the highest of a metric, the lowest of the loss, else none.
function best(name, values) {
  const finite = values.filter(value => typeof value === "number");
  if (name.includes("@")) return Math.max(...finite);
  return name === "eval_loss" ? Math.min(...finite) : undefined;
}

function drawEvaluations() {
  byId("evaluations").hidden = !evaluations.length;
  const names = [...new Set(evaluations.flatMap(Object.keys))].filter(name => name.startsWith("eval_"));
  const bests = names.map(name => best(name, evaluations.map(record => record[name])));
  const head = ["step", "epoch", ...names.map(name => name.slice(5))];
  const rows = [...evaluations].reverse().map(record => element("tr", {},
    ...[record.step, record.epoch].map(value => element("td", {}, shown(value))),
    ...names.map((name, i) => element("td", record[name] === bests[i] && bests[i] !== undefined ? { class: "best" } : {}, shown(record[name])))));
  byId("evaluations").querySelector("table").replaceChildren(
    element("thead", {}, element("tr", {}, ...head.map(name => element("th", {}, name)))),
    element("tbody", {}, ...rows));
}

// Makes a list of terms with bars. Terms that are not in `known` are marked.
function bars(title, terms, known, most) {
  const rows = terms.map(([term, weight]) => element("div", { class: known && !known.has(term) ? "term new" : "term" },
    element("span", { title: term }, term),
    element("div", { class: "bar", style: `width:${Math.max(0, Math.min(100, 100 * weight / most))}%` }),
    element("span", {}, weight === null ? "–" : weight.toFixed(3))));
  return element("div", {}, element("small", {}, `${title}, ${terms.length} terms`), ...rows);
}

function drawExpansions() {
  byId("expansions").hidden = !expansions.length;
  if (!expansions.length) return;
  const select = byId("step"), followed = select.selectedIndex <= 0, chosen = select.value;
  // The newest step is the first option and stays selected unless the user selects another one.
  select.replaceChildren(...expansions.map((record, i) => element("option", { value: i }, String(record.step))).reverse());
  if (!followed) select.value = chosen;
  drawSamples();
}

function drawSamples() {
  const now = expansions[Number(byId("step").value)];
  byId("samples").replaceChildren(...now.samples.map(sample => {
    const same = other => other.side === sample.side && other.text === sample.text;
    const earliest = expansions.find(record => record.samples.some(same));
    const before = earliest.samples.find(same).terms;
    const most = Math.max(1e-9, ...before.concat(sample.terms).map(term => term[1]));
    return element("div", { class: "sample" },
      element("p", {}, element("small", {}, `${sample.side} `), sample.text),
      bars(`step ${earliest.step}`, before, null, most),
      bars(`step ${now.step}`, sample.terms, new Set(before.map(term => term[0])), most));
  }));
}

function drawTexts() {
  byId("texts").hidden = !texts.size;
  const open = new Set([...byId("texts").querySelectorAll("details[open]")].map(details => details.dataset.tag));
  byId("texts").querySelectorAll("details").forEach(details => details.remove());
  for (const [tag, text] of texts) {
    const details = element("details", { "data-tag": tag }, element("summary", {}, tag), element("pre", {}, text));
    details.open = open.has(tag);
    byId("texts").append(details);
  }
}

function draw() {
  drawCharts();
  drawEvaluations();
  drawExpansions();
  drawTexts();
}

function drawStatus(status, lost) {
  const parts = [];
  if (status) {
    parts.push(status.phase, `step ${status.step} of ${status.total}`);
    if (status.loss !== null) parts.push(`loss ${shown(status.loss)}`);
    if (status.tokens_per_second !== null) parts.push(`${Math.round(status.tokens_per_second)} tokens per second`);
    if (status.seconds_left !== null) parts.push(`${duration(status.seconds_left)} left`);
    byId("progress").hidden = false;
    byId("progress").value = status.total ? status.step / status.total : 0;
    document.title = `${status.total ? Math.floor(100 * status.step / status.total) : 0} % training`;
  }
  if (lost) parts.push("no response: the run has ended or was stopped");
  byId("status").textContent = parts.filter(Boolean).join(" · ") || "no records yet";
  byId("status").classList.toggle("lost", lost);
}

let next = 0, lastStatus = null;

// Fetches new records until there are no more, draws them, and schedules the next poll.
async function poll() {
  try {
    let more = true, changed = false;
    while (more) {
      const answer = await fetch(`data?since=${next}`);
      if (!answer.ok) throw new Error(answer.statusText);
      const data = await answer.json();
      if (data.run !== run || data.from !== next) {
        reset();
        run = data.run;
        changed = true;
        if (data.from !== 0) {
          // A new run has replaced the log, which is already longer than this offset.
          next = 0;
          continue;
        }
      }
      data.records.forEach(add);
      changed ||= data.records.length > 0;
      [next, more, lastStatus] = [data.next, data.more, data.status];
    }
    if (changed) draw();
    drawStatus(lastStatus, false);
  } catch {
    drawStatus(lastStatus, true);
  }
  setTimeout(poll, document.hidden ? 10000 : 2000);
}

reset();
byId("logarithmic").addEventListener("change", drawCharts);
byId("step").addEventListener("change", drawSamples);
const records = JSON.parse(byId("records").textContent);
if (records) {
  records.forEach(add);
  draw();
  const steps = records.filter(record => record.step !== undefined);
  byId("status").textContent = steps.length ? `up to step ${steps[steps.length - 1].step}` : "no records";
} else poll();
