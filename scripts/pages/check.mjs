// Looks at pages that the program has written, in Chromium at 390 and 1400 pixels in both themes: nothing overflows,
// axe-core finds nothing, no host is asked, and every tab and every folded part is looked at, too.
//
//   npm install --no-save --prefix TOOLS playwright-core axe-core
//   scripts/pages/make.sh PROGRAM FOLDER
//   NODE_PATH=TOOLS/node_modules node scripts/pages/check.mjs FOLDER [FOLDER FOR SCREENSHOTS] [NAME…]
//
// TOOLS is any folder by its full path, and CHROMIUM the browser [/usr/bin/chromium]. With names, only those pages are
// looked at.

import { readdirSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { check, failures, launch, look, open } from "./look.mjs";

const [folder, screenshots, ...names] = process.argv.slice(2);
const pages = readdirSync(folder).filter((name) => name.endsWith(".html")).map((name) => name.slice(0, -5));
const browser = await launch();
for (const name of pages.filter((name) => !names.length || names.includes(name))) {
  for (const [width, colorScheme] of [[390, "light"], [390, "dark"], [1400, "light"], [1400, "dark"]]) {
    const what = `${name} ${width} ${colorScheme}`;
    const { context, page, hosts } = await open(browser, what, { viewport: { width, height: 900 }, colorScheme });
    await page.goto(pathToFileURL(resolve(folder, `${name}.html`)).href);
    const picture = (part) => screenshots && `${screenshots}/${name}${part}-${width}-${colorScheme}.png`;
    await look(page, what, picture(""));
    check(`${what}: every chart is drawn`, await page.evaluate(() => [...document.querySelectorAll(".chart svg")]
      .every((svg) => !svg.checkVisibility() || svg.children.length > 4)));
    check(`${what}: it has a title and one headline`, (await page.title()).length > 0 && (await page.locator("h1").count()) === 1);

    const tabs = page.locator("[role=tab]");
    for (let i = 1; i < await tabs.count(); i++) {
      await tabs.nth(i).click();
      await page.evaluate(() => document.querySelectorAll("main details").forEach((details, i) => { details.open = i % 5 === 0; }));
      await page.waitForTimeout(100);
      await look(page, `${what}, ${await tabs.nth(i).innerText()}`, picture(`-tab${i}`));
    }
    if (!await tabs.count()) {
      await page.evaluate(() => document.querySelectorAll("main details").forEach((details) => { details.open = true; }));
      await look(page, `${what}, unfolded`);
    }
    const chart = page.locator(".chart svg:visible").first();
    if (await chart.count()) {
      await chart.focus();
      await page.keyboard.press("ArrowRight");
      check(`${what}: the arrow keys read a chart`, (await page.locator(".chart .note:visible").count()) === 1);
    }
    const token = page.locator(".tokens a").first();
    if (await token.count()) {
      await token.focus();
      check(`${what}: a token lights its terms`, (await page.locator("tr.on").count()) > 0);
      await page.locator("tbody tr a").first().focus();
      check(`${what}: a term lights its token`, (await page.locator(".tokens li.on").count()) === 1);
    }
    check(`${what}: no host is asked`, hosts.size === 0, [...hosts].join(" "));
    await context.close();
  }
}
await browser.close();
console.log(failures ? `${failures} failed` : "all passed");
process.exit(failures ? 1 : 0);
