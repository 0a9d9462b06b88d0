"use strict";

// Charts as SVG, drawn at the width that they have on the screen, so that their texts keep their size. Colours are
// classes of the stylesheet, which follow the theme. A chart is read with the pointer or, when it has the focus, with
// the arrow keys.

const SVG = "http://www.w3.org/2000/svg";
const COLOURS = 8;

function svgElement(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// A number with as many digits as a person reads.
function shown(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e7) return String(value);
  if (size >= 1e-3 && size < 1e7) return String(+value.toPrecision(5));
  // Zeros at the end are removed, as in 2e-5.
  return value.toExponential(3).replace(/\.?0*e/, "e");
}

// Three to seven round numbers from `low` to `high`; with `integer`, whole ones.
function ticks(low, high, integer, most = 6) {
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough * 0.999) || rough;
  if (integer) step = Math.max(1, Math.round(step));
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9 && found.length < 20; i++) found.push(+(i * step).toPrecision(12));
  return found;
}

// Powers of ten, or round numbers if there are too few powers of ten.
function logarithmicTicks(low, high) {
  if (high - low < 2) return ticks(10 ** low, 10 ** high).filter((value) => value > 0);
  return ticks(low, high).filter(Number.isInteger).map((power) => 10 ** power);
}

// At most two points, the lowest and the highest, for each of `columns` intervals.
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

// The moving mean with exponential weights of TensorBoard, whose first values are corrected for their bias.
function smoothed(points, weight) {
  let mean = 0, share = 0;
  return points.map(([x, value]) => {
    mean = weight * mean + (1 - weight) * value;
    share = weight * share + (1 - weight);
    return [x, mean / share];
  });
}

// The index of the nearest point; points ascend.
function nearest(points, x) {
  let low = 0, high = points.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < x) low = middle + 1;
    else high = middle;
  }
  return low > 0 && x - points[low - 1][0] < points[low][0] - x ? low - 1 : low;
}

const HEIGHT = 220, TOP = 8, BOTTOM = 38, RIGHT = 10, LETTER = 6.6;

// The frame of a chart: a caption, the drawing, and a note beside the pointer. `draw(width)` gives the parts of the
// drawing and `read(x)`, which says what is at a place: its coordinate and the lines of the note.
function chartFigure(caption, label, draw, zoom) {
  const svg = svgElement("svg", { role: "img", tabindex: "0", "aria-label": `${label}. The arrow keys read the values.`, height: HEIGHT });
  const note = element("div", { className: "note", hidden: true });
  note.setAttribute("aria-live", "polite");
  const figure = element("figure", { className: "chart" }, element("figcaption", {}, ...caption), svg, note);
  const cursor = svgElement("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
  const range = svgElement("rect", { class: "range", y: TOP, height: HEIGHT - BOTTOM - TOP, visibility: "hidden" });
  let width = 0, drawing = null, at = null, from = null;

  const place = (event) => event.clientX - svg.getBoundingClientRect().left;
  const hide = () => {
    note.hidden = true;
    for (const part of [cursor, range]) part.setAttribute("visibility", "hidden");
    from = null;
  };
  const read = (found) => {
    if (!found) return;
    at = found;
    note.textContent = found.lines.join("\n");
    note.hidden = false;
    const left = found.x < width / 2;
    note.style.left = left ? `${found.x + 12}px` : "";
    note.style.right = left ? "" : `${width - found.x + 12}px`;
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, found.x);
    cursor.setAttribute("visibility", "visible");
  };
  svg.addEventListener("pointermove", (event) => {
    if (!drawing) return;
    read(drawing.read(place(event)));
    if (from === null) return;
    const ends = [from, place(event)].sort((a, b) => a - b);
    range.setAttribute("x", ends[0]);
    range.setAttribute("width", ends[1] - ends[0]);
    range.setAttribute("visibility", "visible");
  });
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("blur", hide);
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!drawing || (!step && event.key !== "Escape")) return;
    event.preventDefault();
    if (!step) zoom?.(null);
    else read(at ? drawing.next(at, step) : drawing.read(step > 0 ? 0 : width));
  });
  if (zoom) {
    svg.addEventListener("pointerdown", (event) => { if (event.pointerType === "mouse") from = place(event); });
    svg.addEventListener("pointerup", (event) => {
      const ends = from === null ? [] : [from, place(event)].sort((a, b) => a - b);
      hide();
      if (ends.length && ends[1] - ends[0] > 6) zoom(ends.map(drawing.value));
    });
    svg.addEventListener("dblclick", () => zoom(null));
  }
  new ResizeObserver(() => {
    const now = Math.floor(figure.clientWidth);
    if (!now || now === width) return;
    width = now;
    drawing = draw(width);
    svg.setAttribute("width", width);
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    svg.replaceChildren(range, ...drawing.parts, cursor);
  }).observe(figure);
  return figure;
}

