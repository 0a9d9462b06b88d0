// The demo as one element, <splade-demo>: expands a text, compares two, and searches a small corpus, all in the browser.
// Everything that it loads lies beside this file. The attribute lang ("ja" or "en") sets the language.

const TEXTS = {
  en: {
    title: "SPLADE in your browser", about: "mini-ja-en, 8 bits", expand: "Expand", compare: "Compare", search: "Search", text: "Text",
    query: "query", document: "document", Query: "Query", Document: "Document", tokens: "Tokens of the text", terms: "Terms of the vector",
    term: "Term", weight: "Weight", from: "From", own: "in the text", added: "added by the model", score: "Score", share: "product",
    meet: "The terms that both have. Each gives the product of its weights to the score.",
    onlyQuery: "Only in the query", onlyDocument: "Only in the document", other: "日本語", start: "Load the model",
    offer: "The model and a Japanese dictionary, 11 MB together, are loaded once and kept by your browser. After that, everything that you type is computed on this device and sent nowhere.",
    loading: (loaded, total) => `Loading: ${loaded} of ${total} MB`, preparing: "Preparing the dictionary…",
    count: (n, all) => `${n} terms of ${all.toLocaleString("en")}`, latency: (all, search) => `${all.toFixed(0)} ms on this device, of which ${search.toFixed(1)} ms searching`,
    nothing: "Nothing was found.", none: "none", footer: "Nothing that you type leaves this page.",
    corpus: (n) => `${n.toLocaleString("en")} texts in Japanese and English, from Wikipedia (CC BY-SA) and the World Factbook (public domain). Queries find texts in both languages.`,
  },
  ja: {
    title: "ブラウザーで動く SPLADE", about: "mini-ja-en（8 ビット）", expand: "展開", compare: "比較", search: "検索", text: "テキスト",
    query: "クエリ", document: "文書", Query: "クエリ", Document: "文書", tokens: "テキストのトークン", terms: "ベクトルの語",
    term: "語", weight: "重み", from: "由来", own: "テキストにある語", added: "モデルが加えた語", score: "スコア", share: "積",
    meet: "両方にある語です。それぞれの重みの積がスコアに加わります。",
    onlyQuery: "クエリだけにある語", onlyDocument: "文書だけにある語", other: "English", start: "モデルを読み込む",
    offer: "モデルと日本語辞書（合わせて 11 MB）を一度だけ読み込み、ブラウザーに保存します。その後の計算はすべてこの端末で行われ、入力した内容はどこにも送られません。",
    loading: (loaded, total) => `読み込み中：${total} MB のうち ${loaded} MB`, preparing: "辞書を準備しています…",
    count: (n, all) => `${all.toLocaleString("ja")} 語のうち ${n} 語`, latency: (all, search) => `この端末で ${all.toFixed(0)} ミリ秒、うち検索 ${search.toFixed(1)} ミリ秒`,
    nothing: "見つかりませんでした。", none: "なし", footer: "入力した内容は、このページの外には送られません。",
    corpus: (n) => `日本語と英語の ${n.toLocaleString("ja")} 件のテキスト（ウィキペディア：CC BY-SA、World Factbook：パブリックドメイン）。`,
  },
};
const EXAMPLES = {
  expand: ["大阪万博は2025年に開催されます。", "The night train leaves for Kyoto at ten.", "雨の日は電車が遅れる"],
  search: ["回る金属の円盤を両側から挟んで車輪を止める仕組みは何ですか", "近代の日本で最初の貨幣の法律", "Which country has the most islands?", "京都の古い寺"],
};

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// The language of a text, for the right glyphs: kana and kanji are taken as Japanese.
const languageOf = (text) => (/[぀-ヿ㐀-鿿]/.test(text) ? "ja" : "en");
const number = (value, digits = 3) => element("td", { className: "number", textContent: value.toFixed(digits) });
const word = (token) => element("td", { className: "term", textContent: token, lang: languageOf(token) });

