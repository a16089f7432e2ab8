// The last reload with its faults, a look at what a reload would do, the reload itself, and the log's level.
import { byId, make, say, setChildren, setHidden, setText } from "./dom.js";
import { count, moment, names, place, plural } from "./format.js";
import { hasToken, request } from "./api.js";

const kResults = {
  ok: "taken up as it is written",
  partial: "taken up; services with a fault stay as they were, or are left out",
  refused: "gateway.yaml has a fault and was not taken up; services were",
};
const kBy = { start: "at the start", sighup: "after SIGHUP", files: "as a file changed", command: "by command" };

function makeFault(fault) {
  const at = place(fault) + (fault.line && fault.column ? `:${fault.column}` : "");
  return make("li", { class: `fault ${fault.severity === "error" ? "bad" : "warn"}` },
    make("div", {}, make("strong", {}, fault.severity), " ", make("span", { class: "mono" }, at), " ", fault.message),
    fault.excerpt ? make("pre", {}, fault.excerpt) : null);
}

function makeChanges(report) {
  const listeners = report.listeners ?? {};
  const rows = [
    ["added", report.added], ["changed", report.changed], ["removed", report.removed], ["kept as it was, for its fault", report.kept],
    ["listeners opened", listeners.opened], ["listeners closed", listeners.closed], ["listeners that could not be opened", listeners.failed],
  ].filter(([, list]) => list?.length);
  const out = rows.map(([what, list]) => make("div", {}, make("dt", {}, what), make("dd", { title: list.join(", ") }, names(list, 12))));
  if (report.certificates) out.push(make("div", {}, make("dt", {}, "certificates"), make("dd", {}, `${plural(report.certificates, "context")} made anew`)));
  if (!out.length) out.push(make("div", {}, make("dd", { class: "muted" }, "no changes")));
  return make("dl", { class: "changes" }, ...out);
}

export class Configuration {
  constructor(model) {
    this.model = model;
    this.drawn = "";
    this.faults = 0;  // that are shown
    this.preview = byId("reload-preview");
    byId("reload-look").addEventListener("click", () => this.look());
    byId("log-level").addEventListener("change", event => {
      const level = event.target.value;
      request("PUT", "log-level", { body: { level } }).then(() => say(`The log's level is ${level}`), error => {
        say(error.message, "error");
        event.target.value = this.model.status?.log?.level ?? "info";
      });
    });
    this.accessChanged();
  }

  draw() {
    const { status } = this.model;
    if (!status) return;
    const level = status.log?.level ?? "";
    setText(byId("log-level-text"), level);
    const select = byId("log-level");
    if (document.activeElement !== select && select.value !== level) select.value = level;
    setText(byId("log-dropped"), status.log?.dropped ? `${plural(status.log.dropped, "line")} could not be written` : "");
    setText(byId("config-folder"), status.config);
    const { last, count: times = 0, refused = 0 } = status.reload ?? {};
    setText(byId("reload-count"), `${plural(times, "reload")} since the start${refused ? `, ${count(refused)} refused` : ""}`);
    const left = this.model.leftOut;
    const text = JSON.stringify([last, left]);
    if (text === this.drawn) return;
    this.drawn = text;
    const box = byId("reload-last");
    // What the reload says of a service that is left out, the list of those says too; it lasts, and is there after the start.
    const known = new Set(left.map(one => one.name));
    const faults = [...left.flatMap(one => one.faults ?? []), ...(last?.faults ?? []).filter(fault => !known.has(fault.service) || fault.severity !== "error")];
    setChildren(box, [
      !last && make("p", { class: "muted" }, "None since the start."),
      last && make("p", { class: `result ${last.result}` }, make("strong", {}, last.result), ` ${kResults[last.result] ?? ""}`),
      last && make("p", { class: "muted" }, `${moment(last.time)}, ${kBy[last.by] ?? last.by}, in ${Math.round((last.seconds ?? 0) * 1000)} ms`),
      last && makeChanges(last),
      left.length > 0 && make("p", {}, make("strong", {}, "Left out: "), left.map(one => one.name).join(", ")),
      faults.length > 0 && make("h3", {}, plural(faults.length, "fault")),
      faults.length > 0 && make("ul", { class: "faults" }, ...faults.slice(0, 200).map(makeFault)),
      faults.length > 200 && make("p", { class: "muted" }, `and ${count(faults.length - 200)} more: sallyport check tells all`),
    ].filter(Boolean));
    this.faults = faults.length;
  }

  look() {
    this.show([make("p", { class: "muted" }, "Reading the files…")]);
    request("POST", "reload?dry_run=true").then(report => {
      const go = hasToken() && make("button", { type: "button", class: "main", id: "reload-go", onclick: event => this.reload(event.target) }, "Reload now");
      this.show([
        make("h3", {}, "A reload would be: ", make("span", { class: `result ${report.result}` }, report.result)),
        makeChanges(report),
        report.faults?.length ? make("ul", { class: "faults" }, ...report.faults.map(makeFault)) : null,
        make("div", { class: "buttons" }, go || null, make("button", { type: "button", onclick: () => this.show([]) }, go ? "Not now" : "Close")),
      ].filter(Boolean));
    }, error => {
      this.show([]);
      say(error.message, "error");
    });
  }

  reload(button) {
    button.disabled = true;
    request("POST", "reload").then(report => {
      this.show([]);
      say(`Reloaded: ${report.result}`, report.result === "refused" ? "error" : "note");
    }, error => {
      button.disabled = false;
      say(error.message, "error");
    });
  }

  show(nodes) {
    setChildren(this.preview, nodes);
    setHidden(this.preview, nodes.length === 0);
  }

  accessChanged() {
    setHidden(byId("log-level"), !hasToken());
    setHidden(byId("log-level-text"), hasToken());
    this.show([]);
  }
}
