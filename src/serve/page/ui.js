const TEXTS = {
  en: {
    api: "API", key: "Key of the service", expand: "Expand", compare: "Compare", search: "Search", text: "Text",
    as: "Read as", document: "document", query: "query", Query: "Query", Document: "Document",
    tokens: "Tokens of the text", terms: "Terms of the vector", term: "Term", weight: "Weight", from: "From",
    own: "in the text", added: "added by the model", copy: "Copy", copied: "Copied", score: "Score",
    meet: "The terms that both have. Each gives the product of its weights to the score.", share: "product",
    "only-query": "Only in the query", "only-document": "Only in the document", index: "Index",
    footer: "Nothing that you type leaves the server that shows this page.", other: "日本語",
    count: (n, all) => `${n} terms of ${all.toLocaleString("en")}`,
    dropped: (words) => (words ? `Struck out: the model gives no weight to ${words}.` : ""),
    truncated: "The text is longer than the model reads; its end was cut off.",
    documents: (n) => `${n.toLocaleString("en")} documents`,
    latency: (ms, search) => `${ms.toFixed(0)} ms in all, of which ${search.toFixed(2)} ms searching`,
    nothing: "Nothing was found.", why: "Why", none: "no terms in common", weights: "from SPLADE",
    splade: "SPLADE", bm25: "BM25", hybrid: "Both (RRF)",
  },
  ja: {
    api: "API", key: "サービスのキー", expand: "展開", compare: "比較", search: "検索", text: "テキスト",
    as: "種類", document: "文書", query: "クエリ", Query: "クエリ", Document: "文書",
    tokens: "テキストのトークン", terms: "ベクトルの語", term: "語", weight: "重み", from: "由来",
    own: "テキストにある語", added: "モデルが加えた語", copy: "コピー", copied: "コピーしました", score: "スコア",
    meet: "両方にある語です。それぞれの重みの積がスコアに加わります。", share: "積",
    "only-query": "クエリだけにある語", "only-document": "文書だけにある語", index: "インデックス",
    footer: "入力した内容は、このページを表示しているサーバーの外には送られません。", other: "English",
    count: (n, all) => `${all.toLocaleString("ja")} 語のうち ${n} 語`,
    dropped: (words) => (words ? `取り消し線：モデルが重みを与えなかったトークン（${words}）` : ""),
    truncated: "テキストがモデルの上限より長いため、末尾を切り捨てました。",
    documents: (n) => `${n.toLocaleString("ja")} 文書`,
    latency: (ms, search) => `全体 ${ms.toFixed(0)} ミリ秒、うち検索 ${search.toFixed(2)} ミリ秒`,
    nothing: "見つかりませんでした。", why: "理由", none: "共通の語がありません", weights: "SPLADE による",
    splade: "SPLADE", bm25: "BM25", hybrid: "両方（RRF）",
  },
};

const $ = (id) => document.getElementById(id);
const remembered = {
  get: (store, name) => { try { return store.getItem(name); } catch { return null; } },
  set: (store, name, value) => { try { store.setItem(name, value); } catch { /* The page works without it. */ } },
};
let language = remembered.get(localStorage, "language") || (navigator.language.startsWith("ja") ? "ja" : "en");
let vocabulary = 0;
const t = () => TEXTS[language];

class Failure extends Error {}

async function call(path, body, signal) {
  const key = remembered.get(sessionStorage, "key");
  const headers = { "Content-Type": "application/json" };
  if (key) headers.Authorization = `Bearer ${key}`;
  const options = body === undefined ? { headers, signal } : { method: "POST", headers, body: JSON.stringify(body), signal };
  const reply = await fetch(path, options);
  $("key-form").hidden = reply.status !== 401 && !key;
  if (reply.ok) return reply.json();
  const text = await reply.text();
  let message = text;
  try { message = JSON.parse(text).error; } catch { /* A proxy may have answered. */ }
  throw new Failure(message || `${reply.status} ${reply.statusText}`);
}

// Runs the latest of several requests: an earlier one is broken off, and its reply is not shown.
function latest(work, error) {
  let running = null;
  let timer = 0;
  return (wait = 150) => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      running?.abort();
      running = new AbortController();
      const { signal } = running;
      try {
        await work(signal);
        if (!signal.aborted) error.hidden = true;
      } catch (problem) {
        if (signal.aborted) return;
        error.textContent = problem.message;
        error.hidden = false;
      }
    }, wait);
  };
}

