"use strict";

// Makes an element with properties and children. Strings become text nodes, never HTML.
function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// The language of a text by its script; `language_of` in Rust has the same rule.
const SCRIPTS = [
  ["en", 1, /[A-Za-zÀ-ɏ]/g],
  ["ja", 3, /[\u3040-\u30ff\uff66-\uff9f\u3400-\u9fff\u{20000}-\u{323af}々]/gu],
  ["ko", 3, /[\u1100-\u11ff\uac00-\ud7a3]/g],
  ["ar", 1, /[\u0600-\u06ff\u0750-\u077f]/g],
  ["he", 1, /[\u0590-\u05ff]/g],
  ["ru", 1, /[\u0400-\u04ff]/g],
  ["el", 1, /[\u0370-\u03ff]/g],
  ["th", 1, /[\u0e00-\u0e7f]/g],
  ["hi", 1, /[\u0900-\u097f]/g],
];
const CHINESE = /[这们说对让还没过给吗么您哪谁這們說還沒給嗎麼哪誰]/;
const KANA = /[\u3040-\u30ff\uff66-\uff9f]/;

function languageOf(text) {
  let [found, most] = ["en", 0];
  for (const [language, weight, letters] of SCRIPTS) {
    const count = weight * (text.match(letters) || []).length;
    if (count > most) [found, most] = [language, count];
  }
  return found === "ja" && !KANA.test(text) && CHINESE.test(text) ? "zh" : found;
}

// Shows one panel of each list of tabs, and lets arrow keys change it.
function beginTabs() {
  for (const list of document.querySelectorAll("[role=tablist]")) {
    const tabs = [...list.querySelectorAll("[role=tab]")];
    const show = (tab) => {
      for (const other of tabs) {
        const selected = other === tab;
        other.setAttribute("aria-selected", selected);
        other.tabIndex = selected ? 0 : -1;
        document.getElementById(other.getAttribute("aria-controls")).hidden = !selected;
      }
    };
    for (const tab of tabs) {
      tab.addEventListener("click", () => show(tab));
      tab.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        const visible = tabs.filter((other) => !other.hidden);
        const next = visible[(visible.indexOf(tab) + step + visible.length) % visible.length];
        show(next);
        next.focus();
      });
    }
    show(tabs.find((tab) => tab.getAttribute("aria-selected") === "true") || tabs[0]);
  }
}

// Lights the elements that belong to the same token while the pointer or the focus is on one of them.
function linkTokens(root) {
  const groups = new Map();
  for (const part of root.querySelectorAll("[data-token]")) {
    groups.set(part.dataset.token, [...(groups.get(part.dataset.token) || []), part]);
  }
  for (const parts of groups.values()) {
    const light = (on) => parts.forEach((part) => part.classList.toggle("on", on));
    for (const part of parts) {
      for (const [event, on] of [["pointerenter", true], ["pointerleave", false], ["focusin", true], ["focusout", false]]) {
        part.addEventListener(event, () => light(on));
      }
    }
  }
}

beginTabs();
linkTokens(document);
