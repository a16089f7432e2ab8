// What an opened row shows: where the service comes from, its last minutes, and its servers with what can be done to them.
import { make, makeState, say, setAttribute, setChildren, setHidden, setState, setText } from "./dom.js";
import { Chart } from "./charts.js";
import { byteRate, bytes, count, duration, moment, place, rate } from "./format.js";
import { hasToken, request } from "./api.js";

const kDone = { enabled: "is enabled", draining: "is draining", disabled: "is disabled" };
const kActions = [["enabled", "Enable"], ["draining", "Drain"], ["disabled", "Disable"]];

function change(service, server, body, told) {
  const path = `servers/${encodeURIComponent(service)}/${encodeURIComponent(server)}`;
  request("PATCH", path, { body }).then(() => say(`${service}: ${server} ${told}`), error => say(error.message, "error"));
}

class ServerRow {
  constructor(service, server, table) {
    this.table = table;
    this.state = makeState(server.state);
    this.admin = make("span", { class: "tag" });
    this.reason = make("td", { class: "reason" });
    this.since = make("td", { class: "muted" });
    this.check = make("td", { class: "muted wide" });
    this.load = make("td", { class: "number" });
    this.errors = make("td", { class: "number wide" });
    this.weight = make("td", { class: "number" });
    this.weightText = make("span");
    this.weight.append(this.weightText);
    this.name = make("td", {}, make("span", { class: "mono" }, server.server));
    if (server.name && server.name !== server.server) this.name.append(make("span", { class: "muted" }, ` ${server.name}`));
    if (server.backup) this.name.append(" ", make("span", { class: "tag" }, "backup"));
    this.node = make("tr", {}, this.name, make("td", { class: "state-cell" }, this.state, " ", this.admin), this.reason, this.since, this.check, this.load, this.errors, this.weight);
    this.buttons = [];
    if (hasToken()) this.addActions(service, server);
  }

  addActions(service, server) {
    this.buttons = kActions.map(([admin, text]) => [admin, make("button", {
      type: "button", class: "small", "aria-label": `${text} ${server.server} of ${service}`, onclick: () => change(service, server.server, { admin }, kDone[admin]),
    }, text)]);
    const input = make("input", { type: "number", name: "weight", min: "0", max: "256", class: "weight", "aria-label": `Weight of ${server.server}` });
    const set = () => {
      const text = input.value.trim();
      this.typed = false;
      this.shownWeight = undefined;
      const weight = text === "" ? null : Number(text);
      change(service, server.server, { weight }, weight === null ? "has its written weight again" : `has weight ${weight}`);
    };
    // What is being typed is not written over by what arrives.
    input.addEventListener("input", () => { this.typed = true; });
    input.addEventListener("keydown", event => { if (event.key === "Enter") set(); });
    this.input = input;
    setHidden(this.weightText, true);
    this.weight.append(input, make("button", { type: "button", class: "small", "aria-label": `Set the weight of ${server.server}`, onclick: set,
      title: "Empty: the weight that is written in the file" }, "Set"));
    this.node.append(make("td", { class: "actions" }, ...this.buttons.map(([, button]) => button)));
  }

  draw(server) {
    setState(this.state, server.state);
    setHidden(this.admin, !server.admin || server.admin === "enabled");
    setText(this.admin, server.admin);
    setText(this.reason, server.reason || (server.state === "unchecked" ? "not checked" : ""));
    setText(this.since, server.since ? duration((this.table.model.now() - server.since) / 1000) : "");
    setAttribute(this.since, "title", server.since ? `since ${moment(server.since)}` : null);
    setText(this.check, server.check ? `${server.check}${server.check_ms === undefined || server.check_ms === null ? "" : ` ${server.check_ms} ms`}` : "–");
    setText(this.load, server.max_connections ? `${count(server.load)} (${count(server.connections)}/${count(server.max_connections)})` : count(server.load));
    setText(this.errors, `${count(server.totals?.errors)} / ${count(server.totals?.failures)}`);
    const changed = server.written_weight !== undefined && server.weight !== server.written_weight;
    setText(this.weightText, changed ? `${server.weight} (written ${server.written_weight})` : server.weight);
    if (this.input && !this.typed && document.activeElement !== this.input && this.shownWeight !== server.weight) {
      this.shownWeight = server.weight;
      this.input.value = server.weight;
    }
    for (const [admin, button] of this.buttons) setHidden(button, admin === server.admin);
  }
}

