// Numbers and names as people read them.

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** Bytes in decimal units. */
export function bytes(value) {
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return (unit && value < 100 ? value.toFixed(value < 10 ? 2 : 1) : Math.round(value)) + " " + UNITS[unit];
}

/** A rate. */
export function rate(value) {
  return bytes(value) + "/s";
}

/** Dollars; a dash where there are no prices. */
export function dollars(value) {
  if (value === null || value === undefined) return "–";
  if (value > 0 && value < 0.005) return "< $0.01";
  return "$" + value.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
}

/** A time span in its largest unit. */
export function span(seconds) {
  if (seconds < 90) return Math.round(seconds) + " s";
  if (seconds < 5400) return Math.round(seconds / 60) + " min";
  if (seconds < 172800) return Math.round(seconds / 3600) + " h";
  return Math.round(seconds / 86400) + " days";
}

/** The name of an end of a pair. */
export function endName(end, scope) {
  if (!end.workload) return scope || "unknown";
  return (end.namespace ? end.namespace + "/" : "") + end.workload;
}

/** The same as people read it: by its name alone a Node or a Network could be anything. */
export function endLabel(end, scope) {
  const kind = { Node: "node ", Network: "network " }[end.kind] || "";
  return kind + endName(end, scope);
}

/** What has no zone wherever it is. */
const WITHOUT_ZONES = ["internet", "link_local", "peered", "cross_region", "aws_service"];

/** Both ends' zones, each in one piece; the first alone where the other end has none or the same. */
export function zones({ local, peer, scope, via }) {
  const from = local.zone || "?";
  const to = peer.zone || (WITHOUT_ZONES.includes(scope) ? from : "?");
  if (via === "nat" && peer.zone) return [from, "NAT in " + to];
  return from === to ? [from] : [from, to];
}

/** A number among others, with its thousands marked. */
export function count(value) {
  return value.toLocaleString("en-US");
}

/** Now against a week ago, in words; empty where that is not known. */
export function change(now, earlier) {
  if (earlier === null || earlier === undefined) return "";
  if (earlier === 0) return now ? "new" : "–";
  const percent = Math.round(100 * (now / earlier - 1));
  return (percent > 0 ? "+" : percent < 0 ? "−" : "±") + Math.abs(percent).toLocaleString("en-US") + " %";
}

/** What the two ends of a pair move together. */
export function total(pair) {
  return pair.transmit.bytes_per_second + pair.receive.bytes_per_second;
}

const CHARGED = ["cross_zone", "cross_region", "internet"];
const CHARGED_WAYS = ["nat", "interface_endpoint", "tgw"];

/** Whether somebody pays for it in most price lists. */
export function charged(scope, via) {
  return CHARGED.includes(scope) || CHARGED_WAYS.includes(via);
}
