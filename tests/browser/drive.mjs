// Looks at the page as people do and prints what it saw as JSON:
//   node drive.mjs URL MODULES PICTURES
// MODULES is where npm put playwright-core and axe-core, PICTURES where pictures go.

import fs from "node:fs";
import { createRequire } from "node:module";

const [url, modules, pictures] = process.argv.slice(2);
const require = createRequire(modules + "/");
const { chromium } = require("playwright-core");
const AXE = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const DESK = { width: 1280, height: 900 };
const PHONE = { width: 400, height: 800 };

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const console_lines = [];
const foreign = [];

/** A window on a view; what it says in the console and asks from elsewhere is noted. */
async function open(query, options = {}) {
  const context = await browser.newContext({ viewport: DESK, ...options });
  const page = await context.newPage();
  page.on("console", (line) => console_lines.push(`${query}: ${line.text()}`));
  page.on("pageerror", (error) => console_lines.push(`${query}: ${error.message}`));
  page.on("request", (request) => request.url().startsWith(url) || foreign.push(request.url()));
  await page.goto(url + query);
  await page.waitForSelector("#covers");
  return { context, page };
}

/** Waits for the next answer that the page shows, and reads both. */
async function seen(page) {
  const response = await page.waitForResponse((response) => response.url().includes("/api/pairs"));
  const answer = await response.json();
  await page.waitForTimeout(300);
  const shown = await page.evaluate(() => {
    const text = (of) => [...document.querySelectorAll(of)].map((one) => one.textContent.replace(/\s+/g, " ").trim());
    return {
      cards: Object.fromEntries([...document.querySelectorAll(".cards > li")].map((card) =>
        [card.id, [card.querySelector("strong").textContent, (card.querySelector(".money") || card).textContent]])),
      rows: [...document.querySelectorAll("#pairs tbody tr:not(.open)")].map((row) =>
        [...row.cells].map((cell) => cell.textContent.replace(/\s+/g, " ").trim()).concat(row.dataset.bytes)),
      matrix: [...document.querySelectorAll("#matrix tbody tr")].flatMap((row) => [...row.querySelectorAll("td")].map((cell, index) =>
        [row.querySelector("th").textContent, document.querySelectorAll("#matrix thead th")[index + 1].textContent,
          (cell.querySelector("button") || cell).firstChild.textContent])),
      head: text("header"), caption: text("#pairs caption"),
    };
  });
  return { answer, shown };
}

async function axe(query, options, prepare) {
  // The policy of the page keeps the checker's own script out.
  const { context, page } = await open(query, { ...options, bypassCSP: true });
  if (prepare) await prepare(page);
  await page.evaluate(AXE);
  const found = await page.evaluate(async () => (await globalThis.axe.run(document, { resultTypes: ["violations"] })).violations);
  await context.close();
  return found.flatMap((one) => one.nodes.map((node) => `${query} ${one.id}: ${node.html.slice(0, 200)}`));
}

async function width(page) {
  return page.evaluate(() => document.documentElement.scrollWidth);
}

async function why(page, name) {
  await page.click(`#pairs .name:text-is("${name}")`);
  await page.waitForFunction(() => document.querySelectorAll(".why dl").length >= 2);
}

const result = { violations: [], widths: {}, views: {} };

const { context, page } = await open("/?window=start");
result.first = await seen(page);
await page.screenshot({ path: `${pictures}/page.png` });

// By keyboard: from the search box on, a name is found and its row opened.
await page.focus("#search");
await page.keyboard.type("shop/ser");
result.typed = await seen(page);
await page.locator("#pairs .name").first().focus();
await page.keyboard.press("Enter");
await page.waitForFunction(() => document.querySelectorAll(".why dl").length >= 2);
result.why = (await page.locator(".why").textContent()).replace(/\s+/g, " ");
result.link = page.url();
await page.screenshot({ path: `${pictures}/page-why.png`, fullPage: true });
await page.goBack();
result.closed = await page.locator(".why").count();
await context.close();

// The link alone leads to the same view.
const again = await open(result.link.slice(url.length));
await again.page.waitForFunction(() => document.querySelectorAll(".why dl").length >= 2);
result.again = await again.page.inputValue("#search");
await again.context.close();

// A cell of the matrix shows its pairs.
const cell = await open("/?window=start");
await cell.page.click("#matrix .cross button");
result.cell = await seen(cell.page);
await cell.context.close();

for (const [name, query] of [["workloads", "/?tab=workloads&window=start"], ["outside", "/?tab=outside&window=start"],
  ["connections", "/?tab=connections"], ["health", "/?tab=health"]]) {
  const view = await open(query);
  await view.page.waitForSelector(`#${{ workloads: "workloads", outside: "destinations", connections: "flows", health: "interfaces" }[name]}`);
  result.views[name] = (await view.page.locator("main").textContent()).replace(/\s+/g, " ");
  await view.context.close();
}

for (const query of ["/", "/?tab=workloads", "/?tab=outside", "/?tab=connections", "/?tab=health"]) {
  for (const [name, options] of [["light", {}], ["dark", { colorScheme: "dark" }], ["phone", { viewport: PHONE }]]) {
    result.violations.push(...await axe(query, options));
    if (name !== "phone") continue;
    const phone = await open(query, options);
    result.widths[query] = await width(phone.page);
    await phone.context.close();
  }
}
const row = (page) => why(page, "shop/client");
result.violations.push(...await axe("/?window=start&scope=cross_zone", {}, row));
result.violations.push(...await axe("/?window=start&scope=cross_zone", { viewport: PHONE, colorScheme: "dark" }, row));

const dark = await open("/?window=start", { colorScheme: "dark" });
await dark.page.screenshot({ path: `${pictures}/page-dark.png` });
result.dark = await dark.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
await dark.context.close();
const phone = await open("/?window=start", { viewport: PHONE });
await why(phone.page, "shop/client");
result.widths.why = await width(phone.page);
await phone.page.screenshot({ path: `${pictures}/page-phone.png` });
await phone.context.close();

await browser.close();
console.log(JSON.stringify({ ...result, console: console_lines, foreign }));