function bar(share, own) {
  const filled = element("div", { className: own ? "bar own" : "bar" });
  filled.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  return element("td", { className: "track" }, filled);
}

const PAGE = `
<div class="frame">
  <header>
    <p class="title" data-t="title"></p><p data-t="about"></p>
    <div class="right"><button id="language" type="button" data-t="other"></button></div>
  </header>
  <div class="start" id="offer">
    <p data-t="offer"></p>
    <button class="main" id="start" type="button" data-t="start"></button>
    <div id="waiting" role="status" hidden><p id="state"></p><progress id="progress" max="1" value="0" aria-labelledby="state"></progress></div>
    <p id="failure" class="error" role="alert" hidden></p>
  </div>
  <div id="ready" hidden>
    <div class="tabs" role="tablist" aria-label="light-splade">
      <button role="tab" id="tab-expand" aria-controls="expand" aria-selected="true" data-t="expand"></button>
      <button role="tab" id="tab-compare" aria-controls="compare" aria-selected="false" tabindex="-1" data-t="compare"></button>
      <button role="tab" id="tab-search" aria-controls="search" aria-selected="false" tabindex="-1" data-t="search"></button>
    </div>
    <p id="error" class="error" role="alert" hidden></p>
    <section id="expand" role="tabpanel" aria-labelledby="tab-expand">
      <label for="text" data-t="text"></label>
      <textarea id="text" spellcheck="false"></textarea>
      <ul class="examples" id="expand-examples"></ul>
      <div id="expanded" hidden>
        <h2 data-t="tokens"></h2>
        <ul id="tokens" class="tokens"></ul>
        <h2 data-t="terms"></h2>
        <table>
          <caption><span class="key own"></span><span data-t="own"></span> &nbsp; <span class="key"></span><span data-t="added"></span> &nbsp; <span id="count"></span></caption>
          <thead><tr><th scope="col" data-t="term"></th><th scope="col" class="number" data-t="weight"></th><td></td><th scope="col" data-t="from"></th></tr></thead>
          <tbody id="terms"></tbody>
        </table>
      </div>
    </section>
    <section id="compare" role="tabpanel" aria-labelledby="tab-compare" hidden>
      <div class="two">
        <div><label for="query-text" data-t="Query"></label><textarea id="query-text" spellcheck="false"></textarea></div>
        <div><label for="document-text" data-t="Document"></label><textarea id="document-text" spellcheck="false"></textarea></div>
      </div>
      <h2><span data-t="score"></span>: <output id="score"></output></h2>
      <table>
        <caption data-t="meet"></caption>
        <thead><tr><th scope="col" data-t="term"></th><th scope="col" class="number" data-t="query"></th><th scope="col" class="number" data-t="document"></th><th scope="col" class="number" data-t="share"></th><td></td></tr></thead>
        <tbody id="shared"></tbody>
      </table>
      <div class="two">
        <div><h2 data-t="onlyQuery"></h2><p id="only-query" class="soft"></p></div>
        <div><h2 data-t="onlyDocument"></h2><p id="only-document" class="soft"></p></div>
      </div>
    </section>
    <section id="search" role="tabpanel" aria-labelledby="tab-search" hidden>
      <label for="query" data-t="Query"></label>
      <input id="query" type="search" autocomplete="off" spellcheck="false">
      <ul class="examples" id="search-examples"></ul>
      <p class="soft" id="latency" role="status"></p>
      <ol id="hits" class="hits"></ol>
      <p class="soft" id="corpus"></p>
    </section>
  </div>
  <footer data-t="footer"></footer>
</div>`;

class SpladeDemo extends HTMLElement {
  #worker;
  #asked = new Map();
  #ready;
  #shown = 0;
  #language;

