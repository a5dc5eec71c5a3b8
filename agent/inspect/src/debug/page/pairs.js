// The table of pairs; a row opens its why.

import { html } from "./vendor/htm-preact.js";
import { bytes, change, charged, count, dollars, endLabel, endName, rate, total, zones } from "./format.js";
import { Spark } from "./overview.js";
import { Why } from "./why.js";

/** What tells a pair from others, as it stands in the URL. */
export function keyOf(pair) {
  const end = (one) => [one.namespace, one.workload, one.kind, one.zone].join("~");
  return [end(pair.local), end(pair.peer), pair.scope, pair.via].join("~");
}

export function Scope({ scope, via }) {
  return html`<span class=${charged(scope, via) ? "charged" : ""}>${scope}</span>${via ? html`<small> by ${via}</small>` : ""}`;
}

/** Zones that stay in one piece where the line is too short. */
export function Zones({ of }) {
  const [from, to] = zones(of);
  return html`<span><span class="zone">${from}</span>${to ? html` – <span class="zone">${to}</span>` : ""}</span>`;
}

/** Nothing is less worth looking at than something. */
export const quiet = (value) => (value ? "number" : "number dim");

const COLUMNS = [
  ["Workload", "name"], ["Peer"], ["Zones"], ["Scope"], ["Out", "transmit"], ["In", "receive"], ["Trend"], ["Moved", "total"],
  ["A month", "dollars"],
];

/** What a whole cluster's pairs have beside that. */
const OF_THE_PAST = [["This month"], ["vs last week"]];

/** A store has no trend. */
const columns = (answer) => (answer.cluster ? [...COLUMNS.filter(([name]) => name !== "Trend"), ...OF_THE_PAST] : COLUMNS);

function Head({ answer, state, go }) {
  const cell = ([name, sort], index) => {
    const kind = name === "Trend" ? "trend" : index > 3 ? "number" : "";
    if (!sort) return html`<th scope="col" class=${kind}>${name}</th>`;
    const sorted = state.sort === sort ? (sort === "name" ? "ascending" : "descending") : undefined;
    return html`<th scope="col" class=${kind} aria-sort=${sorted}><button type="button" onClick=${() => go({ sort })}>${name}</button></th>`;
  };
  return html`<thead><tr>${columns(answer).map(cell)}</tr></thead>`;
}

function Row({ pair, answer, state, go }) {
  const key = keyOf(pair);
  const open = state.open === key;
  const arrow = pair.receive.bytes && pair.transmit.bytes ? "↔" : pair.transmit.bytes ? "→" : "←";
  const row = html`<tr class=${open ? "open" : ""} data-scope=${pair.scope} data-bytes=${pair.transmit.bytes + pair.receive.bytes}>
    <td data-label="Workload" class="end"><button type="button" class="name" aria-expanded=${open} onClick=${() => go({ open: open ? "" : key })}>
      ${endName(pair.local)}</button>${pair.host ? html` <small>of the node</small>` : ""}</td>
    <td data-label="Peer" class="end"><span><span aria-hidden="true">${arrow} </span>${endLabel(pair.peer, pair.scope)}${pair.services.length
      ? html` <small>by Service ${pair.services.join(", ")}</small>` : ""}</span></td>
    <td data-label="Zones" class="zones"><${Zones} of=${pair} /></td>
    <td data-label="Scope" class="scope"><span><${Scope} scope=${pair.scope} via=${pair.via} /></span></td>
    <td data-label="Out" class=${quiet(pair.transmit.bytes)}>${rate(pair.transmit.bytes_per_second)}</td>
    <td data-label="In" class=${quiet(pair.receive.bytes)}>${rate(pair.receive.bytes_per_second)}</td>
    ${answer.cluster ? "" : html`<td data-label="Trend" class="trend"><${Spark} values=${pair.trend} /></td>`}
    <td data-label="Moved" class="number" title=${bytes(pair.total_bytes) + " since the counters began"}>${bytes(pair.transmit.bytes + pair.receive.bytes)}</td>
    <td data-label="A month" class="${quiet(pair.dollars_per_month)} month">${dollars(pair.dollars_per_month)}</td>
    ${answer.cluster ? html`<td data-label="This month" class=${quiet(pair.month_to_date_dollars)}>${dollars(pair.month_to_date_dollars)}</td>
      <td data-label="vs last week" class="number">${change(total(pair), pair.bytes_per_second_week_ago) || "–"}</td>` : ""}</tr>`;
  if (!open) return row;
  return [row, html`<tr class="open"><td class="panel" colspan=${columns(answer).length}><${Why} pair=${pair} answer=${answer} state=${state} go=${go} /></td></tr>`];
}

