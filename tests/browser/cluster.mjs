// Looks at the page that `zonemeter serve` has for a whole cluster.

import { PHONE, axe, end, open, picture, queryOf, seen, width, words } from "./looks.mjs";

const result = { violations: [], widths: {}, views: {} };
const DEAREST = "/?window=5m&sort=dollars";

const { context, page } = await open(DEAREST);
result.first = await seen(page);
result.tabs = await words(page, "nav");
await picture(page, "page-cluster");
await page.click("#pairs .name >> nth=0");
await page.waitForSelector(".why code");
result.why = await words(page, ".why");
result.link = queryOf(page);
await context.close();

const found = await open("/");
await found.page.fill("#search", "service-017");
result.found = await seen(found.page);
await found.page.selectOption("#window", "1h");
result.hour = await seen(found.page);
await found.context.close();

for (const tab of ["workloads", "outside"]) {
  const view = await open(`/?tab=${tab}`);
  await view.page.waitForSelector(tab === "workloads" ? "#workloads" : "#pairs");
  result.views[tab] = await words(view.page, "main");
  await view.context.close();
}
for (const query of [DEAREST, "/?tab=workloads"]) {
  result.violations.push(...await axe(query, {}), ...await axe(query, { viewport: PHONE, colorScheme: "dark" }));
}
const phone = await open(DEAREST, { viewport: PHONE });
result.widths[DEAREST] = await width(phone.page);
await phone.context.close();

await end(result);
