// Why a pair has its scope and its price: what `zonemeter explain` says of both ends.

import { html, useEffect, useState } from "./vendor/htm-preact.js";
import { dollars, endName, rate, span } from "./format.js";
import { ask } from "./state.js";

/** What to ask of an end: a name, or the addresses of its connections. */
async function subjects(pair, end) {
  if (end.workload && end.kind !== "other") return [endName(end)];
  const answer = await ask("flows", { scope: pair.scope, namespace: pair.local.namespace, search: pair.local.workload, limit: "500" });
  const of = answer.flows.filter((flow) => flow.local.workload === pair.local.workload && flow.peer.workload === end.workload);
  return [...new Set(of.map((flow) => flow.peer.address))].slice(0, 5);
}

async function explain(pair, end) {
  const answers = [];
  for (const what of await subjects(pair, end)) answers.push(await ask("explain", { what }));
  const of = (one) => !end.kind || !one.kind || one.kind === end.kind || ["Pod", "Service"].includes(one.kind);
  return answers.flatMap((answer) => answer.matches.filter(of).map((match) => ({ ...match, node: answer.node, zone: answer.zone })));
}

function Evidence({ evidence }) {
  const age = (one) => one.age_seconds !== null ? `, ${span(one.age_seconds)} old`
    : ["special_range", "default"].includes(one.source) ? ", built in" : ", age not known";
  return html`<ul>${evidence.map((one) => html`<li class=${one.decides ? "decides" : "dim"}>${one.source}: ${one.says}${age(one)}${one.decides ? " – decides" : ""}</li>`)}</ul>`;
}

/** What the row's first end is: a pod, or the node itself. */
const own = (pair) => (pair.host ? "node" : "pod");

function price(prices, pair) {
  if (!prices) return "not known: the agent has no --prices-file";
  if (!prices.length) return "nothing, by the prices in force";
  const reasons = new Map();
  for (const one of prices) {
    const reason = one.crossing_to ? ` for crossing to the NAT gateway in ${one.crossing_to}` : one.via ? " by " + one.via : "";
    reasons.set(reason, { ...reasons.get(reason), [one.direction]: one.dollars });
  }
  const each = [...reasons].map(([reason, { transmit, receive }]) => {
    if (transmit === receive) return `$${transmit} each way${reason}`;
    const ways = [[transmit, "from the " + own(pair)], [receive, "to the " + own(pair)]].filter(([dollars]) => dollars !== undefined);
    return ways.map(([dollars, way]) => `$${dollars} ${way}${reason}`).join(", ");
  });
  const dates = [...new Set(prices.map((one) => one.as_of || "no date"))].sort();
  return `${each.join(", ")} (prices of ${dates.join(", ")})`;
}

/** Between zones both ends pay; of what is no pod or node of the cluster the end here does. */
function bothPay(pair) {
  return pair.scope === "cross_zone" && pair.peer.kind !== "Network";
}

function gateway(pair) {
  if (pair.via !== "nat") return "";
  const zone = pair.peer.zone;
  const where = !zone ? "its zone is not known" : zone === pair.local.zone ? `in ${zone}, the zone of the ${own(pair)}`
    : `in ${zone}, another zone than the ${own(pair)}'s: crossing to it is charged beside what it processes`;
  return html`<dt>NAT gateway</dt><dd>${where}</dd>`;
}

