// /api/v1: requests, and the stream of events. Addresses are relative, so that the page works wherever it is put.

const kBase = "api/v1/";
const kTokenKey = "sallyport-token";
const kSilence = 10000;  // status comes every two seconds

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

let token = "";
try {
  token = sessionStorage.getItem(kTokenKey) ?? "";
} catch {
  // Storage is off: the token lives as long as the page.
}

export const hasToken = () => token !== "";

export function setToken(text) {
  token = text;
  try {
    if (text) sessionStorage.setItem(kTokenKey, text);
    else sessionStorage.removeItem(kTokenKey);
  } catch {
    // As above.
  }
}

// Answers what the JSON says; throws ApiError with what the gateway said.
export async function request(method, path, { body, signal, bearer = token } = {}) {
  const headers = {};
  if (bearer) headers.Authorization = `Bearer ${bearer}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(kBase + path, {
      method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store", credentials: "same-origin",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "the gateway does not answer");
  }
  const text = await response.text();
  let answer = null;
  try {
    answer = text ? JSON.parse(text) : {};
  } catch {
    // Not the gateway's own words: the status has to do.
  }
  if (!response.ok) throw new ApiError(response.status, answer?.error ?? `the gateway answered ${response.status}`);
  if (answer === null) throw new ApiError(response.status, "the answer is not JSON");
  return answer;
}

export const get = (path, options) => request("GET", path, options);

export function query(path, values) {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) if (value !== "" && value !== undefined && value !== null) pairs.set(name, value);
  const text = pairs.toString();
  return text ? `${path}?${text}` : path;
}

// Server-sent events: calls deliver(name, object) for each. Ends with the stream. EventSource cannot send a token, so this reads itself.
async function readEvents(response, deliver, alive) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let pieces = [];
  let name = "";
  let data = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    alive();
    const lines = value.split("\n");
    if (lines.length === 1) {
      pieces.push(value);
      continue;
    }
    lines[0] = pieces.join("") + lines[0];
    pieces = [lines.pop()];
    for (const raw of lines) {
      const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
      if (line === "") {
        if (data.length) deliver(name || "message", JSON.parse(data.join("\n")));
        name = "";
        data = [];
      } else if (line.startsWith("event:")) {
        name = line.slice(6).trim();
      } else if (line.startsWith("data:")) {
        data.push(line.slice(line[5] === " " ? 6 : 5));
      }
    }
  }
}

// The stream, kept up: `on.event(name, object)`, `on.state(state, detail)` with the states connecting, live, lost, paused, locked.
// Pauses while the page is hidden.
export class Live {
  constructor(on) {
    this.on = on;
    this.failures = 0;
    this.abort = null;
    this.retry = 0;
    document.addEventListener("visibilitychange", () => this.restart());
    window.addEventListener("online", () => this.restart());
  }

  // At once, whatever it was waiting for.
  restart() {
    clearTimeout(this.retry);
    this.abort?.abort();
    this.abort = null;
    if (document.hidden) {
      this.on.state("paused");
      return;
    }
    this.connect();
  }

  async connect() {
    const abort = new AbortController();
    this.abort = abort;
    let silence = 0;
    const alive = () => {
      clearTimeout(silence);
      silence = setTimeout(() => abort.abort(), kSilence);
    };
    let why = "the gateway ended the connection";
    this.on.state("connecting");
    try {
      alive();
      const headers = { Accept: "text/event-stream" };
      if (token) headers.Authorization = `Bearer ${token}`;
      const response = await fetch(`${kBase}events`, { headers, signal: abort.signal, cache: "no-store" });
      if (response.status === 401 || response.status === 403) {
        const text = await response.json().then(answer => answer.error, () => "");
        if (this.abort === abort) this.on.state("locked", text);
        return;
      }
      if (!response.ok) throw new Error(`the gateway answered ${response.status}`);
      let live = false;
      await readEvents(response, (name, object) => {
        if (this.abort !== abort) return;
        if (!live) {
          live = true;
          this.failures = 0;
          this.on.state("live");
        }
        this.on.event(name, object);
      }, alive);
    } catch (error) {
      if (error.name === "AbortError") why = "the gateway is silent";
      else if (error instanceof TypeError) why = "the gateway does not answer";
      else why = error.message;
    } finally {
      clearTimeout(silence);
    }
    if (this.abort !== abort) return;  // another one took its place
    abort.abort();
    ++this.failures;
    const wait = Math.min(500 * 2 ** (this.failures - 1), 10000);
    this.on.state("lost", why);
    this.retry = setTimeout(() => this.restart(), wait);
  }
}
