// The page: asks the agent every few seconds while it is looked at, and shows what it says.

import { html, render, useCallback, useEffect, useState } from "./vendor/htm-preact.js";
import { span } from "./format.js";
import { Cards, Matrix } from "./overview.js";
import { Pairs, Workloads } from "./pairs.js";
import { ask, link, read, write } from "./state.js";
import { Connections, Health, Missing, Outside } from "./tabs.js";

const EVERY = 5000;
const TABS = { pairs: "Pairs", workloads: "Workloads", outside: "Internet and AWS", connections: "Connections", health: "Health" };
/** A cluster's page has what every agent's has. */
const OF_A_NODE = ["connections", "health"];
const SCOPES = ["intra_node", "intra_zone", "cross_zone", "cross_region", "vpc", "peered", "aws_service", "internet", "link_local",
  "unresolved_service", "unknown"];
const WINDOWS = { "1m": "1 minute", "5m": "5 minutes", "1h": "1 hour", start: "since the start" };
const WINDOWS_OF_A_CLUSTER = { "5m": "5 minutes", "1h": "1 hour", "1d": "1 day" };

/** What a tab needs, asked at once. */
async function load(state) {
  const filters = { scope: state.scope, namespace: state.namespace, search: state.search };
  const wide = state.peer_zone || ["workloads", "outside"].includes(state.tab);
  const pairs = ask("pairs", { ...filters, window: state.window, sort: state.sort, limit: wide ? "2000" : "200" });
  const needsFlows = ["connections", "outside"].includes(state.tab);
  const flows = needsFlows ? ask("flows", { ...filters, limit: state.tab === "outside" ? "2000" : "200" }) : null;
  const interfaces = state.tab === "health" ? ask("interfaces") : null;
  // Null: a whole cluster has no health of one agent.
  const health = ask("health");
  const loaded = { answer: await pairs, health: await health, flows: await flows, interfaces: await interfaces };
  loaded.answer.cluster = loaded.health === null;
  return loaded;
}

function Head({ answer, health }) {
  if (!health) return html`<header><h1>zonemeter</h1><span>the whole cluster</span></header>`;
  const equal = health.sums.every((sum) => sum.equal);
  const pods = health.counted_pods + health.uncounted_pods;
  const word = (good, yes, no) => html`<span class=${good ? "good" : "bad"}>${good ? yes : no}</span>`;
  return html`<header><h1>zonemeter</h1>
    <span id="node">${health.node || "node not known yet"}</span>
    <span id="zone">${health.zone || "zone not known"}${health.zone_id ? ` (${health.zone_id})` : ""}</span>
    <span class="dim">v${health.version}</span>
    <span id="pods">${word(health.uncounted_pods === 0, `counting ${health.counted_pods} of ${pods} pods`, `counting only ${health.counted_pods} of ${pods} pods`)}</span>
    <span id="equal">${word(equal, "sums equal", "sums not equal")}</span>
    ${health.missing.length ? html`<a id="lacks" href=${link({ ...read(), tab: "health" })}>${health.missing.length} missing</a>` : ""}
    <span class="dim">${health.age_seconds === null ? "waiting for the first drain" : `drained ${span(health.age_seconds)} ago`}</span></header>`;
}

function Tabs({ state, health, go }) {
  const names = Object.keys(TABS).filter((tab) => health || !OF_A_NODE.includes(tab));
  const open = (tab) => (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go({ tab, open: "" });
  };
  return html`<nav aria-label="views"><ul>${names.map((tab) => html`<li key=${tab}><a href=${link({ ...state, tab, open: "" })}
    aria-current=${state.tab === tab ? "page" : undefined} onClick=${open(tab)}>${TABS[tab]}</a></li>`)}</ul></nav>`;
}

function Filters({ state, go, json, windows }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(location.href);
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  };
  const choose = (name) => (event) => go({ [name]: event.target.value });
  const type = (name) => (event) => go({ [name]: event.target.value }, true);
  return html`<form id="filters" role="search" onSubmit=${(event) => event.preventDefault()}>
    <label class="wide">Search<input id="search" type="search" value=${state.search} onInput=${type("search")}
      placeholder="namespace/name, Service, zone, address or CIDR" /></label>
    <label>Mean over<select id="window" value=${state.window} onChange=${choose("window")}>${Object.entries(windows).map(([value, name]) =>
      html`<option value=${value} selected=${state.window === value}>${name}</option>`)}</select></label>
    <label>Scope<select id="scope" value=${state.scope} onChange=${choose("scope")}><option value="">all</option>${SCOPES.map((scope) =>
      html`<option value=${scope} selected=${state.scope === scope}>${scope}</option>`)}</select></label>
    <label>Namespace<input id="namespace" value=${state.namespace} onInput=${type("namespace")} /></label>
    <button type="button" id="copy" onClick=${copy}>${copied ? "copied" : "copy link"}</button>
    <a id="json" href=${json}>JSON</a></form>`;
}

