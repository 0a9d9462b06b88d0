// What the checks of pages share: a browser, and a look at a page that says whether it fits the screen, what axe-core
// finds, and which other hosts it asks.
//
// NODE_PATH is a folder with playwright-core and axe-core, and CHROMIUM the browser [/usr/bin/chromium].

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(`${process.env.NODE_PATH}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

// The number of checks that failed.
export let failures = 0;

export function check(what, good, detail = "") {
  if (!good) failures += 1;
  console.log(`${good ? "ok    " : "FAILED"} ${what} ${detail}`);
}

export const launch = () => chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

// Opens an empty page; errors of scripts are failures, and the hosts that it asks are in `hosts`.
export async function open(browser, name, options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const hosts = new Set();
  page.on("request", (request) => {
    const { protocol, host } = new URL(request.url());
    if (protocol.startsWith("http")) hosts.add(host);
  });
  page.on("pageerror", (error) => check(`${name}: no error of the script`, false, error.message));
  page.on("console", (message) => { if (message.type() === "error") check(`${name}: the console is empty`, false, message.text()); });
  return { context, page, hosts };
}

// Checks that a page fits the screen and is usable for all, and keeps a screenshot if there is a path for it.
export async function look(page, name, screenshot) {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  check(`${name} fits`, overflow <= 0, overflow > 0 ? `${overflow} pixels too wide` : "");
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  check(`${name} is usable for all`, violations.length === 0, violations.map((v) => `${v.id}: ${v.nodes[0].html} ${v.nodes[0].any[0]?.message ?? ""}`).join("; "));
  if (screenshot) await page.screenshot({ path: screenshot, fullPage: true });
}
