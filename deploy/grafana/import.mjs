// Reads the dashboards with Grafana's own library of data frames, as its panels do: units, colours, reducers,
// transformations over frames of the queries' own labels, overrides, columns to sort by, data links.
//
//     node import.mjs MODULES [DASHBOARD...]
//
// MODULES is where npm put what package.json names. Ends with 1 and a line for each fault.

import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";

const [modules, ...given] = process.argv.slice(2);
// The library looks at the browser that it expects to be in.
globalThis.navigator ??= { language: "en-US", languages: ["en-US"] };
const require = createRequire(path.resolve(modules) + "/");
const grafana = require("@grafana/data");
const { firstValueFrom } = require("rxjs");
// Only now: what is loaded above would take it for a browser with a document.
globalThis.window ??= globalThis;

const { FieldType } = grafana;
// Some stand there by two names.
grafana.standardTransformersRegistry.setInit(() => [...new Set(Object.values(grafana.standardTransformers))]
  .map((transformation) => ({ id: transformation.id, name: transformation.name, transformation: async () => transformation })));
const UNITS = new Set(grafana.getValueFormats().flatMap((group) => group.submenu.map((unit) => unit.value)));
/** Variables of time and of the datasource, which every dashboard has. */
const BUILT_IN = ["__url_time_range"];

/** The labels of an expression's answer: those of its outermost aggregation. */
function labelsOf(expr) {
  const by = expr.match(/\bby \(([^)]*)\)/);
  return by ? by[1].split(",").map((label) => label.trim()) : [];
}

/** The table that Grafana's Prometheus datasource makes of an answer of two series. */
function frameOf(target, isAlone) {
  const rows = [1, 2];
  const labels = labelsOf(target.expr);
  return grafana.toDataFrame({ refId: target.refId, fields: [
    { name: "Time", type: FieldType.time, values: rows.map(() => 1_800_000_000_000) },
    ...labels.map((name) => ({ name, type: FieldType.string, values: rows.map((row) => `${name}-${row}`), config: { filterable: true } })),
    { name: isAlone ? "Value" : `Value #${target.refId}`, type: FieldType.number, values: rows },
  ] });
}

function* names(value, wanted) {
  if (!value || typeof value !== "object") return;
  for (const [name, inner] of Object.entries(value)) {
    if (wanted.includes(name) && typeof inner === "string") yield inner;
    yield* names(inner, wanted);
  }
}

/** What a panel names that Grafana's registries do not have. */
function* unknown(panel) {
  const config = panel.fieldConfig;
  const units = [config.defaults.unit, ...config.overrides.flatMap((one) => one.properties.filter(({ id }) => id === "unit").map(({ value }) => value))];
  yield* units.filter((unit) => unit && !UNITS.has(unit)).map((unit) => `unit ${unit}`);
  for (const { matcher } of config.overrides) if (!grafana.fieldMatchers.getIfExists(matcher.id)) yield `matcher ${matcher.id}`;
  const mode = config.defaults.color?.mode;
  if (mode && !grafana.fieldColorModeRegistry.getIfExists(mode)) yield `colour mode ${mode}`;
  const calcs = [...(panel.options?.reduceOptions?.calcs ?? []), ...(panel.options?.legend?.calcs ?? [])];
  yield* calcs.filter((calc) => !grafana.fieldReducers.getIfExists(calc)).map((calc) => `reducer ${calc}`);
  const steps = config.defaults.thresholds?.steps ?? [];
  if (steps.length && steps[0].value !== null) yield "thresholds without one for the lowest values";
  for (const { id } of panel.transformations ?? []) if (!grafana.standardTransformersRegistry.getIfExists(id)) yield `transformation ${id}`;
}

/** What of a table's options names a column that is not there. */
async function* lost(panel) {
  const before = panel.targets.map((target) => frameOf(target, panel.targets.length === 1));
  const columns = new Set(before.flatMap((frame) => frame.fields.map((field) => field.name)));
  for (const { options } of panel.transformations) {
    const named = ["indexByName", "renameByName", "excludeByName"].flatMap((option) => Object.keys(options[option] ?? {}));
    yield* [...named, ...names(options, ["rowField", "columnField", "valueField"])].filter((name) => !columns.has(name)).map((name) => `no column ${name}`);
  }
  const frames = await firstValueFrom(grafana.transformDataFrame(panel.transformations, before, { interpolate: (text) => text }));
  if (frames.length !== 1) return yield `${frames.length} tables in place of one`;
  const [frame] = frames;
  if (frame.length !== 2) yield `${frame.length} rows of two series`;
  const shown = frame.fields.map((field) => grafana.getFieldDisplayName(field, frame, frames));
  if (shown.includes("Time")) yield "a column Time";
  if (new Set(shown).size !== shown.length) yield `a column twice: ${shown.join(", ")}`;
  for (const { matcher } of panel.fieldConfig.overrides) {
    const matches = grafana.fieldMatchers.get(matcher.id).get(matcher.options);
    if (!frame.fields.some((field) => matches(field, frame, frames))) yield `an override of no column: ${JSON.stringify(matcher.options)}`;
  }
  const sorted = (panel.options?.sortBy ?? []).map(({ displayName }) => displayName);
  yield* sorted.filter((name) => !shown.includes(name)).map((name) => `sorted by ${name}, which is no column`);
  yield* linksToNothing(panel, frame);
}

/** Columns that a link takes its values from, of those that the row has. */
function* linksToNothing(panel, frame) {
  const row = grafana.getFieldDisplayValuesProxy({ frame, rowIndex: 0 });
  for (const url of names(panel.fieldConfig, ["url"])) {
    for (const [, name] of url.matchAll(/\$\{__data\.fields\.(\w+)/g)) {
      if (row[name]?.text !== `${name}-1`) yield `a link takes ${name}, which is ${row[name]?.text}`;
    }
    for (const [, name] of url.matchAll(/\$\{(__\w+)\}/g)) if (!BUILT_IN.includes(name)) yield `a link takes ${name}`;
  }
}

const folder = path.join(import.meta.dirname, "dashboards");
const files = given.length ? given : fs.readdirSync(folder).map((name) => path.join(folder, name));
let tables = 0;
let faults = 0;
for (const file of files) {
  const dashboard = JSON.parse(fs.readFileSync(file, "utf8"));
  for (const panel of dashboard.panels.filter(({ type }) => type !== "row")) {
    const found = [...unknown(panel)];
    if (panel.type === "table" && !found.length) {
      tables++;
      for await (const fault of lost(panel)) found.push(fault);
    }
    for (const fault of found) console.log(`${path.basename(file)}: ${panel.title}: ${fault}`);
    faults += found.length;
  }
}
console.log(`${files.length} dashboards, ${tables} tables, ${faults} faults`);
process.exit(faults || !tables ? 1 : 0);
