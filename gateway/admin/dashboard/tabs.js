// The parts of the page, one shown at a time; which one stands in the address.
import { byId, setAttribute, setHidden } from "./dom.js";

export class Tabs {
  // shown(name): another one came to be seen.
  constructor(shown) {
    this.shown = shown;
    this.tabs = [...document.querySelectorAll("[role=tab]")];
    this.name = "";
    for (const tab of this.tabs) {
      tab.addEventListener("click", () => this.show(tab.dataset.tab));
      tab.addEventListener("keydown", event => this.key(event));
    }
    window.addEventListener("hashchange", () => this.show(location.hash.slice(1)));
  }

  start() {
    this.show(location.hash.slice(1)) || this.show(this.tabs[0].dataset.tab);
  }

  show(name) {
    if (!this.tabs.some(tab => tab.dataset.tab === name)) return false;
    if (name === this.name) return true;
    this.name = name;
    for (const tab of this.tabs) {
      const chosen = tab.dataset.tab === name;
      setAttribute(tab, "aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      setHidden(byId(`panel-${tab.dataset.tab}`), !chosen);
    }
    if (location.hash.slice(1) !== name) history.replaceState(null, "", `#${name}`);
    this.shown(name);
    return true;
  }

  key(event) {
    const at = this.tabs.indexOf(event.currentTarget);
    const last = this.tabs.length - 1;
    const next = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at === 0 ? last : at - 1, Home: 0, End: last }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    this.tabs[next].focus();
    this.show(this.tabs[next].dataset.tab);
  }
}
