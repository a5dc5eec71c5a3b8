// Internet and AWS services, connections, health.

import { html } from "./vendor/htm-preact.js";
import { bytes, count, rate } from "./format.js";
import { Pairs, Scope, Zones, quiet } from "./pairs.js";

const OUTSIDE = ["internet", "aws_service", "cross_region", "peered"];

const named = (end) => end.pod || end.workload;

function endpoint(end, others) {
  const name = named(end) || end.address;
  const port = end.port ? ":" + end.port + (others ? " and others" : "") : "";
  return (end.namespace ? end.namespace + "/" : "") + name + port;
}

/** What leaves the VPC: pairs, and the addresses of the last drain. */
export function Outside({ answer, flows, state, go }) {
  const to = new Map();
  for (const flow of flows ? flows.flows : []) {
    if (!OUTSIDE.includes(flow.scope)) continue;
    const row = to.get(flow.peer.address) || { address: flow.peer.address, name: flow.peer.workload, scope: flow.scope, out: 0, in: 0 };
    row.out += flow.transmit.bytes_per_second;
    row.in += flow.receive.bytes_per_second;
    to.set(flow.peer.address, row);
  }
  const rows = [...to.values()].sort((a, b) => b.out + b.in - a.out - a.in || a.address.localeCompare(b.address)).slice(0, 50);
  return html`<${Pairs} answer=${answer} state=${state} go=${go} title="Out of the VPC" wanted=${(pair) => OUTSIDE.includes(pair.scope)} />
    ${answer.cluster ? "" : html`<section aria-labelledby="to-title"><h2 id="to-title">Addresses of the last drain</h2>
    <table class="rows" id="destinations"><caption>the ${rows.length} busiest of the connections that match</caption>
    <thead><tr><th scope="col">Address</th><th scope="col">Network</th><th scope="col">Scope</th><th scope="col" class="number">Out</th><th scope="col" class="number">In</th></tr></thead>
    <tbody>${rows.map((row) => html`<tr key=${row.address}><td data-label="Address"><button type="button" class="name"
      onClick=${() => go({ tab: "connections", search: row.address, open: "" })}>${row.address}</button></td><td data-label="Network">${row.name || "–"}</td>
      <td data-label="Scope" class="scope"><span><${Scope} scope=${row.scope} /></span></td><td data-label="Out" class="number">${rate(row.out)}</td><td data-label="In" class="number">${rate(row.in)}</td></tr>`)}</tbody></table></section>`}`;
}

export function Connections({ flows }) {
  if (!flows) return html`<p class="dim">waiting for the next drain …</p>`;
  const row = (flow, index) => html`<tr key=${index}><td data-label="Pod or process" class="end">${endpoint(flow.local, flow.other_ports)}${flow.pending ? " (its name is awaited)" : ""}</td>
    <td data-label="Peer" class="end"><span>${endpoint(flow.peer, flow.other_ports)} <small>${[named(flow.peer) ? flow.peer.address : "", flow.service ? "by Service " + flow.service : ""].join(" ").trim()}</small></span></td>
    <td data-label="Zones" class="zones"><${Zones} of=${flow} /></td>
    <td data-label="Scope" class="scope"><span><${Scope} scope=${flow.scope} via=${flow.via} /></span></td><td data-label="Protocol">${flow.protocol}</td>
    <td data-label="Out" class=${quiet(flow.transmit.bytes)}>${rate(flow.transmit.bytes_per_second)}</td><td data-label="In" class=${quiet(flow.receive.bytes)}>${rate(flow.receive.bytes_per_second)}</td></tr>`;
  return html`<section aria-labelledby="flows-title"><h2 id="flows-title">Connections of the last drain</h2>
    <table class="rows" id="flows"><caption>the ${count(flows.flows.length)} busiest of ${count(flows.matched)} that match, within ${flows.seconds.toFixed(1)} s</caption>
    <thead><tr><th scope="col">Pod or process</th><th scope="col">Peer</th><th scope="col">Zones</th><th scope="col">Scope</th><th scope="col">Protocol</th>
      <th scope="col" class="number">Out</th><th scope="col" class="number">In</th></tr></thead>
    <tbody>${flows.flows.map(row)}</tbody></table></section>`;
}