function bar(share, own) {
  const track = element("td", { className: "track" });
  const filled = element("div", { className: own ? "bar own" : "bar" });
  filled.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  track.append(filled);
  return track;
}

const number = (value, digits = 3) => element("td", { className: "number", textContent: value.toFixed(digits) });
const word = (token) => element("td", { className: "term", textContent: token, lang: languageOf(token) });

// Expand.

let explained = null;

function showExpansion() {
  const { tokens, ids, special, terms, truncated } = explained;
  const weighted = new Set(terms.map((term) => term.index));
  const given = new Set(ids);
  const places = new Map();
  const rows = new Map();
  const light = (position, on) => {
    places.get(position)?.classList.toggle("on", on);
    rows.get(position)?.forEach((row) => row.classList.toggle("on", on));
  };
  const listen = (target, position) => {
    for (const [event, on] of [["pointerenter", true], ["pointerleave", false], ["focusin", true], ["focusout", false]]) {
      target.addEventListener(event, () => light(position, on));
    }
  };
  const dropped = [];
  $("tokens").replaceChildren(...tokens.map((token, position) => {
    const isDropped = !special[position] && !weighted.has(ids[position]);
    if (isDropped) dropped.push(token);
    const kind = special[position] ? "special" : isDropped ? "dropped" : "";
    const chip = element("li", { className: kind }, element("button", { type: "button", textContent: token, lang: languageOf(token) }));
    places.set(position, chip);
    listen(chip, position);
    return chip;
  }));
  $("dropped").textContent = [t().dropped(dropped.join(language === "ja" ? "、" : ", ")), truncated ? t().truncated : ""].join(" ");
  const largest = terms.length ? terms[0].weight : 1;
  $("terms").replaceChildren(...terms.map((term) => {
    const source = element("td", { className: "term soft", textContent: tokens[term.position], lang: languageOf(tokens[term.position]) });
    const row = element("tr", { tabIndex: 0 }, word(term.token), number(term.weight), bar(term.weight / largest, given.has(term.index)), source);
    rows.set(term.position, [...(rows.get(term.position) || []), row]);
    listen(row, term.position);
    return row;
  }));
  $("count").textContent = t().count(terms.length, vocabulary);
  const vector = Object.fromEntries(terms.map((term) => [term.token, Number(term.weight.toFixed(4))]));
  $("json").textContent = JSON.stringify(vector, null, 1);
  const body = JSON.stringify({ inputs: $("text").value, side: sideOf(), return_tokens: true });
  const quoted = body.replaceAll("'", "'\\''");
  const place = new URL("embed_sparse", location.href);
  $("curl").textContent = `curl ${place} -H 'Content-Type: application/json' -d '${quoted}'`;
  $("expanded").hidden = false;
}

const sideOf = () => document.querySelector("input[name=side]:checked").value;
const expand = latest(async (signal) => {
  $("text").lang = languageOf($("text").value);
  if (!$("text").value) { $("expanded").hidden = true; return; }
  explained = await call("v1/explain", { text: $("text").value, side: sideOf() }, signal);
  showExpansion();
}, $("expand-error"));

// Compare.

const compare = latest(async (signal) => {
  const [query, doc] = [$("query-text").value, $("document-text").value];
  if (!query || !doc) { $("compared").hidden = true; return; }
  const side = (text, side) => call("v1/explain", { text, side }, signal);
  const [q, d] = await Promise.all([side(query, "query"), side(doc, "document")]);
  const weights = new Map(d.terms.map((term) => [term.index, term.weight]));
  const shared = q.terms.filter((term) => weights.has(term.index))
    .map((term) => ({ ...term, other: weights.get(term.index), share: term.weight * weights.get(term.index) }))
    .sort((a, b) => b.share - a.share);
  const largest = shared.length ? shared[0].share : 1;
  $("score").textContent = shared.reduce((sum, term) => sum + term.share, 0).toFixed(3);
  $("shared").replaceChildren(...(shared.length ? shared.map((term) => element("tr", {},
    word(term.token), number(term.weight), number(term.other), number(term.share), bar(term.share / largest, false)))
    : [element("tr", {}, element("td", { colSpan: 5, textContent: t().none }))]));
  const both = new Set(shared.map((term) => term.index));
  const rest = (terms) => terms.filter((term) => !both.has(term.index)).map((term) => `${term.token} ${term.weight.toFixed(2)}`).join("  ");
  $("only-query").textContent = rest(q.terms);
  $("only-document").textContent = rest(d.terms);
  $("compared").hidden = false;
}, $("compare-error"));

