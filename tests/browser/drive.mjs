// Looks at an agent's page as people do, once its traffic is over.

import { PHONE, axe, end, explained, open, picture, queryOf, seen, width, words } from "./looks.mjs";

async function why(page, name) {
  await page.click(`#pairs .name:text-is("${name}")`);
  await explained(page);
}

const result = { violations: [], widths: {}, views: {} };

const { context, page } = await open("/?window=start");
result.first = await seen(page);
await picture(page, "page");

// By keyboard: from the search box on, a name is found and its row opened.
await page.focus("#search");
await page.keyboard.type("shop/ser");
result.typed = await seen(page);
await page.locator("#pairs .name").first().focus();
await page.keyboard.press("Enter");
await explained(page);
result.why = await words(page, ".why");
result.link = queryOf(page);
await picture(page, "page-why", { fullPage: true });
await page.goBack();
result.closed = await page.locator(".why").count();
await context.close();

// The link alone leads to the same view.
const again = await open(result.link);
await explained(again.page);
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
  result.views[name] = await words(view.page, "main");
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
await picture(dark.page, "page-dark");
result.dark = await dark.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
await dark.context.close();
const phone = await open("/?window=start", { viewport: PHONE });
await why(phone.page, "shop/client");
result.widths.why = await width(phone.page);
await picture(phone.page, "page-phone");
await phone.context.close();

await end(result);