export function Missing({ health }) {
  if (!health.missing.length) return "";
  return html`<h3>What is missing</h3><ul id="missing">${health.missing.map((line) => html`<li key=${line}>${line}</li>`)}</ul>`;
}

export function Health({ health, interfaces }) {
  if (!health) return html`<p class="dim">asking …</p>`;
  const parts = ["pods", "unattributed", "pending", "retired", "interfaces"];
  const rows = interfaces ? interfaces.interfaces : [];
  return html`<section aria-labelledby="health-title"><h2 id="health-title">Health</h2>
    <p>${health.ready ? html`<span class="good">ready</span>` : html`<span class="bad">not ready</span>`},
      ${" "}${health.alive ? html`<span class="good">every loop turns</span>` : html`<span class="bad">a loop stands still</span>`}.
      ${" "}${health.counted_pods} of ${health.counted_pods + health.uncounted_pods} pods are counted, on ${health.interfaces} interfaces.</p>
    <${Missing} health=${health} />
    ${health.lacking.length ? html`<h3>Interfaces that are counted in part</h3><ul>${health.lacking.map((line) => html`<li key=${line}>${line}</li>`)}</ul>` : ""}
    <h3>Sums</h3><table class="rows" id="sums"><caption>what pods were given and what interfaces saw are counted apart and must be equal</caption>
    <thead><tr><th scope="col">Direction</th>${parts.map((part) => html`<th scope="col" class="number">${part[0].toUpperCase() + part.slice(1)}</th>`)}<th scope="col">Equal</th></tr></thead>
    <tbody>${health.sums.map((sum) => html`<tr key=${sum.direction}><td data-label="Direction">${sum.direction}</td>
      ${parts.map((part) => html`<td data-label=${part} class="number" title=${sum[part].packets + " packets"}>${count(sum[part].bytes)}</td>`)}
      <td data-label="Equal">${sum.equal ? html`<span class="good">yes</span>` : html`<span class="bad">no</span>`}</td></tr>`)}</tbody></table>
    ${health.unattributed.length ? html`<h3>Without a pod for good</h3><ul id="unattributed">${health.unattributed.map((one) =>
      html`<li key=${one.reason}>${one.reason}: ${bytes(one.transmit.bytes)} out, ${bytes(one.receive.bytes)} in</li>`)}</ul>` : ""}
    <p id="disagreed">Drains in which the flows did not make up what the interfaces saw: ${health.drains_that_disagreed}.</p>
    <h3>Interfaces</h3><table class="rows" id="interfaces"><caption>what each carried in the last drain, and before counting began</caption>
    <thead><tr><th scope="col">Interface</th><th scope="col">Pod</th><th scope="col">Found by</th><th scope="col" class="number">Out</th><th scope="col" class="number">In</th><th scope="col" class="number">Before</th></tr></thead>
    <tbody>${rows.map((one) => html`<tr key=${one.name}><td data-label="Interface">${one.name}</td><td data-label="Pod">${one.pod ? one.namespace + "/" + one.pod : "awaited"}</td>
      <td data-label="Found by">${one.pod_found_by || "–"}</td><td data-label="Out" class="number">${rate(one.transmit.bytes_per_second)}</td><td data-label="In" class="number">${rate(one.receive.bytes_per_second)}</td>
      <td data-label="Before" class="number">${bytes(one.transmit_before_attach.bytes + one.receive_before_attach.bytes)}</td></tr>`)}</tbody></table>
    <p><a href="api/config">The configuration in force</a></p></section>`;
}
