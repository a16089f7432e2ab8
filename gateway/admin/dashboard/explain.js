// "What would happen to this?": the search box at the top asks the gateway.
import { byId, make, setChildren } from "./dom.js";
import { place } from "./format.js";
import { get, query } from "./api.js";

const kOutcomes = {
  server: "goes to a server", redirect: "is redirected", status: "is answered", closed: "is closed", tls_alert: "is refused in the TLS handshake",
};

export class Explain {
  constructor(goTo) {
    this.goTo = goTo;
    this.box = byId("explain-result");
    this.target = byId("explain-target");
    this.from = byId("explain-from");
    byId("explain-form").addEventListener("submit", event => {
      event.preventDefault();
      this.ask(this.target.value.trim());
    });
    byId("explain-from-form").addEventListener("submit", event => {
      event.preventDefault();
      this.ask(this.target.value.trim());
    });
  }

  async ask(target) {
    if (!target) return;
    this.goTo("explain");
    this.asked = target;
    setChildren(this.box, [make("p", { class: "muted" }, "Asking…")]);
    try {
      const answer = await get(query("explain", { target, from: this.from.value.trim() }));
      if (this.asked === target) this.draw(answer);
    } catch (error) {
      if (this.asked === target) setChildren(this.box, [make("p", { class: "bad" }, error.message)]);
    }
  }

  draw(answer) {
    const good = answer.outcome === "server" || answer.outcome === "redirect";
    const facts = [["Service", answer.service], ["File", place(answer)], ["Listener", answer.listener], ["Protocol", answer.protocol],
      ["Layer", answer.layer], ["Certificate", answer.certificate]].filter(([, value]) => value);
    setChildren(this.box, [
      make("h3", { class: good ? "good" : "bad" }, make("span", { class: "mono" }, answer.target), ` ${kOutcomes[answer.outcome] ?? answer.outcome}`,
        answer.status ? ` with ${answer.status}` : null),
      answer.why ? make("p", {}, answer.why) : null,
      make("ol", { class: "steps" }, ...(answer.steps ?? []).map(step => make("li", {},
        make("span", { class: "tag" }, step.what), " ", step.text, step.file ? make("span", { class: "mono muted" }, ` ${place(step)}`) : null))),
      facts.length ? make("dl", { class: "facts" }, ...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)))) : null,
      answer.servers?.length ? make("h4", {}, "Servers") : null,
      answer.servers?.length ? make("ul", { class: "plain" }, ...answer.servers.map(server => make("li", {},
        make("span", { class: server.takes ? "good" : "bad" }, server.takes ? "may get it" : "does not"), " ",
        make("span", { class: "mono" }, server.server), server.why ? ` ${server.why}` : null))) : null,
      answer.others?.length ? make("h4", {}, "Why not another service") : null,
      answer.others?.length ? make("ul", { class: "plain" }, ...answer.others.map(other => make("li", {}, make("strong", {}, other.service), ` ${other.why}`))) : null,
    ].filter(Boolean));
  }
}
