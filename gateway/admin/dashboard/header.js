// The head of the page: state, a few figures with five minutes of them, and what needs somebody.
import { byId, make, setHidden, setState, setText, setChildren, makeState } from "./dom.js";
import { Chart } from "./charts.js";
import { byteRate, count, duration, moment, names, plural, rate } from "./format.js";

export class Header {
  constructor(model, goTo) {
    this.model = model;
    this.goTo = goTo;
    this.state = makeState("starting");
    byId("gateway-state").append(this.state);
    this.drawn = "";
    this.build();
  }

  build() {
    const { series } = this.model.meter;
    this.meter = this.model.meter;
    this.charts = [
      new Chart("Requests/s", rate, [{ series: series.requests, kind: "plain" }]),
      new Chart("Errors/s", rate, [{ series: series.errors, kind: "bad" }]),
      new Chart("Traffic", byteRate, [{ name: "in", series: series.received_bytes, kind: "second" }, { name: "out", series: series.sent_bytes, kind: "plain" }]),
      new Chart("New connections/s", rate, [{ series: series.connections, kind: "plain" }]),
    ];
    setChildren(byId("tiles"), this.charts.map(chart => chart.node));
  }

  draw() {
    const { status } = this.model;
    if (!status) return;
    if (this.meter !== this.model.meter) this.build();  // another run of the gateway
    setState(this.state, status.state);
    const rates = status.rates ?? {};
    setText(byId("version"), status.version);
    setText(byId("uptime"), `up ${duration((status.now - status.started) / 1000)}`);
    byId("uptime").title = `since ${moment(status.started)}, process ${status.pid}, ${plural(status.workers, "worker")}, ${status.config}`;
    setText(byId("sessions-now"), status.max_connections ? `${count(status.sessions)} of ${count(status.max_connections)} sessions` : `${count(status.sessions)} sessions`);
    const [requests, errors, traffic, connections] = this.charts;
    requests.draw(status.now, [rates.requests]);
    errors.draw(status.now, [rates.errors]);
    traffic.draw(status.now, [rates.received_bytes, rates.sent_bytes]);
    connections.draw(status.now, [rates.connections]);
    this.drawAttention();
  }

  // [{ level, text, tab }], the worst first.
  attention() {
    const { model } = this;
    const { status } = model;
    const out = [];
    const add = (level, text, tab, then) => out.push({ level, text, tab, then });
    if (status.state === "draining") add("warn", "The gateway is stopping: it takes no new connections.", "listeners");
    const down = model.named("down");
    if (down.length) add("bad", `${plural(down.length, "service")} down: ${names(down)}`, "services", "down");
    for (const listener of status.listeners ?? [])
      for (const bind of listener.binds ?? [])
        if (bind.state === "failed") add("bad", `Listener ${listener.name} is not open on ${bind.address}${bind.error ? `: ${bind.error}` : ""}`, "listeners");
    const last = status.reload?.last;
    if (last?.result === "refused") add("bad", "gateway.yaml has a fault: what was before it is in use", "configuration");
    const left = model.leftOut.map(one => one.name);
    if (left.length) add("bad", `${plural(left.length, "service")} left out by a fault: ${names(left)}`, "configuration");
    if (last?.kept?.length) add("warn", `${plural(last.kept.length, "service")} with a fault, going on as before: ${names(last.kept)}`, "configuration");
    const degraded = model.named("degraded");
    if (degraded.length) add("warn", `${plural(degraded.length, "service")} with a server down: ${names(degraded)}`, "services", "degraded");
    const expiring = status.certificates?.expiring ?? 0;
    if (expiring) add("warn", `${plural(expiring, "certificate")} will soon expire, or did`, "certificates");
    if (status.log?.dropped) add("warn", `${plural(status.log.dropped, "log line")} could not be written`, "configuration");
    return out;
  }

  drawAttention() {
    const items = this.attention();
    const text = JSON.stringify(items);
    if (text === this.drawn) return;
    this.drawn = text;
    const list = byId("attention-list");
    setChildren(list, items.map(item => make("li", { class: item.level },
      make("button", { type: "button", onclick: () => this.goTo(item.tab, item.then) }, make("i", { "aria-hidden": "true" }), item.text))));
    setHidden(byId("attention"), items.length === 0);
    const bad = items.filter(item => item.level === "bad").length;
    document.title = bad ? `(${bad}) sallyport` : "sallyport";
  }
}