function covers(answer) {
  const since = new Date(1000 * answer.since_unix_seconds).toISOString().slice(0, 19).replace("T", " ");
  const short = { "1m": 60, "5m": 300, "1h": 3600, "1d": 86400 }[answer.window];
  const note = short === undefined ? "" : answer.seconds < 0.9 * short ? " – watched for no longer yet"
    : answer.seconds > 2 * short ? " – since the start: the window fills while this page is open" : "";
  return `Means over ${span(answer.seconds)}, from ${since} UTC${note}`;
}

function View({ state, data, go }) {
  const { answer, flows, health, interfaces } = data;
  if (!answer.total && state.tab !== "health") return html`<${Nothing} health=${health} />`;
  switch (state.tab) {
    case "workloads": return html`<${Workloads} answer=${answer} state=${state} go=${go} />`;
    case "outside": return html`<${Outside} answer=${answer} flows=${flows} state=${state} go=${go} />`;
    case "connections": return html`<${Connections} flows=${flows} />`;
    case "health": return html`<${Health} health=${health} interfaces=${interfaces} />`;
    default: return html`<${Matrix} answer=${answer} state=${state} go=${go} /><${Pairs} answer=${answer} state=${state} go=${go} />`;
  }
}

/** Before there is anything to show: what it waits for. */
function Nothing({ health }) {
  return html`<section aria-labelledby="nothing-title"><h2 id="nothing-title">Nothing was counted yet</h2>
    ${health ? html`<p>Pairs appear with the first bytes of this node's pods, a drain later at most.</p><${Missing} health=${health} />`
      : html`<p>The store has no series of pairs: do the agents' scrapes and zonemeter.rules.yaml get there?</p>`}</section>`;
}

function Page() {
  const [state, setState] = useState(read);
  const [data, setData] = useState(null);
  const [error, setError] = useState("");
  const go = useCallback((change, typing) => setState((state) => {
    const next = { ...state, ...change };
    write(next, typing);
    return next;
  }), []);
  useEffect(() => {
    const back = () => setState(read());
    addEventListener("popstate", back);
    return () => removeEventListener("popstate", back);
  }, []);
  const asked = { ...state, open: "" };
  useEffect(() => {
    let gone = false;
    let timer;
    const turn = async () => {
      clearTimeout(timer);
      // Nobody looks: the agent is left alone.
      if (document.hidden) return;
      try {
        const loaded = await load(state);
        if (!gone) { setData({ ...loaded, of: state.tab }); setError(""); }
      } catch (error) {
        if (!gone) setError(error.message);
      }
      if (!gone) timer = setTimeout(turn, EVERY);
    };
    timer = setTimeout(turn, data ? 150 : 0);
    document.addEventListener("visibilitychange", turn);
    return () => { gone = true; clearTimeout(timer); document.removeEventListener("visibilitychange", turn); };
  }, [JSON.stringify(asked)]);
  const json = "api/pairs?" + new URLSearchParams(Object.entries({ window: state.window, sort: state.sort, scope: state.scope,
    namespace: state.namespace, search: state.search }).filter(([, value]) => value));
  return html`${data ? html`<${Head} answer=${data.answer} health=${data.health} />` : html`<header><h1>zonemeter</h1><span class="dim">asking …</span></header>`}
    <${Tabs} state=${state} health=${!data || data.health} go=${go} />
    <main>${state.tab === "health" ? "" : html`<${Filters} state=${state} go=${go} json=${json} windows=${!data || data.health ? WINDOWS : WINDOWS_OF_A_CLUSTER} />`}
    ${error ? html`<p class="error" role="alert">${error}</p>` : ""}
    ${data ? html`<p id="covers" class="dim">${covers(data.answer)}${data.answer.prices ? `; prices of ${data.answer.prices.as_of.join(", ") || "no date"}` : "; no prices: --prices-file tells dollars"}</p>
      <${Cards} answer=${data.answer} />
      ${data.of === state.tab ? html`<${View} state=${state} data=${data} go=${go} />` : html`<p class="dim">asking …</p>`}` : ""}</main>
    <footer><small>A pair is a workload and its peer in one scope, both directions together. JSON: <a href="api/pairs">pairs</a>,
      ${" "}<a href="api/zones">zones</a>, <a href="api/workloads">workloads</a>${data && data.answer.cluster ? "" : html`, <a href="api/flows">flows</a>,
      ${" "}<a href="api/interfaces">interfaces</a>, <a href="api/health">health</a>, <a href="api/config">config</a>`}</small></footer>`;
}

const place = document.getElementById("page");
place.replaceChildren();
render(html`<${Page} />`, place);
