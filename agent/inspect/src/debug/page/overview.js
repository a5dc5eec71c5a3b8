// The cards, and who speaks with whom by zone.

import { html } from "./vendor/htm-preact.js";
import { bytes, change, charged, dollars, rate } from "./format.js";

const both = (row) => row.transmit.bytes_per_second + row.receive.bytes_per_second;

/** What all pairs of some scopes move and cost. */
function sum(answer, wanted) {
  const rows = answer.scopes.filter(wanted);
  const add = (of) => rows.reduce((all, row) => all + of(row), 0);
  // Only a whole cluster's answer knows the past.
  const past = (name) => (rows.some((row) => row[name] !== undefined) ? add((row) => row[name] || 0) : undefined);
  return {
    rate: add(both),
    out: add((row) => row.transmit.bytes_per_second),
    dollars: answer.prices ? add((row) => row.dollars_per_month) : null,
    so_far: past("month_to_date_dollars"),
    week_ago: past("bytes_per_second_week_ago"),
  };
}

function Card({ name, id, value, of, note }) {
  const money = of && of.dollars;
  return html`<li id=${id}><span class="dim">${name}</span><strong>${rate(value)}</strong>
    ${of ? html`<span class="money">${money === null ? "no prices" : dollars(money) + " a month"}</span>` : ""}
    ${note ? html`<small> ${note}</small>` : ""}
    ${of && of.so_far !== undefined ? html`<div class="so-far">${dollars(of.so_far)} this month so far</div>` : ""}
    ${of && of.week_ago !== undefined ? html`<div class="week-ago dim">${change(value, of.week_ago)} against a week ago</div>` : ""}</li>`;
}

export function Cards({ answer }) {
  const across = sum(answer, (row) => row.scope === "cross_zone");
  const internet = sum(answer, (row) => row.scope === "internet");
  const nat = sum(answer, (row) => row.via === "nat");
  const to_gateway = answer.zones.filter((row) => row.via === "nat" && row.zone && row.peer_zone && row.zone !== row.peer_zone)
    .reduce((all, row) => all + both(row), 0);
  const lost = answer.not_attributed.reduce((all, one) => all + one.bytes_per_second, 0);
  return html`<ul class="cards" aria-label="sums of all pairs that match">
    <${Card} id="card-across" name="Across zones" value=${across.rate} of=${across} note="both ends" />
    <${Card} id="card-internet" name="Internet" value=${internet.rate} of=${internet} note=${rate(internet.out) + " out"} />
    <${Card} id="card-nat" name="Through NAT" value=${nat.rate} of=${nat}
      note=${!nat.rate ? "as the networks file tells" : to_gateway ? rate(to_gateway) + " to a gateway in another zone" : "to gateways in their own zone"} />
    ${answer.cluster ? "" : html`<${Card} id="card-lost" name="Not attributed" value=${lost}
      note=${lost ? "see Health" : answer.total ? "every byte has its pod" : "nothing was counted yet"} />`}
  </ul>`;
}

/** The matrix of zones as a heat map; a cell filters. */
export function Matrix({ answer, state, go }) {
  const cells = new Map();
  const names = (of) => [...new Set(answer.zones.filter(shown).map(of))].sort();
  const inside = state.inside === "yes";
  function shown(row) {
    return inside || row.scope !== "intra_node";
  }
  for (const row of answer.zones.filter(shown)) {
    const key = row.zone + "\n" + row.peer_zone;
    const cell = cells.get(key) || { value: 0, dollars: 0, scopes: [] };
    cell.value += both(row);
    cell.dollars += row.dollars_per_month || 0;
    cell.scopes.push(row.scope + (row.via ? " by " + row.via : ""));
    cell.charged ||= charged(row.scope, row.via);
    cells.set(key, cell);
  }
  const most = Math.max(1, ...[...cells.values()].map((cell) => cell.value));
  const peers = names((row) => row.peer_zone);
  if (!answer.zones.length) return "";
  const cell = (zone, peer) => {
    const found = cells.get(zone + "\n" + peer);
    if (!found) return html`<td class="dim number">–</td>`;
    const chosen = state.zone === zone && state.peer_zone === (peer || "none");
    // Each factor of ten is a step: what is small is still seen beside what is large.
    const share = found.value ? Math.max(0.08, 0.45 * (1 + Math.log10(found.value / most) / 5)) : 0;
    const what = found.scopes.join(", ") + (answer.prices ? ", " + dollars(found.dollars) + " a month" : "");
    const target = chosen ? { zone: "", peer_zone: "" } : { zone, peer_zone: peer || "none" };
    return html`<td class=${found.charged ? "cross" : "inside"}><button type="button" class=${chosen ? "chosen" : ""}
      aria-pressed=${chosen} title=${what} style=${{ "--share": share.toFixed(3) }}
      onClick=${() => go(target)}>${rate(found.value)}<span class="unseen"> ${what}</span></button></td>`;
  };
  return html`<section aria-labelledby="zones-title"><h2 id="zones-title">Zones</h2>
    <form class="inline"><label class="check"><input type="checkbox" id="inside" checked=${inside}
      onChange=${(event) => go({ inside: event.target.checked ? "yes" : "" })} /> with what stays inside a node</label></form>
    <div class="scrolls" tabindex="0" role="group" aria-labelledby="zones-title"><table class="matrix" id="matrix">
    <caption class="unseen">bytes per second, both directions, from the zone of a row to the zone of a column</caption>
    <thead><tr><th scope="col"><span class="unseen">zone</span></th>${peers.map((peer) => html`<th scope="col">${peer || "no zone"}</th>`)}</tr></thead>
    <tbody>${names((row) => row.zone).map((zone) => html`<tr><th scope="row">${zone || "no zone"}</th>${peers.map((peer) => cell(zone, peer))}</tr>`)}</tbody>
    </table></div>
    <p class="legend">Red is charged by most price lists, blue is not. The darker, the more. A cell shows its pairs.</p></section>`;
}

/** A small curve; its words say the same. */
export function Spark({ values }) {
  if (values.length < 2) return html`<span class="dim">–</span>`;
  const most = Math.max(...values) || 1;
  const step = 70 / (values.length - 1);
  const points = values.map((value, index) => `${(1 + index * step).toFixed(1)},${(17 - 15 * value / most).toFixed(1)}`);
  const words = `from ${rate(values[0])} to ${rate(values[values.length - 1])}, at most ${bytes(most)}/s`;
  return html`<svg class="spark" viewBox="0 0 72 18" role="img" aria-label=${words}><title>${words}</title><polyline points=${points.join(" ")} /></svg>`;
}
