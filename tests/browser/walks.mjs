// Answers three questions on an agent's page, as somebody would who does not know the answer, while the
// pods talk.

import { DESK, end, explained, open, picture, seen, words } from "./looks.mjs";

const result = {};
const small = { viewport: { ...DESK, width: 1100 } };

/** From the page's first view on; `steps` leave the answer on the screen. */
async function walk(name, query, steps) {
  const began = Date.now();
  const { context, page } = await open(query, small);
  const extra = await steps(page);
  const { answer, shown } = await seen(page);
  result[name] = { answer, shown, seconds: (Date.now() - began) / 1000, ...extra };
  await picture(page, `page-walk-${name}`, { fullPage: true });
  await context.close();
}

// Which pods speak across zones, and how much?
await walk("zones", "/?window=start", async (page) => {
  await page.selectOption("#scope", "cross_zone");
  await page.waitForFunction(() => document.querySelectorAll("#pairs tbody tr").length === 1);
  await page.click("#pairs .name");
  await explained(page);
  return { why: await words(page, ".why") };
});

// Who talks to these addresses on port 443, and by what?
await walk("outside", "/?window=start", async (page) => {
  await page.click("nav a:text-is('Internet and AWS')");
  await page.waitForSelector("#destinations");
  await page.fill("#search", "35.92.124.0/28");
  await page.waitForFunction(() => document.querySelectorAll("#pairs .name").length === 2);
  const addresses = await words(page, "#destinations tbody");
  await page.locator("#pairs .name").first().click();
  await explained(page);
  const why = await words(page, ".why");
  await page.locator("#destinations .name").first().click();
  await page.waitForSelector("#flows tbody tr");
  const connections = await words(page, "#flows tbody");
  await page.goBack();
  await explained(page);
  return { addresses, why, connections };
});

// Why do the pods' counters say so much more than the instance's?
await walk("inside", "/?window=start", async (page) => {
  const before = await page.locator("#matrix").textContent();
  await page.check("#inside");
  return { before };
});

// What goes by a NAT gateway, and where is that?
await walk("nat", "/?window=start&search=reports", async (page) => {
  await page.click("#pairs .name");
  await explained(page);
  return { why: await words(page, ".why") };
});

await end(result);
