// The table of services: filter, sort, and a row each, of which one may be opened.
import { byId, draw, make, makeState, setAttribute, setChildren, setHidden, setState, setText } from "./dom.js";
import { Sparkline, sum } from "./charts.js";
import { byteRate, count, rate } from "./format.js";
import { HistoryQueue } from "./model.js";
import { ServiceDetail } from "./service_detail.js";

const kMostRows = 1000;
const kOrder = { down: 0, degraded: 1, up: 2, none: 3 };
const kSorts = {
  state: (a, b) => (kOrder[a.data.state] ?? 4) - (kOrder[b.data.state] ?? 4),
  name: () => 0,
  mode: (a, b) => a.data.mode.localeCompare(b.data.mode),
  servers: (a, b) => (b.servers.length - b.usable) - (a.servers.length - a.usable) || b.servers.length - a.servers.length,
  rate: (a, b) => b.perSecond - a.perSecond,
  errors: (a, b) => (b.data.rates?.errors ?? 0) - (a.data.rates?.errors ?? 0),
  traffic: (a, b) => b.traffic - a.traffic,
};
const kRising = new Set(["state", "name", "mode"]);  // words from the beginning, numbers from the largest
const collator = new Intl.Collator("en", { numeric: true });
const byName = (a, b) => collator.compare(a.data.name, b.data.name);

let rows = 0;

class Row {
  constructor(table, service) {
    this.table = table;
    this.service = service;
    this.visible = false;
    this.detail = null;
    this.id = `service-${++rows}`;
    this.arrow = make("span", { class: "arrow", "aria-hidden": "true" });
    this.toggle = make("button", { type: "button", class: "name", "aria-expanded": "false", onclick: () => this.open(!this.detail) }, this.arrow,
      make("span", {}, service.data.name));
    this.state = makeState("none");
    this.mode = make("td", { class: "wide muted" });
    this.servers = make("td", { class: "number" });
    this.rate = make("td", { class: "number" });
    this.unit = make("span", { class: "unit" });
    this.rateText = make("span");
    this.rate.append(this.rateText, this.unit);
    this.errors = make("td", { class: "number wide" });
    this.spark = new Sparkline();
    this.traffic = make("span");
    this.kept = make("span", { class: "tag", hidden: true, title: "Its file has a fault now: this is its last good version" }, "last good");
    this.node = make("tr", { class: "service" },
      make("td", {}, this.toggle, " ", this.kept), make("td", { class: "state-cell" }, this.state), this.mode, this.servers, this.rate, this.errors,
      make("td", { class: "number traffic wide" }, make("div", {}, this.spark.node, this.traffic)));
    this.node.row = this;
  }

  get wanted() {
    return this.visible || this.detail !== null;
  }

  draw() {
    const { service } = this;
    const { data } = service;
    setState(this.state, data.state);
    setAttribute(this.node, "data-state", data.state);
    setHidden(this.kept, !data.kept);
    setText(this.mode, data.mode);
    setText(this.servers, service.servers.length ? `${service.usable}/${service.servers.length}` : "–");
    setAttribute(this.servers, "data-short", service.usable < service.servers.length ? "" : null);
    setText(this.rateText, rate(service.perSecond));
    setText(this.unit, service.counts === "requests" ? " req" : " conn");
    const errors = data.rates?.errors ?? 0;
    setText(this.errors, rate(errors));
    setAttribute(this.errors, "data-bad", errors > 0 ? "" : null);
    setText(this.traffic, byteRate(service.traffic));
    this.drawSpark();
    this.detail?.draw();
  }

  drawSpark() {
    this.detail?.drawChart();
    const series = this.service.meter.made;
    if (this.visible && series) this.spark.draw(sum(series.received_bytes, series.sent_bytes));
  }

  open(wanted) {
    if (wanted === Boolean(this.detail)) return;
    if (wanted) {
      this.detail = new ServiceDetail(this.service, this.table);
      this.detailRow = make("tr", { class: "detail", id: this.id }, make("td", { colspan: "7" }, this.detail.node));
      this.node.after(this.detailRow);
      this.table.history.add(this.service);
    } else {
      this.detailRow.remove();
      this.detail = null;
    }
    setAttribute(this.toggle, "aria-expanded", String(wanted));
    setAttribute(this.toggle, "aria-controls", wanted ? this.id : null);
    this.node.classList.toggle("opened", wanted);
    this.detail?.draw();
    this.detail?.drawChart();
  }
}