// The vertical axis with its labels and grid: the parts, the width of the labels, and the place of a value.
function verticalAxis(width, low, high, logarithmic, integer) {
  const values = logarithmic ? logarithmicTicks(low, high) : ticks(low, high, integer);
  const scale = logarithmic ? Math.log10 : (value) => value;
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (high - scale(value)) / (high - low);
  const labels = values.map(shown);
  const left = 10 + LETTER * Math.max(1, ...labels.map((text) => text.length));
  const parts = values.flatMap((value, i) => [
    svgElement("path", { class: "grid", d: `M${left} ${y(value).toFixed(1)}H${width - RIGHT}` }),
    svgElement("text", { x: left - 5, y: y(value) + 4, "text-anchor": "end" }, labels[i]),
  ]);
  parts.push(svgElement("path", { class: "axis", d: `M${left} ${TOP}V${HEIGHT - BOTTOM}H${width - RIGHT}` }));
  return { parts, left, y };
}

const axisLabel = (width, left, text) =>
  svgElement("text", { x: (left + width - RIGHT) / 2, y: HEIGHT - 4, "text-anchor": "middle", class: "label" }, text);

function horizontalLabels(places, width) {
  let free = -Infinity;
  return places.flatMap(([x, text]) => {
    const half = LETTER * text.length / 2;
    if (x - half < free || x + half > width + 4) return [];
    free = x + half + 8;
    return [svgElement("text", { x, y: HEIGHT - BOTTOM + 15, "text-anchor": "middle" }, text)];
  });
}

// Lines over numbers. `spec` has `title`; `x` with `label`, `logarithmic`, `integer`, `ticks`, `range` and `shown`; `y`
// with `logarithmic`, `integer` and `range`; and `series`, each with `name`, `points`, `colour`, `dashed`, `faint` (drawn
// behind and not read) and `key`, its words in the legend: the name if it has none, nothing if they are empty. `zoom` is
// told the range that was chosen.
function lineChart(spec, zoom) {
  const finite = spec.series.map((one) => one.points.filter((point) => point[1] !== null));
  const all = finite.flat();
  const logarithmic = spec.y.logarithmic && all.some((point) => point[1] > 0);
  const lines = finite.map((points) => (logarithmic ? points.filter((point) => point[1] > 0) : points));
  const keys = spec.series.filter((one) => !one.faint && one.key !== "").map((one) =>
    element("span", { className: `key line s${one.colour % COLOURS}${one.dashed ? " dashed" : ""}` }, one.key ?? one.name));
  const missing = spec.series.reduce((sum, one) => sum + (one.faint ? 0 : one.points.length), 0) - finite.reduce((sum, points, i) => sum + (spec.series[i].faint ? 0 : points.length), 0);
  if (missing) keys.push(element("span", { className: "soft" }, `${missing} values are not finite`));
  const xScale = spec.x.logarithmic ? Math.log2 : (value) => value;

  const draw = (width) => {
    let [low, high] = spec.y.range || [Infinity, -Infinity];
    let [first, last] = spec.x.range ? spec.x.range.map(xScale) : [Infinity, -Infinity];
    const yScale = logarithmic ? Math.log10 : (value) => value;
    if (!spec.x.range) {
      for (const [x] of lines.flat()) [first, last] = [Math.min(first, xScale(x)), Math.max(last, xScale(x))];
    }
    const inside = lines.map((points) => points.filter(([x]) => xScale(x) >= first && xScale(x) <= last));
    if (!spec.y.range) {
      for (const [, value] of inside.flat()) [low, high] = [Math.min(low, yScale(value)), Math.max(high, yScale(value))];
      if (low > high) [low, high, first, last] = [0, 1, 0, 1];
      const room = high > low ? (high - low) * 0.04 : Math.abs(low) / 10 || 1;
      [low, high] = [low >= 0 && !logarithmic ? Math.max(0, low - room) : low - room, high + room];
    }
    if (first === last) [first, last] = [first - 0.5, last + 0.5];
    const { parts, left, y } = verticalAxis(width, low, high, logarithmic, spec.y.integer);
    const x = (value) => left + (width - left - RIGHT) * (xScale(value) - first) / (last - first);
    const value = (place) => {
      const scaled = first + (place - left) / (width - left - RIGHT) * (last - first);
      return spec.x.logarithmic ? 2 ** scaled : scaled;
    };
    const marks = spec.x.ticks || ticks(first, last, spec.x.integer, Math.max(3, Math.floor(width / 70)));
    const text = spec.x.shown || shown;
    parts.push(...horizontalLabels(marks.map((mark) => [x(mark), text(mark)]), width), axisLabel(width, left, spec.x.label));
    inside.forEach((points, i) => {
      const one = spec.series[i];
      const classes = `curve s${one.colour % COLOURS}${one.dashed ? " dashed" : ""}${one.faint ? " faint" : ""}`;
      const path = thinned(points, Math.max(50, width - left - RIGHT)).map(([at, height]) => `${x(at).toFixed(1)},${y(height).toFixed(1)}`);
      parts.push(svgElement("polyline", { class: classes, points: path.join(" ") }));
      if (points.length <= 20 && !one.faint) {
        parts.push(...points.map(([at, height]) => svgElement("circle", { class: classes, cx: x(at), cy: y(height), r: 2.5 })));
      }
    });
    const seen = inside.map((points, i) => [spec.series[i], points]).filter(([one, points]) => !one.faint && points.length);
    const read = (place) => {
      const wanted = value(place);
      const near = seen.map(([one, points]) => [one, points[nearest(points, wanted)]]);
      const [best] = near.map(([, point]) => point[0]).sort((a, b) => Math.abs(a - wanted) - Math.abs(b - wanted));
      if (best === undefined) return null;
      const lines = [`${spec.x.label} ${text(best)}`, ...near.map(([one, point]) =>
        `${one.name}: ${shown(point[1])}${point[0] === best ? "" : ` (${spec.x.label} ${text(point[0])})`}`)];
      return { x: x(best), value: best, lines };
    };
    const next = (found, step) => {
      const places = [...new Set(seen.flatMap(([, points]) => points.map((point) => point[0])))].sort((a, b) => a - b);
      const index = Math.max(0, Math.min(places.length - 1, places.indexOf(found.value) + step));
      return read(x(places[index]));
    };
    return { parts, read, next, value };
  };
  const label = `${spec.title} by ${spec.x.label}: ${spec.series.filter((one) => !one.faint).map((one) => one.name).join(", ")}`;
  return chartFigure([element("b", {}, spec.title), ...keys], label, draw, zoom);
}

