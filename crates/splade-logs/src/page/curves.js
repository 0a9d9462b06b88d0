"use strict";

// The curves, evaluations, expansions and settings of a training run, with a second run over it. A place with
// `data-runs` names the block of JSON with the runs; `how` is "report", "live" (the records are asked from the server)
// or "compact" (curves and expansions alone, as a part of a larger page).

const OWN_KEYS = new Set(["kind", "step", "epoch", "time"]);

// Metrics such as MRR@10, and the mean average precision without a cut-off.
const isRetrievalMetric = (name) => /^eval_(.+@\d+|map)$/i.test(name);

// The charts in the order of the page. A name goes to the first chart that takes it, else to its own.
const CHARTS = [
  ["Loss", (name) => name === "loss" || name === "eval_loss"],
  ["Retrieval metrics", isRetrievalMetric],
  ["Terms per text", (name) => /^(query|doc)_terms|^eval_avg_(query_)?nnz$/.test(name)],
  ["Parts of the loss", (name) => /^(?!eval_|train_).*_loss$/.test(name) || name === "flops" || name === "regularizer"],
  ["Accuracy", (name) => name === "accuracy" || name === "eval_accuracy"],
  ["Regularizer strengths", (name) => name === "lambda_q" || name === "lambda_d"],
  ["Learning rate", (name) => name === "learning_rate"],
  ["Gradient norm", (name) => name === "grad_norm"],
  ["Tokens per second", (name) => name === "tokens_per_second"],
];
const NAMES = {
  loss: "training loss", eval_loss: "validation loss", query_terms: "queries", doc_terms: "documents",
  eval_avg_nnz: "validation documents", eval_avg_query_nnz: "validation queries",
  eval_avg_sparsity: "sparsity of documents", eval_num_unique_tokens: "terms that occur",
  eval_num_unique_subtokens: "pieces of words that occur",
  eval_most_popular_appear_in_docs: "share of documents with the most frequent term",
  lambda_q: "λ of queries", lambda_d: "λ of documents",
  learning_rate: "learning rate", grad_norm: "gradient norm", tokens_per_second: "tokens per second",
  "eval_mrr@10": "MRR@10", "eval_ndcg@10": "nDCG@10", eval_map: "MAP",
  accuracy: "training accuracy", eval_accuracy: "validation accuracy", flops: "FLOPS regularizer",
};
// Values that are counts, whose axis has whole numbers.
const COUNTS = /^(query_terms|doc_terms|eval_avg_nnz|eval_avg_query_nnz|tokens_per_second|eval_num_.*)$/;
// Values of single steps, which vary by chance; schedules and evaluations are not smoothed.
const NOISY = /^(loss|.*(?<!^eval)_loss|flops|regularizer|query_terms|doc_terms|grad_norm|tokens_per_second|accuracy)$/;
// From this number of points on, curves are smoothed at first.
const MANY = 50;
const SMOOTHING = 0.6;

const nameOf = (name) => NAMES[name] || (name.startsWith("eval_") ? name.slice(5) : name).replaceAll("_", " ");