/** Only the pairs between the zones of the chosen cell. */
export function chosen(answer, state) {
  const is = (wanted, zone) => !wanted || zone === (wanted === "none" ? "" : wanted);
  return answer.pairs.filter((pair) => is(state.zone, pair.local.zone) && is(state.peer_zone, pair.peer.zone));
}

export function Pairs({ answer, state, go, title = "Pairs", wanted = () => true }) {
  const pairs = chosen(answer, state).filter(wanted);
  const of = answer.matched === answer.total ? count(answer.total) : `${count(answer.matched)} of ${count(answer.total)}`;
  const zone = state.peer_zone ? `, between ${state.zone} and ${state.peer_zone === "none" ? "no zone" : state.peer_zone}` : "";
  return html`<section aria-labelledby="pairs-title"><h2 id="pairs-title">${title}</h2>
    <table class="rows" id="pairs"><caption>${count(pairs.length)} shown, ${of} match${zone}${answer.truncated ? "; the rest is cut off: search, or filter by scope" : ""}</caption>
    <${Head} answer=${answer} state=${state} go=${go} />
    <tbody>${pairs.map((pair) => html`<${Row} key=${keyOf(pair)} pair=${pair} answer=${answer} state=${state} go=${go} />`)}</tbody></table>
    ${pairs.length ? "" : html`<p>None of ${count(answer.total)} pairs is of this kind and matches.</p>`}</section>`;
}

/** What each workload moves, out of the listed pairs. */
export function Workloads({ answer, state, go }) {
  const all = new Map();
  for (const pair of chosen(answer, state)) {
    const name = endName(pair.local, pair.scope);
    const row = all.get(name) || { name, kind: pair.local.kind, pairs: 0, out: 0, in: 0, across: 0, internet: 0, dollars: 0 };
    row.pairs++;
    row.out += pair.transmit.bytes_per_second;
    row.in += pair.receive.bytes_per_second;
    if (pair.scope === "cross_zone") row.across += total(pair);
    if (pair.scope === "internet") row.internet += pair.transmit.bytes_per_second;
    row.dollars += pair.dollars_per_month || 0;
    all.set(name, row);
  }
  const order = (row) => (answer.prices ? row.dollars : row.out + row.in);
  const rows = [...all.values()].sort((a, b) => order(b) - order(a) || a.name.localeCompare(b.name));
  return html`<section aria-labelledby="workloads-title"><h2 id="workloads-title">Workloads</h2>
    <table class="rows" id="workloads"><caption>${rows.length} workloads${answer.truncated ? ", out of the pairs that are listed" : ""}; dollars are for both ends of their pairs</caption>
    <thead><tr><th scope="col">Workload</th><th scope="col">Kind</th><th scope="col" class="number">Peers</th><th scope="col" class="number">Out</th>
      <th scope="col" class="number">In</th><th scope="col" class="number">Across zones</th><th scope="col" class="number">To the internet</th><th scope="col" class="number">A month</th></tr></thead>
    <tbody>${rows.map((row) => html`<tr key=${row.name}><td data-label="Workload"><button type="button" class="name"
      onClick=${() => go({ tab: "pairs", search: row.name, open: "" })}>${row.name}</button></td><td data-label="Kind">${row.kind}</td>
      <td data-label="Peers" class="number">${row.pairs}</td><td data-label="Out" class=${quiet(row.out)}>${rate(row.out)}</td><td data-label="In" class=${quiet(row.in)}>${rate(row.in)}</td>
      <td data-label="Across zones" class=${quiet(row.across)}>${rate(row.across)}</td><td data-label="To the internet" class=${quiet(row.internet)}>${rate(row.internet)}</td>
      <td data-label="A month" class=${quiet(row.dollars)}>${dollars(answer.prices ? row.dollars : null)}</td></tr>`)}</tbody></table></section>`;
}