// Bars beside each other; those below zero have another colour. `spec` has `title`; `x` with `label` and `ends`; `y` with
// `label` and `integer`; and `bars`, each a label and a height.
function barChart(spec) {
  const heights = spec.bars.map(([, height]) => height);
  const draw = (width) => {
    const low = Math.min(0, ...heights), high = Math.max(0, ...heights) || (low < 0 ? 0 : 1);
    const { parts, left, y } = verticalAxis(width, low, high, false, spec.y.integer);
    // Few bars are no wider than a finger.
    const room = Math.min(48, (width - left - RIGHT) / Math.max(1, heights.length));
    const gap = room > 4 ? 1 : 0;
    heights.forEach((height, i) => {
      const [top, bottom] = [y(Math.max(0, height)), y(Math.min(0, height))];
      parts.push(svgElement("rect", {
        class: height < 0 ? "bar-down" : "bar-up", x: (left + i * room).toFixed(2), y: top.toFixed(1),
        width: Math.max(0.5, room - gap).toFixed(2), height: Math.max(height === 0 ? 0 : 1, bottom - top).toFixed(1),
      }));
    });
    const end = left + room * heights.length;
    const places = spec.x.ends ? [[left + LETTER * spec.x.ends[0].length / 2, spec.x.ends[0]], [end - LETTER * spec.x.ends[1].length / 2, spec.x.ends[1]]] : [];
    if (low < 0) parts.push(svgElement("path", { class: "axis", d: `M${left} ${y(0).toFixed(1)}H${width - RIGHT}` }));
    parts.push(...horizontalLabels(places, width), axisLabel(width, left, spec.x.label));
    const at = (index) => ({
      x: left + (index + 0.5) * room, value: index, lines: [`${spec.bars[index][0]}`, `${spec.y.label}: ${shown(spec.bars[index][1])}`],
    });
    const clamped = (index) => (heights.length ? at(Math.max(0, Math.min(heights.length - 1, index))) : null);
    return {
      parts,
      read: (place) => clamped(Math.floor((place - left) / room)),
      next: (found, step) => clamped(found.value + step),
    };
  };
  const caption = [element("b", {}, spec.title), element("span", { className: "soft" }, spec.y.label)];
  return chartFigure(caption, `${spec.title}: ${spec.y.label}, ${spec.x.label}`, draw);
}

for (const place of document.querySelectorAll("[data-chart]")) {
  const spec = JSON.parse(place.dataset.chart);
  place.replaceWith(spec.kind === "bars" ? barChart(spec) : lineChart(spec));
}
