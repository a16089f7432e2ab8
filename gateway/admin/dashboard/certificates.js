// Certificates with the days they have left, the shortest first; and the listeners.
import { byId, make, makeState, setChildren, setHidden, setText } from "./dom.js";
import { count, date, names } from "./format.js";
import { get } from "./api.js";

export class Certificates {
  constructor() {
    this.body = byId("certificates-body");
    this.asked = 0;
  }

  // At most once a minute, unless there is a reason.
  async show(again = false) {
    if (!again && Date.now() - this.asked < 60000) return;
    this.asked = Date.now();
    try {
      const { certificates, problems = [] } = await get("certificates");
      certificates.sort((a, b) => a.not_after - b.not_after);
      setChildren(this.body, certificates.map(one => this.row(one)));
      setChildren(byId("certificates-problems"), problems.map(one => make("li", { class: "fault warn" }, make("span", { class: "mono" }, one.file), ` ${one.message}`)));
      this.tell(certificates.length ? "" : "There are no certificates.");
    } catch (error) {
      this.asked = 0;
      this.tell(error.message);
    }
  }

  row(one) {
    const level = one.days_left < 7 ? "bad" : one.days_left <= 14 ? "warn" : "";
    const left = one.days_left < 0 ? `expired ${count(-one.days_left)} d ago` : `${count(one.days_left)} d`;
    return make("tr", {},
      make("td", { class: "mono" }, one.file, one.default ? " " : null, one.default ? make("span", { class: "tag" }, "default") : null),
      make("td", { title: (one.names ?? []).join(", ") }, names(one.names ?? [], 3)),
      make("td", { class: `number days ${level}` }, left),
      make("td", { class: "wide" }, date(one.not_after)),
      make("td", { class: "wide" }, one.issuer ?? ""),
      make("td", { class: "wide" }, one.key ?? ""),
      make("td", { title: (one.services ?? []).join(", ") }, names(one.services ?? [], 3, one.more_services)));
  }

  tell(text) {
    setText(byId("certificates-note"), text);
    setHidden(byId("certificates-note"), !text);
  }
}

export class Listeners {
  constructor(model) {
    this.model = model;
    this.drawn = "";
  }

  draw() {
    const listeners = this.model.status?.listeners ?? [];
    const text = JSON.stringify(listeners);
    if (text === this.drawn) return;
    this.drawn = text;
    setChildren(byId("listeners-body"), listeners.map(listener => make("tr", {},
      make("td", {}, listener.name),
      make("td", {}, ...(listener.binds ?? []).map(bind => make("div", { class: "bind" }, make("span", { class: "mono" }, bind.address), " ", makeState(bind.state),
        bind.error ? make("span", { class: "reason" }, ` ${bind.error}`) : null))),
      make("td", { class: "number" }, count(listener.sessions)))));
  }
}