function timeText(seconds) {
  const s = Math.round(seconds);
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

// What the records of a log say.
class RunLog {
  constructor(name, state) {
    Object.assign(this, { name, state });
    this.reset();
  }

  reset() {
    Object.assign(this, { curves: new Map(), evaluations: [], expansions: [], texts: new Map(), warnings: [], end: null, info: null, summary: null, first: null, last: null, step: 0 });
  }

  add(record) {
    if (record.time) {
      this.first ??= record.time;
      this.last = record.time;
    }
    if (record.step !== undefined) this.step = record.step;
    switch (record.kind) {
      case "run": this.info = record; this.end = null; break;
      case "text": this.texts.set(record.tag, record.text); break;
      case "summary": this.summary = record; break;
      case "warning": this.warnings.push(record); break;
      case "end": this.end = record; break;
      case "expansions": this.expansions.push(record); break;
      case "eval": this.evaluations.push(record); this.addNumbers(record); break;
      case "train": this.addNumbers(record); break;
    }
  }

  addNumbers(record) {
    for (const [name, value] of Object.entries(record)) {
      if (OWN_KEYS.has(name) || (value !== null && typeof value !== "number")) continue;
      if (!this.curves.has(name)) this.curves.set(name, []);
      this.curves.get(name).push({ step: record.step, epoch: record.epoch, hours: (record.time - this.first) / 3600, value });
    }
  }

  // The title of the run where two are shown.
  get title() { return this.info?.config && this.info.config !== this.name ? `${this.name} (${this.info.config})` : this.name; }
}

// What became of a run, in a sentence, and the class of its banner.
function outcome(log) {
  const took = log.last > log.first ? ` in ${timeText(log.last - log.first)}` : "";
  const best = log.end?.best ? ` Best ${nameOf(log.end.best.metric)} ${shown(log.end.best.value)} at step ${log.end.best.step}.` : "";
  const kind = log.end ? log.end.outcome : log.state;
  if (log.state === "running") return ["banner", `Running: step ${log.step}${log.info ? ` of ${log.info.steps}` : ""} when this page was made.`];
  if (kind === "finished") return ["banner good", `Finished after ${log.step} steps${took}.${best}`];
  if (kind === "stopped") return ["banner warn", `Stopped at step ${log.step}${took}, on request. It can be resumed with --resume.${best}`];
  if (kind === "failed") return ["banner bad", `Failed after step ${log.step}${took}: ${log.end.message}${best}`];
  return ["banner bad", `No end was logged after step ${log.step}: the run crashed or was killed${took ? `, ${took.slice(4)} after it began` : ""}. It can be resumed with --resume.`];
}

const sameValues = (a, b) => a.length === b.length && a.every((point, i) => point.step === b[i].step && point.value === b[i].value);
const isConstant = (points) => points.length > 1 && points.every((point) => point.value === points[0].value);

// The curves of one or two logs in a place of a page.
class RunView {
  constructor(place, how) {
    Object.assign(this, { place, how, logs: [], zoom: null, x: "step", logarithmic: false, smoothing: null, chosen: null });
    this.banners = element("div");
    this.banners.setAttribute("role", "status");
    this.controls = element("div", { className: "controls" });
    this.charts = element("section", { className: "charts" });
    // A page may show the curves of several runs, each in a section with its heading.
    const heading = place.closest("section")?.querySelector("h2")?.textContent;
    this.charts.setAttribute("aria-label", heading ? `Curves: ${heading}` : "Curves");
    this.constants = element("section");
    this.evaluations = element("section");
    this.expansions = element("section");
    this.texts = element("section");
    place.append(this.banners, this.controls, this.constants, this.charts, this.evaluations, this.expansions, this.texts);
    this.makeControls();
  }

  // What headings add where only the first of two runs is shown.
  get ofFirst() { return this.logs.length > 1 ? `, ${this.logs[0].title}` : ""; }

  makeControls() {
    const slider = element("input", { type: "range", min: 0, max: 0.98, step: 0.02, value: 0 });
    this.slider = slider;
    this.sliderValue = element("output", { textContent: "0" });
    slider.addEventListener("input", () => { this.smoothing = Number(slider.value); this.drawCharts(); });
    const axis = element("select", {}, ...[["step", "step"], ["epoch", "epoch"], ["hours", "hours"]].map(([value, textContent]) => element("option", { value, textContent })));
    axis.addEventListener("change", () => { this.x = axis.value; this.zoom = null; this.drawCharts(); });
    const logarithmic = element("input", { type: "checkbox" });
    logarithmic.addEventListener("change", () => { this.logarithmic = logarithmic.checked; this.drawCharts(); });
    this.controls.append(
      element("label", {}, "Smoothing", slider, this.sliderValue),
      element("label", {}, "Axis", axis),
      element("label", {}, logarithmic, "logarithmic"));
    if (this.how !== "compact") {
      const file = element("input", { type: "file", accept: ".jsonl,.ndjson" });
      file.addEventListener("change", async () => {
        if (file.files[0]) this.layOver(file.files[0].name, await file.files[0].text());
      });
      this.fileError = element("span", { className: "error", role: "alert" });
      this.controls.append(element("label", {}, "Lay another log.jsonl over it", file), this.fileError);
    }
    this.legend = element("span", { className: "soft" });
    this.reset = element("button", { type: "button", textContent: "Whole range", hidden: true });
    this.reset.addEventListener("click", () => { this.zoom = null; this.drawCharts(); });
    this.controls.append(this.legend, this.reset);
  }

  layOver(name, text) {
    try {
      const log = new RunLog(name, "ended without a result");
      text.split("\n").filter(Boolean).forEach((line) => log.add(JSON.parse(line)));
      if (!log.curves.size) throw new Error("it has no records of training");
      this.logs[1] = log;
      this.fileError.textContent = "";
      this.draw();
    } catch (problem) {
      this.fileError.textContent = `${name} is not a training log: ${problem.message}`;
    }
  }

  draw() {
    this.drawBanners();
    this.drawCharts();
    this.drawEvaluations();
    this.drawExpansions();
    this.drawTexts();
  }

  drawBanners(live) {
    const parts = [];
    for (const log of this.logs) {
      const [className, text] = live && log === this.logs[0] && !log.end ? live : outcome(log);
      const banner = element("div", { className }, element("p", {}, this.logs.length > 1 ? element("b", {}, `${log.title}: `) : "", text));
      if (live && log === this.logs[0] && this.progress !== undefined && !log.end) {
        const bar = element("progress", { max: 1, value: this.progress });
        bar.setAttribute("aria-label", "Steps that are done");
        banner.append(bar);
      }
      parts.push(banner);
      if (log.warnings.length) {
        const items = log.warnings.map((one) => element("li", {}, element("b", {}, `Step ${one.step}: `), one.message, one.hint ? ` What to do: ${one.hint}` : ""));
        const more = items.splice(5);
        const box = element("div", { className: "banner warn" }, element("p", {}, element("b", {}, log.warnings.length === 1 ? "1 warning" : `${log.warnings.length} warnings`)), element("ul", {}, ...items));
        if (more.length) box.append(element("details", {}, element("summary", {}, `${more.length} more`), element("ul", {}, ...more)));
        parts.push(box);
      }
    }
    if (this.how !== "compact") this.banners.replaceChildren(...parts);
  }

  points(log, name) {
    return log.curves.get(name).map((point) => [point[this.x], point.value]);
  }

  drawCharts() {
    if (this.smoothing === null) {
      const longest = Math.max(0, ...this.logs.map((log) => log.curves.get("loss")?.length || 0));
      this.slider.value = longest >= MANY ? SMOOTHING : 0;
    }
    const smoothing = Number(this.slider.value);
    this.sliderValue.textContent = smoothing.toFixed(2);
    this.legend.replaceChildren(...(this.logs.length > 1 ? [
      element("span", { className: "key line s0" }, this.logs[0].title), " ", element("span", { className: "key line s0 dashed" }, this.logs[1].title)] : []));
    this.reset.hidden = !this.zoom;
    const groups = CHARTS.map(([title, takes]) => [title, takes, []]);
    const names = [...new Set(this.logs.flatMap((log) => [...log.curves.keys()]))];
    const constants = [];
    for (const name of names) {
      const found = this.logs.filter((log) => log.curves.has(name)).map((log) => log.curves.get(name));
      if (found.every(isConstant) && new Set(found.map((points) => points[0].value)).size === 1) {
        constants.push([nameOf(name), shown(found[0][0].value)]);
        continue;
      }
      const group = groups.find(([, takes]) => takes(name));
      if (group) group[2].push(name);
      else groups.push([nameOf(name).replace(/^./, (letter) => letter.toUpperCase()), () => false, [name]]);
    }
    this.constants.replaceChildren(...(constants.length ? [element("p", { className: "soft" }, "The same at every step: ", constants.map(([name, value]) => `${name} ${value}`).join(", "), ".")] : []));
    const full = groups.filter(([, , names]) => names.length);
    this.charts.replaceChildren(...full.map(([title, , names]) => this.chart(title, names, smoothing)));
  }

  chart(title, names, smoothing) {
    const series = [];
    // Curves that would hide each other are drawn once, with both names.
    const kept = [];
    for (const name of names) {
      const twin = kept.find(([first]) => this.logs.every((log) => log.curves.has(first) === log.curves.has(name)
        && (!log.curves.has(name) || sameValues(log.curves.get(first), log.curves.get(name)))));
      if (twin) twin.push(name);
      else kept.push([name]);
    }
    const last = (log, name) => (log.curves.get(name) || []).reduce((last, point) => point.value ?? last, null);
    // The legend names a curve once, with its last value in each run.
    const key = (same) => {
      const [name] = same, values = this.logs.map((log) => shown(last(log, name)));
      const has = this.logs.filter((log) => log.curves.has(name));
      const equal = has.length > 1 && sameValues(has[0].curves.get(name), has[1].curves.get(name));
      // A curve alone that is called as its chart needs no name.
      const label = kept.length === 1 && same.length === 1 && nameOf(name).toLowerCase() === title.toLowerCase() ? "" : `${same.map(nameOf).join(" = ")} `;
      return `${label}${equal ? `${values[0]} (the same in both)` : values.join(" / ")}`;
    };
    this.logs.forEach((log, run) => kept.forEach((same, colour) => {
      const [name] = same;
      if (!log.curves.has(name)) return;
      const points = this.points(log, name);
      const label = same.map(nameOf).join(" = ") + (this.logs.length > 1 ? `, ${log.name}` : "");
      const finite = points.filter((point) => point[1] !== null);
      const isFirst = this.logs.findIndex((other) => other.curves.has(name)) === run;
      const one = { name: label, colour, dashed: run > 0, points, key: isFirst ? key(same) : "" };
      if (smoothing > 0 && NOISY.test(name) && finite.length > 2) {
        series.push({ ...one, faint: true }, { ...one, points: smoothed(finite, smoothing) });
      } else series.push(one);
    }));
    const spec = {
      title,
      x: { label: this.x, integer: this.x === "step", range: this.zoom },
      y: { logarithmic: this.logarithmic, integer: names.every((name) => COUNTS.test(name)) },
      series,
    };
    return lineChart(spec, (range) => { this.zoom = range; this.drawCharts(); });
  }

  drawEvaluations() {
    const { evaluations } = this.logs[0];
    this.evaluations.hidden = !evaluations.length || this.how === "compact";
    if (this.evaluations.hidden) return;
    const names = [...new Set(evaluations.flatMap(Object.keys))].filter((name) => name.startsWith("eval_"));
    const bests = names.map((name) => best(name, evaluations.map((record) => record[name])));
    const heads = ["step", "epoch", ...names.map(nameOf)];
    const rows = [...evaluations].reverse().map((record) => element("tr", {},
      ...[record.step, record.epoch].map((value) => element("td", { className: "number", textContent: shown(value) })),
      ...names.map((name, i) => element("td", { className: record[name] === bests[i] && bests[i] !== undefined ? "number best" : "number", textContent: shown(record[name]) }))));
    const table = element("div", { className: "scroll tall", tabIndex: 0, role: "region" }, element("table", {},
      element("thead", {}, element("tr", {}, ...heads.map((name) => element("th", { className: "number", scope: "col", textContent: name })))),
      element("tbody", {}, ...rows)));
    table.setAttribute("aria-label", "Evaluations");
    this.evaluations.replaceChildren(element("h2", {}, `Evaluations${this.ofFirst}`), element("p", { className: "soft" }, "The newest first; the best value of each column is in bold."), table);
  }

  drawExpansions() {
    const { expansions } = this.logs[0];
    this.expansions.hidden = !expansions.length;
    if (!expansions.length) return;
    const select = element("select", {}, ...expansions.map((record, i) => element("option", { value: i, textContent: String(record.step) })).reverse());
    // The newest step is chosen until the user chooses another one.
    if (this.chosen !== null) select.value = this.chosen;
    const samples = element("div");
    const show = () => samples.replaceChildren(...this.samples(expansions[Number(select.value)]));
    select.addEventListener("change", () => { this.chosen = select.value; show(); });
    show();
    this.expansions.replaceChildren(element("h2", {}, `Expansions of sample texts${this.ofFirst}`),
      element("p", {}, element("label", { className: "inline" }, "Step ", select), " beside the first step with the same text. ",
        element("span", { className: "badge added" }, "new"), " marks terms that the first step did not have."), samples);
  }

  samples(now) {
    const { expansions } = this.logs[0];
    return now.samples.map((sample) => {
      const same = (other) => other.side === sample.side && other.text === sample.text;
      const earliest = expansions.find((record) => record.samples.some(same));
      const before = earliest.samples.find(same).terms;
      const most = Math.max(1e-9, ...before.concat(sample.terms).map((term) => term[1]));
      return element("div", { className: "sample" },
        element("p", { className: "text" }, element("span", { className: "badge" }, sample.side), " ", element("bdi", { lang: languageOf(sample.text), textContent: sample.text })),
        element("div", { className: "two" },
          terms(`Step ${earliest.step}`, before, null, most),
          terms(`Step ${now.step}`, sample.terms, new Set(before.map((term) => term[0])), most)));
    });
  }

  drawTexts() {
    const { texts, summary } = this.logs[0];
    const all = new Map([...texts].map(([tag, text]) => [tag === "args" ? "Settings" : tag, text]));
    if (summary) {
      const values = Object.entries(summary).filter(([name]) => !OWN_KEYS.has(name));
      all.set("Summary of the run", values.map(([name, value]) => `${name}: ${shown(value)}`).join("\n"));
    }
    this.texts.hidden = !all.size || this.how === "compact";
    const open = new Set([...this.texts.querySelectorAll("details[open]")].map((details) => details.dataset.tag));
    this.texts.replaceChildren(...[...all].map(([tag, text]) => {
      const details = element("details", { open: open.has(tag) }, element("summary", {}, tag), element("pre", { tabIndex: 0, textContent: text }));
      details.dataset.tag = tag;
      return details;
    }));
  }
}

// The best value of a column: the highest of a metric, the lowest of the loss, else none.
function best(name, values) {
  const finite = values.filter((value) => typeof value === "number");
  if (!finite.length) return undefined;
  if (isRetrievalMetric(name) || name === "eval_accuracy") return Math.max(...finite);
  return name === "eval_loss" ? Math.min(...finite) : undefined;
}

// Terms with bars. Terms that are not in `known` are marked.
function terms(caption, list, known, most) {
  const rows = list.map(([term, weight]) => element("tr", {},
    element("td", { className: "term" }, element("bdi", { lang: languageOf(term), textContent: term }), ...(known && !known.has(term) ? [" ", element("span", { className: "badge added" }, "new")] : [])),
    element("td", { className: "track" }, Object.assign(element("div", { className: "bar" }), { style: `width:${Math.max(0, Math.min(100, 100 * weight / most))}%` })),
    element("td", { className: "number", textContent: weight === null ? "–" : weight.toFixed(3) })));
  return element("table", {}, element("caption", {}, `${caption}: ${list.length} terms`), element("tbody", {}, ...rows));
}

// Asks the server for new records again and again.
function follow(view) {
  const log = new RunLog("this run", "running");
  view.logs[0] = log;
  const title = document.title;
  let next = 0, run, status = null;
  const live = (lost) => {
    const parts = [];
    if (status) {
      parts.push(`${status.phase}, step ${status.step} of ${status.total}`);
      if (status.loss !== null) parts.push(`loss ${shown(status.loss)}`);
      if (status.tokens_per_second !== null) parts.push(`${Math.round(status.tokens_per_second)} tokens per second`);
      if (status.seconds_left !== null) parts.push(`${timeText(status.seconds_left)} left`);
      view.progress = status.total ? status.step / status.total : 0;
      document.title = log.end ? `${title}: ${log.end.outcome}` : `${Math.floor(100 * view.progress)} % ${title}`;
    }
    const text = parts.join(" · ").replace(/^./, (letter) => letter.toUpperCase()) || "No records yet.";
    view.drawBanners(lost ? ["banner bad", `${text} · The run does not answer: it crashed or was killed, or the connection is gone.`] : ["banner", text]);
  };
  const poll = async () => {
    try {
      let more = true, changed = false;
      while (more) {
        const answer = await fetch(`data?since=${next}`);
        if (!answer.ok) throw new Error(answer.statusText);
        const data = await answer.json();
        if (data.run !== run || data.from !== next) {
          log.reset();
          run = data.run;
          changed = true;
          if (data.from !== 0) {
            // A new run has replaced the log, which is already longer than this offset.
            next = 0;
            continue;
          }
        }
        data.records.forEach((record) => log.add(record));
        changed ||= data.records.length > 0;
        [next, more, status] = [data.next, data.more, data.status];
      }
      if (log.end) log.state = log.end.outcome;
      if (changed) view.draw();
      live(false);
    } catch {
      live(!log.end);
    }
    // After its end, a run has nothing more to say.
    if (!log.end) setTimeout(poll, document.hidden ? 10000 : 2000);
  };
  poll();
}

for (const place of document.querySelectorAll("[data-runs]")) {
  const { how, runs } = JSON.parse(document.getElementById(place.dataset.runs).textContent);
  const view = new RunView(place, how);
  if (how === "live") {
    follow(view);
    continue;
  }
  view.logs = runs.map(({ name, state, records }) => {
    const log = new RunLog(name, state);
    records.forEach((record) => log.add(record));
    return log;
  });
  view.draw();
}