export class ServiceDetail {
  constructor(service, table) {
    this.service = service;
    this.table = table;
    this.servers = new Map();
    this.facts = make("dl", { class: "facts" });
    this.values = new Map();
    const { series } = service.meter;
    this.chart = service.counts === "requests"
      ? new Chart("Requests/s", rate, [{ name: "all", series: series.requests, kind: "plain" }, { name: "errors", series: series.errors, kind: "bad" }])
      : new Chart("Connections/s", rate, [{ name: "all", series: series.connections, kind: "plain" }, { name: "errors", series: series.errors, kind: "bad" }]);
    this.traffic = new Chart("Traffic", byteRate, [{ name: "in", series: series.received_bytes, kind: "second" }, { name: "out", series: series.sent_bytes, kind: "plain" }]);
    this.body = make("tbody");
    const heads = [["Server"], ["State"], ["Reason"], ["For"], ["Check", "wide"], ["Load", "number"], ["5xx / failed", "number wide"], ["Weight", "number"]];
    if (hasToken()) heads.push(["Actions"]);
    this.table2 = make("table", { class: "inner" }, make("caption", { class: "hidden" }, `Servers of ${service.data.name}`),
      make("thead", {}, make("tr", {}, ...heads.map(([text, kind]) => make("th", { scope: "col", class: kind }, text)))), this.body);
    this.node = make("div", { class: "detail-box" }, this.facts, make("div", { class: "detail-charts" }, this.chart.node, this.traffic.node),
      make("div", { class: "scroll" }, this.table2));
  }

  fact(name, value, kind) {
    let node = this.values.get(name);
    if (!node) {
      node = make("dd", { class: kind });
      this.values.set(name, node);
      this.facts.append(make("div", {}, make("dt", {}, name), node));
    }
    setText(node, value);
    setHidden(node.parentNode, value === "");
  }

  draw() {
    const { data } = this.service;
    this.fact("File", place(data), "mono");
    this.fact("Mode", data.mode, "narrow");
    this.fact("Listeners", (data.listeners ?? []).join(", "));
    this.fact("Hosts", (data.hosts ?? []).join(", "), "mono");
    this.fact("Paths", (data.paths ?? []).filter(path => path !== "/").join(", "), "mono");
    this.fact("Preset", data.preset ?? "");
    this.fact("Balance", this.service.servers.length > 1 ? data.balance ?? "" : "");
    this.fact("Sessions", count(data.sessions));
    this.fact("Queued", data.queued ? count(data.queued) : "");
    this.fact("Sticky clients", data.sticky ? count(data.sticky) : "");
    const totals = data.totals ?? {};
    this.fact("Since the start", [
      totals.requests ? `${count(totals.requests)} requests` : "", totals.connections ? `${count(totals.connections)} connections` : "",
      totals.errors ? `${count(totals.errors)} errors` : "", totals.retries ? `${count(totals.retries)} retries` : "",
      `${bytes(totals.received_bytes)} in`, `${bytes(totals.sent_bytes)} out`,
    ].filter(Boolean).join(", "));
    this.fact("Answers", Object.entries(totals.status ?? {}).filter(([, n]) => n).map(([code, n]) => `${code} ${count(n)}`).join("  "));
    const seen = new Map();
    const rows = this.service.servers.map(server => {
      const times = (seen.get(server.server) ?? 0) + 1;  // two may have one address
      seen.set(server.server, times);
      const key = `${times} ${server.server}`;
      let row = this.servers.get(key);
      if (!row) {
        row = new ServerRow(data.name, server, this.table);
        this.servers.set(key, row);
      }
      row.draw(server);
      return row.node;
    });
    setChildren(this.body, rows);
    setHidden(this.table2, rows.length === 0);
  }

  drawChart() {
    const end = this.table.model.now();
    this.chart.draw(end);
    this.traffic.draw(end);
  }
}
