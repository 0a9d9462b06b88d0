// Tries the pages of a running service in Chromium: what they show, that nothing overflows from 360 to 1400 pixels in
// both themes and languages, that they ask no other host, and what axe-core finds.
//
//   npm install --no-save --prefix TOOLS playwright-core axe-core
//   light-splade serve --index-root FOLDER      # with an index "page", which this program fills
//   NODE_PATH=TOOLS/node_modules node scripts/serve/page.mjs [URL] [FOLDER FOR SCREENSHOTS]
//
// TOOLS is any folder by its full path, and CHROMIUM the browser [/usr/bin/chromium].

import { check, failures, launch, look, open } from "../pages/look.mjs";

const url = process.argv[2] || "http://127.0.0.1:3000";
const folder = process.argv[3];

const put = (path, body) => fetch(url + path, { method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
await put("/v1/indexes/page", {});
const documents = [
  { id: "1", title: "東京", text: "日本の首都は東京です。" },
  { id: "2", title: "大阪", text: "大阪万博は2025年に開催されます。" },
  { id: "3", title: "Night train", text: "The night train leaves for Tokyo." },
];
check("documents are indexed", (await put("/v1/indexes/page/documents", { documents })).ok);

const browser = await launch();
for (const [width, scheme, locale] of [[1400, "light", "en-US"], [1400, "dark", "ja-JP"], [360, "light", "ja-JP"], [360, "dark", "en-US"]]) {
  const name = `${width} ${scheme} ${locale}`;
  const { context, page, hosts } = await open(browser, name, { viewport: { width, height: 900 }, colorScheme: scheme, locale });
  const see = (what) => look(page, `${name}: ${what}`, folder && `${folder}/${what}-${width}-${scheme}.png`);

  await page.goto(`${url}/ui`);
  await page.waitForSelector("#terms tr");
  check(`${name}: the language is that of the browser`, (await page.getAttribute("html", "lang")) === locale.slice(0, 2));
  await page.hover("#tokens li:nth-child(2) button");
  check(`${name}: a token lights its terms`, (await page.locator("#terms tr.on").count()) > 0);
  await see("expand");
  await page.fill("#text", "");
  await page.waitForSelector("#expanded", { state: "hidden" });
  await page.keyboard.press("Tab");
  await page.click("#tab-expand");
  await page.keyboard.press("ArrowRight");
  await page.waitForSelector("#shared tr");
  check(`${name}: arrow keys change the tab`, await page.isVisible("#compare"));
  await see("compare");
  await page.keyboard.press("ArrowRight");
  await page.selectOption("#index", "page");
  await page.fill("#query", "日本の首都");
  await page.waitForSelector(".hits li");
  check(`${name}: the best hit is found`, (await page.locator(".hits li").first().innerText()).includes("東京"));
  check(`${name}: SPLADE, BM25 and both stand side by side`, (await page.locator("#found > div").count()) === 3);
  await see("search");
  await page.goto(`${url}/docs`);
  await page.waitForSelector(".route");
  await page.locator(".route summary > code", { hasText: /^\/embed_sparse$/ }).click();
  check(`${name}: a route has its fields`, (await page.locator(".route[open] td").count()) > 5);
  await see("docs");
  check(`${name}: no other host is asked`, hosts.size === 1, [...hosts].join(" "));
  await context.close();
}
await browser.close();
console.log(failures ? `${failures} failed` : "all passed");
process.exit(failures ? 1 : 0);