// Search.

let indexes = [];

// Marks passages of a text: words of the query, and words that the model added.
function marked(text, marks) {
  const parts = [];
  let end = 0;
  for (const { start, stop, kind } of marks) {
    parts.push(text.slice(end, start), element("mark", { className: kind, textContent: text.slice(start, stop) }));
    end = stop;
  }
  return [...parts, text.slice(end)];
}

function hitItem(hit) {
  const item = element("li");
  const title = hit.title || hit.id;
  item.append(element("div", { className: "title", textContent: title, lang: languageOf(title) }));
  if (hit.snippet) item.append(element("div", { lang: languageOf(hit.snippet.text) }, ...marked(hit.snippet.text, hit.snippet.marks)));
  const ranks = Object.entries(hit.ranks || {}).map(([name, rank]) => `${t()[name]} #${rank}`).join(", ");
  item.append(element("div", { className: "soft", textContent: [hit.title && hit.id, hit.score.toFixed(3), ranks].filter(Boolean).join(" · ") }));
  if (hit.explanation?.length) {
    const largest = hit.explanation[0].score;
    const rows = hit.explanation.slice(0, 12).map((share) => element("tr", {}, word(share.token), number(share.score), bar(share.score / largest, false)));
    item.append(element("details", {}, element("summary", { textContent: t().why }), element("table", {}, element("tbody", {}, ...rows))));
  }
  return item;
}

const search = latest(async (signal) => {
  const query = $("query").value;
  $("query").lang = languageOf(query);
  if (!query) { $("found").replaceChildren(); $("latency").textContent = ""; return; }
  const index = indexes.find((index) => index.name === $("index").value);
  const modes = index.bm25 ? ["splade", "bm25", "hybrid"] : [undefined];
  const start = performance.now();
  const ask = (mode) => call(`v1/indexes/${index.name}/search`, { text: query, k: 10, explain: mode !== "hybrid", ...(index.store && { snippet: 160 }), ...(mode && { mode }) }, signal);
  const replies = await Promise.all(modes.map(ask));
  const columns = replies.map((reply, i) => {
    const hits = reply.hits.length ? element("ol", { className: "hits" }, ...reply.hits.map(hitItem)) : element("p", { textContent: t().nothing });
    return element("div", {}, ...(modes[i] ? [element("h2", { textContent: t()[modes[i]] })] : []), hits);
  });
  $("found").replaceChildren(...columns);
  $("latency").textContent = t().latency(performance.now() - start, Math.max(...replies.map((reply) => reply.milliseconds)));
}, $("search-error"));

async function showIndexes() {
  ({ indexes } = await call("v1/indexes"));
  $("tab-search").hidden = !indexes.length;
  $("index").replaceChildren(...indexes.map((index) => element("option", { value: index.name, textContent: index.name })));
  showDocuments();
}

function showDocuments() {
  const index = indexes.find((index) => index.name === $("index").value);
  $("documents").textContent = index ? t().documents(index.documents) : "";
}

// The page.

function showLanguage() {
  document.documentElement.lang = language;
  for (const place of document.querySelectorAll("[data-t]")) place.textContent = t()[place.dataset.t];
  $("language").textContent = t().other;
  $("language").lang = language === "ja" ? "en" : "ja";
  if (explained) showExpansion();
  showDocuments();
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText($(button.dataset.copy).textContent);
    button.textContent = t().copied;
    setTimeout(() => { button.textContent = t().copy; }, 1500);
  });
}
$("language").addEventListener("click", () => {
  language = language === "ja" ? "en" : "ja";
  remembered.set(localStorage, "language", language);
  showLanguage();
});
$("key").addEventListener("change", () => {
  remembered.set(sessionStorage, "key", $("key").value);
  begin();
});
$("text").addEventListener("input", () => expand());
for (const side of document.querySelectorAll("input[name=side]")) side.addEventListener("change", () => expand(0));
$("query-text").addEventListener("input", () => compare());
$("document-text").addEventListener("input", () => compare());
$("query").addEventListener("input", () => search());
$("index").addEventListener("change", () => { showDocuments(); search(0); });

async function begin() {
  showLanguage();
  try {
    const info = await call("info");
    vocabulary = info.vocabulary;
    $("model").textContent = info.served_model_name;
    document.title = `light-splade: ${info.served_model_name}`;
    await showIndexes();
    expand(0);
    compare(0);
  } catch (problem) {
    $("expand-error").textContent = problem.message;
    $("expand-error").hidden = false;
  }
}
begin();
