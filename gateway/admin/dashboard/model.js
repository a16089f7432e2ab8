// What is known of the gateway: what the events said last, and five minutes of it in series.
import { Series, kStepSeconds } from "./charts.js";
import { get, query } from "./api.js";

const kFields = ["requests", "errors", "connections", "received_bytes", "sent_bytes"];
const kHttp = new Set(["edge", "reencrypt", "http", "redirect"]);

function makeSeries() {
  return Object.fromEntries(kFields.map(field => [field, new Series()]));
}

// Amounts since the last step, from totals that only grow. A total that fell is of another run of the gateway.
class Meter {
  constructor() {
    this.made = null;
    this.seen = null;
    this.amounts = null;
  }
  // Made when first something is to be kept or shown: of many services few are used.
  get series() {
    this.made ??= makeSeries();
    return this.made;
  }
  take(totals) {
    this.amounts ??= {};
    for (const field of kFields) {
      const before = this.seen?.[field];
      const grown = before === undefined ? 0 : Math.max(0, (totals[field] ?? 0) - before);
      this.amounts[field] = (this.amounts[field] ?? 0) + grown;
    }
    this.seen = { ...totals };
  }
  step(seconds) {
    const { amounts } = this;
    this.amounts = null;
    if (!this.made && !(amounts && kFields.some(field => amounts[field] > 0))) return;
    for (const field of kFields) this.series[field].push((amounts?.[field] ?? 0) / seconds);
  }
  fill(history) {
    for (const field of kFields) if (Array.isArray(history[field])) this.series[field].fill(history[field], history.step_seconds || kStepSeconds);
  }
}

export class Service {
  constructor(data) {
    this.meter = new Meter();
    this.historyAsked = false;
    this.data = {};
    this.take(data);
  }
  // Events leave out what did not change of these.
  take(data) {
    this.data = { ...this.data, ...data };
    if (data.totals) this.meter.take(data.totals);
    const d = this.data;
    this.servers = d.servers ?? [];
    this.usable = this.servers.filter(server => (server.state === "up" || server.state === "unchecked") && server.admin !== "disabled").length;
    this.words = [d.name, d.mode, d.state, d.preset, ...(d.hosts ?? []), ...this.servers.flatMap(s => [s.server, s.name])].join(" ").toLowerCase();
  }
  // Connections where there are no requests to count.
  get counts() {
    return kHttp.has(this.data.mode) && !(this.data.totals?.connections > 0 && !this.data.totals?.requests) ? "requests" : "connections";
  }
  get perSecond() {
    return this.data.rates?.[this.counts] ?? 0;
  }
  get traffic() {
    return (this.data.rates?.received_bytes ?? 0) + (this.data.rates?.sent_bytes ?? 0);
  }
  get used() {
    const totals = this.data.totals ?? {};
    return (totals.received_bytes ?? 0) + (totals.sent_bytes ?? 0) + (totals.requests ?? 0) > 0;
  }
}

export class Model {
  constructor() {
    this.services = new Map();
    this.status = null;
    this.meter = new Meter();
    this.leftOut = [];  // services that are written down but do not run for their faults, as /services tells it
    this.skew = 0;  // the gateway's clock minus ours
    this.first = new Set();  // names told of since the connection was made, until all of them were; then null
  }

  now() {
    return Date.now() + this.skew;
  }

  // What happened since the last time is asked for again.
  connected() {
    this.first = new Set();
    for (const service of this.services.values()) service.historyAsked = false;
  }

  takeStatus(status) {
    const before = this.status;
    if (before && before.started !== status.started) this.meter = new Meter();
    const seconds = before && before.started === status.started ? (status.now - before.now) / 1000 : kStepSeconds;
    this.status = status;
    this.skew = status.now - Date.now();
    this.meter.take(status.totals ?? {});
    if (seconds <= 0) return;
    this.meter.step(seconds);
    for (const service of this.services.values()) service.meter.step(seconds);
  }

  // Answers { changed: [Service], gone: [name], down: [name], up: [name], fresh }: down and up came to be so while we looked.
  takeServices({ services = [], gone = [], complete = false }) {
    const out = { changed: [], gone: [...gone], down: [], up: [], fresh: false };
    for (const service of services) this.first?.add(service.name);
    if (complete && this.first) {
      for (const name of this.services.keys()) if (!this.first.has(name)) out.gone.push(name);
      this.first = null;
    }
    for (const name of out.gone) this.services.delete(name);
    for (const data of services) {
      const known = this.services.get(data.name);
      if (!known) {
        const service = new Service(data);
        this.services.set(data.name, service);
        out.fresh = true;
        out.changed.push(service);
        continue;
      }
      const before = known.data.state;
      known.take(data);
      if (data.state && data.state !== before) {
        if (data.state === "down") out.down.push(data.name);
        else if (before === "down") out.up.push(data.name);
      }
      out.changed.push(known);
    }
    return out;
  }

  counted() {
    const counts = { up: 0, degraded: 0, down: 0, none: 0 };
    for (const service of this.services.values()) counts[service.data.state] = (counts[service.data.state] ?? 0) + 1;
    return counts;
  }

  named(state) {
    return [...this.services.values()].filter(service => service.data.state === state).map(service => service.data.name).sort();
  }

  async fetchHistory() {
    this.meter.fill(await get("history"));
  }

  async fetchLeftOut() {
    this.leftOut = (await get(query("services", { limit: 1 }))).left_out ?? [];
  }
}

// Asks for the last minutes of services as their rows come into view; three at a time, and only what is still looked at.
export class HistoryQueue {
  constructor(wanted, done) {
    this.wanted = wanted;
    this.done = done;
    this.waiting = [];
    this.running = 0;
  }
  add(service) {
    if (service.historyAsked || !service.used) return;
    service.historyAsked = true;
    this.waiting.push(service);
    this.run();
  }
  run() {
    while (this.running < 3 && this.waiting.length) {
      const service = this.waiting.pop();
      if (!this.wanted(service)) {
        service.historyAsked = false;
        continue;
      }
      ++this.running;
      get(query("history", { service: service.data.name }))
        .then(history => {
          service.meter.fill(history);
          this.done(service);
        }, () => {})
        .finally(() => {
          --this.running;
          this.run();
        });
    }
  }
}
