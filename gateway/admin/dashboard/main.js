// Puts the parts together: events come in, what they change is drawn once a frame.
import { announce, byId, draw, make, setAttribute, setChildren, setHidden, setText } from "./dom.js";
import { clock, count, names } from "./format.js";
import { hasToken, Live } from "./api.js";
import { Model } from "./model.js";
import { Header } from "./header.js";
import { ServicesTable } from "./services.js";
import { Sessions } from "./sessions.js";
import { Certificates, Listeners } from "./certificates.js";
import { Configuration } from "./configuration.js";
import { Explain } from "./explain.js";
import { Access, startTheme } from "./access.js";
import { Tabs } from "./tabs.js";

const model = new Model();
const table = new ServicesTable(model);
const sessions = new Sessions();
const certificates = new Certificates();
const listeners = new Listeners(model);
const configuration = new Configuration(model);

const tabs = new Tabs(name => {
  sessions.show(name === "sessions");
  if (name === "sessions") setChildren(byId("service-names"), [...model.services.keys()].sort().slice(0, 1000).map(value => make("option", { value })));
  if (name === "certificates") certificates.show();
});
const header = new Header(model, (tab, state) => {
  tabs.show(tab);
  if (tab === "services") table.show(state ?? "");
});
new Explain(name => tabs.show(name));

const access = new Access(() => {
  table.accessChanged();
  sessions.accessChanged();
  configuration.accessChanged();
  live.restart();
});

let last = 0;
let wasLost = false;
let changes = { changed: new Set(), gone: new Set(), fresh: false };

function drawServices() {
  const now = changes;
  changes = { changed: new Set(), gone: new Set(), fresh: false };
  table.take({ changed: [...now.changed].filter(service => model.services.get(service.data.name) === service), gone: [...now.gone], fresh: now.fresh });
}

function drawStatus() {
  const { status } = model;
  header.draw();
  listeners.draw();
  configuration.draw();
  table.tick();
  setText(byId("tab-services-count"), status.services ? count(status.services.total) : "");
  setText(byId("tab-sessions-count"), count(status.sessions));
  setText(byId("tab-certificates-count"), status.certificates ? count(status.certificates.total) : "");
  const { faults } = configuration;
  setText(byId("tab-configuration-count"), faults ? count(faults) : "");
  setAttribute(byId("tab-configuration-count"), "data-bad", faults ? "" : null);
}

let leftOut = 0;

function lookAtLeftOut() {
  model.fetchLeftOut().then(() => draw(drawStatus), () => {});
}

const handlers = {
  status(status) {
    model.takeStatus(status);
    draw(drawStatus);
    const now = status.services?.left_out ?? 0;
    if (now !== leftOut) lookAtLeftOut();
    leftOut = now;
  },
  services(message) {
    const out = model.takeServices(message);
    for (const name of out.gone) changes.gone.add(name);
    for (const service of out.changed) changes.changed.add(service);
    changes.fresh ||= out.fresh;
    draw(drawServices);
    if (out.down.length) announce(`${names(out.down)} down`);
    else if (out.up.length) announce(`${names(out.up)} up again`);
  },
  reload(report) {
    if (model.status?.reload) model.status.reload.last = report;
    draw(drawStatus);
    certificates.show(true);
    lookAtLeftOut();
    announce(`The configuration was reloaded: ${report.result}`);
  },
};

function showConnection(state, detail) {
  const lost = state === "lost" || (state === "connecting" && wasLost);
  setAttribute(document.body, "data-connection", state);
  const words = { live: "Live", connecting: wasLost ? "Connecting again" : "Connecting", lost: "Connection lost", paused: "Paused", locked: "Token needed" };
  setText(byId("connection-text"), words[state]);
  setAttribute(byId("connection"), "data-state", state);
  if (state === "lost") {
    if (!wasLost) announce("The connection to the gateway is lost");
    wasLost = true;
    const seen = last ? ` What you see is of ${clock(last)}.` : "";
    setText(byId("lost-text"), `Connection lost: ${detail}.${seen} Trying again by itself.`);
  }
  setHidden(byId("lost"), !lost);
}

const live = new Live({
  event(name, object) {
    last = Date.now();
    handlers[name]?.(object);
  },
  state(state, detail) {
    if (state === "live") {
      if (wasLost) announce("Connected again");
      wasLost = false;
      model.connected();
      model.fetchHistory().then(() => {
        table.refill();
        if (model.status) draw(drawStatus);
      }, () => {});
    }
    showConnection(state, detail);
    if (state === "locked") access.open(hasToken() ? detail || "The gateway does not take this token." : "This gateway shows nothing without its token.");
  },
});

byId("lost-retry").addEventListener("click", () => live.restart());
startTheme();
tabs.start();
live.restart();