  connectedCallback() {
    if (this.shadowRoot) return;
    const root = this.attachShadow({ mode: "open" });
    root.innerHTML = PAGE;
    root.prepend(element("link", { rel: "stylesheet", href: new URL("demo.css", import.meta.url).href }));
    const wanted = this.lang || this.closest("[lang]:not(html)")?.lang || navigator.language;
    this.#language = wanted.startsWith("ja") ? "ja" : "en";
    this.#get("text").value = EXAMPLES.expand[this.#language === "ja" ? 0 : 1];
    this.#get("query-text").value = "日本の首都";
    this.#get("document-text").value = "東京は日本の首都です。";
    this.#get("query").value = EXAMPLES.search[this.#language === "ja" ? 0 : 2];
    this.#get("start").addEventListener("click", () => this.#start());
    this.#get("language").addEventListener("click", () => {
      this.#language = this.#language === "ja" ? "en" : "ja";
      this.#translate();
      this.#run(0);
    });
    for (const [list, field] of [["expand", "text"], ["search", "query"]]) {
      this.#get(`${list}-examples`).append(...EXAMPLES[list].map((text) => {
        const button = element("button", { type: "button", textContent: text, lang: languageOf(text) });
        button.addEventListener("click", () => {
          this.#get(field).value = text;
          this.#run(0);
        });
        return element("li", {}, button);
      }));
    }
    for (const id of ["text", "query-text", "document-text", "query"]) {
      this.#get(id).addEventListener("input", () => this.#run(120));
    }
    const tabs = [...root.querySelectorAll("[role=tab]")];
    tabs.forEach((tab, at) => {
      tab.addEventListener("click", () => this.#select(tab, tabs));
      tab.addEventListener("keydown", ({ key }) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
        if (step) this.#select(tabs[(at + step + tabs.length) % tabs.length], tabs).focus();
      });
    });
    this.#translate();
  }

  disconnectedCallback() {
    this.#worker?.terminate();
  }

  #get(id) {
    return this.shadowRoot.getElementById(id);
  }

  get #t() {
    return TEXTS[this.#language];
  }

  #translate() {
    this.shadowRoot.querySelector(".frame").lang = this.#language;
    for (const target of this.shadowRoot.querySelectorAll("[data-t]")) target.textContent = this.#t[target.dataset.t];
    this.#get("language").lang = this.#language === "ja" ? "en" : "ja";
    if (this.#ready) this.#get("corpus").textContent = this.#t.corpus(this.#ready.documents);
  }

  #select(tab, tabs) {
    for (const other of tabs) {
      other.setAttribute("aria-selected", other === tab);
      other.tabIndex = other === tab ? 0 : -1;
      this.#get(other.getAttribute("aria-controls")).hidden = other !== tab;
    }
    this.#run(0);
    return tab;
  }

  #call(name, ...values) {
    return new Promise((resolve, reject) => {
      const id = this.#asked.size;
      this.#asked.set(id, { resolve, reject });
      this.#worker.postMessage({ id, name, values });
    });
  }

  async #start() {
    const [start, waiting, failure] = ["start", "waiting", "failure"].map((id) => this.#get(id));
    [start.hidden, waiting.hidden, failure.hidden] = [true, false, true];
    this.#worker?.terminate();
    this.#worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this.#worker.addEventListener("message", ({ data }) => {
      if (data.progress) return this.#progress(data.progress);
      const { resolve, reject } = this.#asked.get(data.id);
      if (data.error) reject(new Error(data.error));
      else resolve(data.result);
    });
    try {
      this.#ready = await new Promise((resolve, reject) => {
        this.#worker.addEventListener("error", (event) => reject(new Error(event.message || "the worker cannot start")));
        this.#call("load").then(resolve, reject);
      });
    } catch (error) {
      failure.textContent = error.message;
      [start.hidden, waiting.hidden, failure.hidden] = [false, true, false];
      return;
    }
    this.#get("offer").hidden = true;
    this.#get("ready").hidden = false;
    this.#translate();
    this.#run(0);
    this.dispatchEvent(new CustomEvent("ready"));
  }

  #progress({ loaded, total }) {
    const done = loaded >= total;
    const megabytes = (bytes) => (bytes / 1e6).toFixed(1);
    this.#get("state").textContent = done ? this.#t.preparing : this.#t.loading(megabytes(loaded), megabytes(total));
    if (done) this.#get("progress").removeAttribute("value");
    else this.#get("progress").value = loaded / total;
  }

  // Shows the tab that is selected. Of several calls, the last one counts.
  async #run(wait) {
    if (!this.#ready) return;
    const turn = ++this.#shown;
    if (wait) await new Promise((resolve) => setTimeout(resolve, wait));
    if (turn !== this.#shown) return;
    const error = this.#get("error");
    try {
      const tab = this.shadowRoot.querySelector("[aria-selected=true]").getAttribute("aria-controls");
      const fields = { expand: ["text"], compare: ["query-text", "document-text"], search: ["query"] }[tab];
      const result = await this.#call(tab, ...fields.map((id) => this.#get(id).value));
      if (turn !== this.#shown) return;
      error.hidden = true;
      ({ expand: () => this.#showExpansion(result), compare: () => this.#showComparison(result), search: () => this.#showHits(result) })[tab]();
    } catch (problem) {
      if (turn !== this.#shown) return;
      error.textContent = problem.message;
      error.hidden = false;
    }
  }

  #showExpansion({ tokens, terms }) {
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
    this.#get("tokens").replaceChildren(...tokens.map((token, position) => {
      const special = /^\[[A-Z]+\]$/.test(token);
      const chip = element("li", { className: special ? "special" : "" }, element("button", { type: "button", textContent: token, lang: languageOf(token) }));
      places.set(position, chip);
      listen(chip, position);
      return chip;
    }));
    const given = new Set(tokens);
    const largest = terms.length ? terms[0].weight : 1;
    this.#get("terms").replaceChildren(...terms.slice(0, 60).map((term) => {
      const source = element("td", { className: "term soft", textContent: tokens[term.position], lang: languageOf(tokens[term.position]) });
      const row = element("tr", { tabIndex: 0 }, word(term.token), number(term.weight), bar(term.weight / largest, given.has(term.token)), source);
      rows.set(term.position, [...(rows.get(term.position) ?? []), row]);
      listen(row, term.position);
      return row;
    }));
    this.#get("count").textContent = this.#t.count(terms.length, this.#ready.vocabulary);
    this.#get("expanded").hidden = false;
  }

  #showComparison({ score, shares, onlyQuery, onlyDocument }) {
    this.#get("score").textContent = score.toFixed(3);
    const largest = shares.length ? shares[0].score : 1;
    this.#get("shared").replaceChildren(...shares.map((share) =>
      element("tr", {}, word(share.token), number(share.queryWeight), number(share.documentWeight), number(share.score), bar(share.score / largest, true))));
    this.#get("only-query").textContent = onlyQuery.join(" ・ ") || this.#t.none;
    this.#get("only-document").textContent = onlyDocument.join(" ・ ") || this.#t.none;
  }

  #showHits({ hits, milliseconds }) {
    this.#get("latency").textContent = hits.length ? this.#t.latency(milliseconds.all, milliseconds.search) : this.#t.nothing;
    this.#get("hits").replaceChildren(...hits.map((hit) => element("li", { lang: languageOf(hit.text) },
      element("div", { className: "head" }, element("strong", { textContent: hit.title }), element("span", { className: "soft", textContent: hit.score.toFixed(2) })),
      element("p", { textContent: hit.text }),
      element("ul", { className: "shares" }, ...hit.shares.map((share) => element("li", { textContent: `${share.token} ${share.score.toFixed(2)}`, lang: languageOf(share.token) }))))));
  }
}

customElements.define("splade-demo", SpladeDemo);
