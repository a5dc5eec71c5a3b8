// Everything that can be chosen is in the URL, so that a view can be shared and the browser's
// buttons work.

const DEFAULTS = {
  tab: "pairs", window: "5m", sort: "total", scope: "", namespace: "", search: "", zone: "", peer_zone: "",
  inside: "", open: "",
};

export function read() {
  const state = { ...DEFAULTS };
  for (const [name, value] of new URLSearchParams(location.search)) if (name in DEFAULTS) state[name] = value;
  return state;
}

/** The link to a state: only what is not as it is by itself. */
export function link(state) {
  const query = new URLSearchParams();
  for (const name of Object.keys(DEFAULTS)) if (state[name] !== DEFAULTS[name]) query.set(name, state[name]);
  const text = query.toString();
  return text ? "?" + text : location.pathname;
}

/** Remembers a state: a step of the browser's history, or in place of the last one while somebody types. */
export function write(state, typing) {
  history[typing ? "replaceState" : "pushState"](null, "", link(state));
}

export async function ask(path, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value) query.set(name, value);
  const text = query.toString();
  const response = await fetch("api/" + path + (text ? "?" + text : ""));
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}
