// Read-only, or not: the token, kept in this tab alone, and the theme.
import { byId, say, setAttribute, setHidden, setText } from "./dom.js";
import { get, hasToken, setToken } from "./api.js";

export class Access {
  // changed(): buttons are to come or go.
  constructor(changed) {
    this.changed = changed;
    this.dialog = byId("token-dialog");
    this.input = byId("token-input");
    byId("access").addEventListener("click", () => this.open());
    byId("token-form").addEventListener("submit", event => {
      event.preventDefault();
      this.give(this.input.value.trim());
    });
    byId("token-forget").addEventListener("click", () => {
      setToken("");
      this.dialog.close();
      this.draw();
      changed();
    });
    byId("token-cancel").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => { this.input.value = ""; });
    this.draw();
  }

  open(why = "") {
    this.tell(why);
    setHidden(byId("token-forget"), !hasToken());
    if (!this.dialog.open) this.dialog.showModal();
    this.input.focus();
  }

  // The gateway is asked before the token is believed.
  async give(token) {
    if (!token) return;
    try {
      await get("status", { bearer: token });
    } catch (error) {
      this.tell(error.message);
      return;
    }
    setToken(token);
    this.dialog.close();
    this.draw();
    say("What can be changed has buttons now");
    this.changed();
  }

  tell(text) {
    setText(byId("token-error"), text);
    setHidden(byId("token-error"), !text);
  }

  draw() {
    setText(byId("access-text"), hasToken() ? "May change" : "Read only");
    setAttribute(byId("access"), "data-on", hasToken() ? "" : null);
  }
}

export function startTheme() {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const button = byId("theme");
  const is = () => root.dataset.theme ?? (dark.matches ? "dark" : "light");
  const draw = () => setAttribute(button, "aria-label", is() === "dark" ? "Light theme" : "Dark theme");
  button.addEventListener("click", () => {
    const wanted = is() === "dark" ? "light" : "dark";
    const system = (dark.matches ? "dark" : "light") === wanted;
    if (system) delete root.dataset.theme;
    else root.dataset.theme = wanted;
    try {
      if (system) localStorage.removeItem("sallyport-theme");
      else localStorage.setItem("sallyport-theme", wanted);
    } catch {
      // Not kept, then.
    }
    draw();
  });
  dark.addEventListener("change", draw);
  draw();
}