function End({ title, found, end, pair, pays }) {
  if (!found) return html`<div><h3>${title}</h3><p class="dim">asking …</p></div>`;
  if (found.error) return html`<div><h3>${title}</h3><p class="bad">${found.error}</p></div>`;
  if (end.kind === "other") {
    return html`<div><h3>${title}</h3><p>Peers that had no series or no room of their own: --max-series and --map-memory are the bounds. They are counted, not named.</p></div>`;
  }
  // Of a peer in several zones only what has the scope of this row.
  const fits = (one) => end === pair.peer && one.scope === pair.scope;
  const all = found.flatMap((thing) => thing.explained.map((one) => ({ thing, one })));
  const fitting = all.filter(({ one }) => fits(one));
  const things = (fitting.length ? fitting : all).slice(0, 3);
  if (!things.length) return html`<div><h3>${title}</h3><p>Nothing of this name is known now, and no connection of the last drain shows an address.</p></div>`;
  return html`<div><h3>${title}</h3><dl><dt>price of a GB</dt><dd>${pays}</dd>${end === pair.peer ? gateway(pair) : ""}</dl>
    ${things.map(({ thing, one }) => html`<dl>
    <dt>address</dt><dd>${one.holder.address}${thing.addresses > thing.explained.length ? ` (and ${thing.addresses - 1} more)` : ""}</dd>
    ${one.holder.pod ? html`<dt>pod</dt><dd>${one.holder.namespace}/${one.holder.pod}</dd>` : ""}
    ${one.holder.node ? html`<dt>node</dt><dd>${one.holder.node}</dd>` : ""}
    ${one.holder.zone && one.via !== "nat" ? html`<dt>zone</dt><dd>${one.holder.zone}</dd>` : ""}
    <dt>scope</dt><dd>${one.scope}${one.via ? " by " + one.via : ""}, seen from ${thing.node}</dd>
    <dt>rule</dt><dd>${one.rule}</dd>
    <dt>because</dt><dd><${Evidence} evidence=${one.evidence} /></dd></dl>`)}</div>`;
}

/** What a gigabyte of the pair costs an end, as the peer's addresses in its scope are explained. */
function priceOf(pair, found) {
  if (!found) return "asking …";
  const explained = Array.isArray(found) ? found.flatMap((thing) => thing.explained) : [];
  const one = explained.find((one) => one.scope === pair.scope && one.via === pair.via);
  return one ? price(one.prices, pair) : "not known: no address of the peer has this scope now";
}

function Money({ pair, answer }) {
  if (!answer.prices) return html`<p class="whole">No dollars: the agent has no --prices-file.</p>`;
  const moved = pair.transmit.bytes_per_second + pair.receive.bytes_per_second;
  const ends = bothPay(pair) ? "both ends pay" : "this end pays";
  return html`<p class="whole"><strong>${dollars(pair.dollars_per_month)} a month</strong> at ${rate(moved)}, the mean of the last
    ${" "}${span(answer.seconds)}, for 730 hours of 3,600 s and a gigabyte of ${answer.prices.gigabyte_bytes.toLocaleString("en-US")} bytes; ${ends}.
    Prices of ${answer.prices.as_of.join(", ") || "no date"}.</p>`;
}

/** The agents explain addresses, a store has none. */
function OfACluster({ pair, answer }) {
  const name = pair.peer.workload ? endName(pair.peer) : endName(pair.local);
  return html`<div class="why"><${Money} pair=${pair} answer=${answer} />
    <p class="whole">Why it has the scope ${pair.scope} an agent explains: <code>kubectl -n kube-system exec daemonset/zonemeter -- zonemeter explain ${name}</code></p></div>`;
}

export function Why(properties) {
  return properties.answer.cluster ? html`<${OfACluster} ...${properties} />` : html`<${OfANode} ...${properties} />`;
}

function OfANode({ pair, answer, state, go }) {
  const [ends, setEnds] = useState({});
  useEffect(() => {
    let gone = false;
    const take = (name) => (found) => gone || setEnds((ends) => ({ ...ends, [name]: found }));
    for (const name of ["local", "peer"]) {
      explain(pair, pair[name]).then(take(name), (error) => take(name)({ error: error.message }));
    }
    return () => { gone = true; };
  }, [state.open]);
  const search = pair.peer.workload ? endName(pair.peer) : endName(pair.local);
  const pays = priceOf(pair, ends.peer);
  return html`<div class="why">
    <p class="whole"><strong>Why ${pair.scope}?</strong> The deciding sources are in bold, the others were considered.</p>
    <${End} title=${endName(pair.local)} found=${ends.local} end=${pair.local} pair=${pair} pays=${pays} />
    <${End} title=${endName(pair.peer, pair.scope)} found=${ends.peer} end=${pair.peer} pair=${pair}
      pays=${bothPay(pair) ? pays : "nothing that is known here"} />
    <${Money} pair=${pair} answer=${answer} />
    <p class="whole"><button type="button" onClick=${() => go({ tab: "connections", search, scope: pair.scope, open: "" })}>show its connections</button></p></div>`;
}
