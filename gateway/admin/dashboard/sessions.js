// Open sessions: the first hundred of what is asked for, read again every few seconds while they are looked at.
import { byId, make, makeCarefulButton, say, setChildren, setHidden, setText } from "./dom.js";
import { bytes, count, duration, plural } from "./format.js";
import { get, hasToken, query, request } from "./api.js";

const kMost = 100;
const kEvery = 3000;

class SessionRow {
  constructor(session) {
    this.cells = ["mono", "wide", "", "", "wide", "number", "number wide", "number wide", "number", "number wide"].map(kind => make("td", { class: kind || undefined }));
    this.node = make("tr", {}, ...this.cells);
    if (hasToken()) {
      const cut = () => request("DELETE", `sessions/${encodeURIComponent(session.id)}`)
        .then(() => {
          say(`The session of ${session.client} is cut`);
          this.node.classList.add("gone");
        }, error => say(error.message, "error"));
      this.node.append(make("td", { class: "actions" }, makeCarefulButton("Cut", "Cut it?", cut, { "aria-label": `Cut the session of ${session.client}` })));
    }
  }
  draw(s) {
    const target = s.host || s.sni || "";
    [s.client, s.listener, s.protocol + (s.state && s.state !== "open" ? ` ${s.state}` : ""),
      (s.service ?? "–") + (s.server ? ` → ${s.server}` : ""), target + (s.path ?? ""),
      duration(s.age_seconds), duration(s.idle_seconds), bytes(s.received_bytes), bytes(s.sent_bytes),
      s.requests ? count(s.requests) : ""].forEach((text, i) => setText(this.cells[i], text));
    if (this.cells[4].title !== this.cells[4].textContent) this.cells[4].title = this.cells[4].textContent;
  }
}

export class Sessions {
  constructor() {
    this.rows = new Map();
    this.shown = false;
    this.timer = 0;
    this.abort = null;
    this.body = byId("sessions-body");
    this.inputs = ["service", "client", "listener", "sort"].map(name => byId(`sessions-${name}`));
    for (const input of this.inputs) input.addEventListener(input.tagName === "SELECT" ? "change" : "input", () => this.soon());
    document.addEventListener("visibilitychange", () => this.refresh());
    this.accessChanged();
  }

  show(shown) {
    this.shown = shown;
    this.refresh();
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.refresh(), 250);
  }

  async refresh() {
    clearTimeout(this.timer);
    this.abort?.abort();
    if (!this.shown || document.hidden) return;
    const abort = new AbortController();
    this.abort = abort;
    const [service, client, listener, sort] = this.inputs.map(input => input.value.trim());
    try {
      this.draw(await get(query("sessions", { service, client, listener, sort, limit: kMost }), { signal: abort.signal }));
    } catch (error) {
      if (error.name === "AbortError") return;
      this.tell(error.message, true);
    }
    if (this.abort === abort) this.timer = setTimeout(() => this.refresh(), kEvery);
  }

  draw({ sessions, total }) {
    const ids = new Set(sessions.map(session => session.id));
    for (const id of this.rows.keys()) if (!ids.has(id)) this.rows.delete(id);
    setChildren(this.body, sessions.map(session => {
      let row = this.rows.get(session.id);
      if (!row) {
        row = new SessionRow(session);
        this.rows.set(session.id, row);
      }
      row.draw(session);
      return row.node;
    }));
    this.tell(total > sessions.length ? `${count(sessions.length)} of ${plural(total, "session")}` : plural(total, "session"), false);
  }

  tell(text, bad) {
    const node = byId("sessions-total");
    setText(node, text);
    node.classList.toggle("bad", bad);
  }

  accessChanged() {
    this.rows.clear();
    setChildren(this.body, []);
    setHidden(byId("sessions-actions"), !hasToken());
    this.refresh();
  }
}