export class ServicesTable {
  constructor(model) {
    this.model = model;
    this.rows = new Map();
    this.sort = "";
    this.reverse = false;
    this.state = "";
    this.body = byId("services-body");
    this.filter = byId("services-filter");
    this.empty = byId("services-empty");
    this.chips = [...document.querySelectorAll("#services-states button")];
    this.heads = [...document.querySelectorAll("#services-table th[data-sort]")];
    this.pointer = false;
    this.history = new HistoryQueue(service => this.rows.get(service.data.name)?.wanted, service => this.rows.get(service.data.name)?.drawSpark());
    this.observer = new IntersectionObserver(entries => {
      for (const entry of entries) {
        const { row } = entry.target;
        row.visible = entry.isIntersecting;
        if (!row.visible) continue;
        this.history.add(row.service);
        row.drawSpark();
      }
    }, { rootMargin: "100px" });
    this.arrangeLater = () => this.arrange();
    this.filter.addEventListener("input", () => draw(this.arrangeLater));
    this.body.addEventListener("pointerenter", () => { this.pointer = true; });
    this.body.addEventListener("pointerleave", () => { this.pointer = false; });
    for (const chip of this.chips) chip.addEventListener("click", () => this.show(chip.dataset.of));
    for (const head of this.heads) head.querySelector("button").addEventListener("click", () => this.sortBy(head.dataset.sort));
    this.sortBy("state");
  }

  show(state) {
    this.state = state;
    for (const chip of this.chips) setAttribute(chip, "aria-pressed", String(chip.dataset.of === state));
    draw(this.arrangeLater);
  }

  sortBy(key) {
    this.reverse = this.sort === key ? !this.reverse : false;
    this.sort = key;
    const rising = kRising.has(key) !== this.reverse;
    for (const head of this.heads) setAttribute(head, "aria-sort", head.dataset.sort !== key ? null : rising ? "ascending" : "descending");
    draw(this.arrangeLater);
  }

  // fresh: there are services that were not there before.
  take({ changed, gone, fresh }) {
    for (const name of gone) {
      const row = this.rows.get(name);
      if (!row) continue;
      row.open(false);
      this.observer.unobserve(row.node);
      row.node.remove();
      this.rows.delete(name);
    }
    for (const service of changed) this.rows.get(service.data.name)?.draw();
    this.drawCounts();
    // Rows do not move away from under the hand.
    if (fresh || gone.length || (!this.pointer && !this.body.contains(document.activeElement))) this.arrange();
  }

  // After the connection was gone.
  refill() {
    for (const row of this.rows.values()) if (row.visible || row.detail) this.history.add(row.service);
  }

  // The charts went on by a step.
  tick() {
    for (const row of this.rows.values()) {
      row.drawSpark();
      row.detail?.draw();
    }
  }

  drawCounts() {
    const counts = this.model.counted();
    for (const chip of this.chips)
      setText(chip.lastElementChild, count(chip.dataset.of ? counts[chip.dataset.of] ?? 0 : this.model.services.size));
  }

  arrange() {
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const compare = kSorts[this.sort];
    const sign = this.reverse ? -1 : 1;
    const shown = [...this.model.services.values()]
      .filter(service => (!this.state || service.data.state === this.state) && words.every(word => service.words.includes(word)))
      .sort((a, b) => sign * (compare(a, b) || byName(a, b)));
    const nodes = [];
    for (const service of shown.slice(0, kMostRows)) {
      const row = this.row(service);
      nodes.push(row.node);
      if (row.detail) nodes.push(row.detailRow);
    }
    setChildren(this.body, nodes);
    let text = "";
    if (shown.length > kMostRows) text = `${count(shown.length - kMostRows)} more are not shown: narrow it down with the filter.`;
    else if (!shown.length) text = this.model.services.size ? "No service matches." : "There are no services. A file in conf.d/ makes one.";
    setText(this.empty, text);
    setHidden(this.empty, !text);
  }

  // Made when it is first shown.
  row(service) {
    let row = this.rows.get(service.data.name);
    if (!row || row.service !== service) {
      row = new Row(this, service);
      this.rows.set(service.data.name, row);
      this.observer.observe(row.node);
      row.draw();
    }
    return row;
  }

  // When buttons come or go, opened rows are made again.
  accessChanged() {
    for (const row of this.rows.values()) {
      if (!row.detail) continue;
      row.open(false);
      row.open(true);
    }
  }
}
