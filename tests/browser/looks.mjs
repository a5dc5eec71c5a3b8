// What every script here does: open a view, read what it shows, check it, take its picture.

import fs from "node:fs";
import { createRequire } from "node:module";

/** `node SCRIPT URL MODULES PICTURES`: MODULES is where npm put playwright-core and axe-core. */
const [url, modules, pictures] = process.argv.slice(2);
const require = createRequire(modules + "/");
const { chromium } = require("playwright-core");
const AXE = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
export const DESK = { width: 1280, height: 900 };
export const PHONE = { width: 400, height: 800 };

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const console_lines = [];
const foreign = [];

/** A window on a view; what it says in the console and asks from elsewhere is noted. */
export async function open(query, options = {}) {
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
export async function seen(page) {
  const response = await page.waitForResponse((response) => response.url().includes("/api/pairs"));
  const answer = await response.json();
  await page.waitForTimeout(300);
  const shown = await page.evaluate(() => {
    const flat = (text) => text.replace(/\s+/g, " ").trim();
    const text = (of) => [...document.querySelectorAll(of)].map((one) => flat(one.textContent));
    return {
      cards: Object.fromEntries([...document.querySelectorAll(".cards > li")].map((card) => {
        const part = (of) => (card.querySelector(of) ? flat(card.querySelector(of).textContent) : flat(card.textContent));
        return [card.id, ["strong", ".money", "small", ".so-far", ".week-ago"].map(part)];
      })),
      rows: [...document.querySelectorAll("#pairs tbody tr[data-scope]")].map((row) =>
        [...row.cells].map((cell) => flat(cell.textContent)).concat(row.dataset.bytes)),
      matrix: [...document.querySelectorAll("#matrix tbody tr")].flatMap((row) => [...row.querySelectorAll("td")].map((cell, index) =>
        [row.querySelector("th").textContent, document.querySelectorAll("#matrix thead th")[index + 1].textContent,
          (cell.querySelector("button") || cell).firstChild.textContent])),
      head: text("header"), caption: text("#pairs caption"),
    };
  });
  return { answer, shown };
}

/** What axe finds wrong with a view. */
export async function axe(query, options, prepare) {
  // The policy of the page keeps the checker's own script out.
  const { context, page } = await open(query, { ...options, bypassCSP: true });
  if (prepare) await prepare(page);
  await page.evaluate(AXE);
  const found = await page.evaluate(async () => (await globalThis.axe.run(document, { resultTypes: ["violations"] })).violations);
  await context.close();
  return found.flatMap((one) => one.nodes.map((node) => `${query} ${one.id}: ${node.html.slice(0, 200)}`));
}

/** How wide a view is. */
export async function width(page) {
  return page.evaluate(() => document.documentElement.scrollWidth);
}

/** The text of a part of the page in one line. */
export async function words(page, of) {
  return (await page.locator(of).first().textContent()).replace(/\s+/g, " ");
}

/** Waits until both ends of the open row are explained. */
export async function explained(page) {
  await page.waitForFunction(() => document.querySelectorAll(".why > div").length === 2
    && !document.querySelector(".why").textContent.includes("asking …"));
}

/** Chromium writes WebP, which takes a third of the bytes of its PNG. */
export async function picture(page, name, options) {
  const shot = await page.screenshot(options);
  const blank = await browser.newPage();
  const webp = await blank.evaluate(async (png) => {
    const image = await createImageBitmap(await (await fetch("data:image/png;base64," + png)).blob());
    const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
    canvas.getContext("2d").drawImage(image, 0, 0);
    return canvas.toDataURL("image/webp", 0.8).split(",")[1];
  }, shot.toString("base64"));
  await blank.close();
  fs.writeFileSync(`${pictures}/${name}.webp`, Buffer.from(webp, "base64"));
}

/** Prints what was seen as JSON. */
export async function end(result) {
  await browser.close();
  console.log(JSON.stringify({ ...result, console: console_lines, foreign }));
}

/** What stands after the address of the page. */
export function queryOf(page) {
  return page.url().slice(url.length);
}
