// Five minutes in small: series of steps of two seconds, drawn as SVG, so that colours follow the theme.
import { makeSvg, setAttribute, setText, make } from "./dom.js";
import { clock } from "./format.js";

export const kSteps = 150;
export const kStepSeconds = 2;

// The last steps, newest at the end; what nobody knows is null.
export class Series {
  constructor() {
    this.values = new Array(kSteps).fill(null);
  }
  push(value) {
    this.values.shift();
    this.values.push(value);
  }
  // What the gateway remembers: amounts per step, which become rates. Steps seen here already stay.
  fill(amounts, stepSeconds) {
    const rates = amounts.slice(-kSteps).map(amount => amount / stepSeconds);
    const old = new Array(kSteps - rates.length).fill(null);
    this.values = old.concat(rates);
  }
  get last() {
    return this.values[kSteps - 1] ?? 0;
  }
  get most() {
    let most = 0;
    for (const value of this.values) if (value > most) most = value;
    return most;
  }
}

export function sum(a, b) {
  return a.values.map((value, i) => (value === null && b.values[i] === null ? null : (value ?? 0) + (b.values[i] ?? 0)));
}

// A line, and the same closed to the ground for its area.
function paths(values, width, height, most) {
  const scale = most > 0 ? (height - 2) / most : 0;
  const step = width / (values.length - 1);
  let line = "";
  let area = "";
  let start = -1;
  for (let i = 0; i <= values.length; ++i) {
    const value = i < values.length ? values[i] : null;
    if (value === null || value === undefined) {
      if (start >= 0) area += `L${((i - 1) * step).toFixed(1)} ${height}L${(start * step).toFixed(1)} ${height}Z`;
      start = -1;
      continue;
    }
    const point = `${start < 0 ? "M" : "L"}${(i * step).toFixed(1)} ${(height - 1 - value * scale).toFixed(1)}`;
    if (start < 0) start = i;
    line += point;
    area += point;
  }
  return { line, area };
}

// A few pixels of traffic.
export class Sparkline {
  constructor() {
    this.path = makeSvg("path", { class: "area" });
    this.node = makeSvg("svg", { class: "spark", viewBox: "0 0 80 18", preserveAspectRatio: "none", "aria-hidden": "true" }, this.path);
    this.drawn = "";
  }
  draw(values) {
    let most = 0;
    for (const value of values) if (value > most) most = value;
    const text = most > 0 ? paths(values, 80, 18, most).area : "";
    if (text === this.drawn) return;
    this.drawn = text;
    this.path.setAttribute("d", text);
  }
}

// A chart with a title, what it is now, and what it was under the pointer.
// lines: [{ name, series, kind }], kind one of plain, bad, second.
export class Chart {
  constructor(title, format, lines) {
    this.title = title;
    this.format = format;
    this.lines = lines.map(line => ({ ...line, area: makeSvg("path", { class: `area ${line.kind}` }), stroke: makeSvg("path", { class: `line ${line.kind}` }) }));
    this.hand = makeSvg("path", { class: "hand" });
    this.svg = makeSvg("svg", { class: "chart", viewBox: "0 0 300 56", preserveAspectRatio: "none", role: "img" },
      makeSvg("path", { class: "grid", d: "M0 .5H300M0 28H300M0 55.5H300" }),
      ...this.lines.flatMap(line => [line.area, line.stroke]), this.hand);
    this.now = make("div", { class: "now" }, ...this.lines.map(line => make("span", {},
      line.name ? make("small", { class: line.kind }, line.name) : null, make("span"))));
    this.note = make("span", { class: "most" });
    this.node = make("div", { class: "tile" }, make("div", { class: "tile-head" }, make("span", { class: "tile-title" }, title), this.note),
      this.now, this.svg);
    this.end = 0;
    this.at = -1;
    this.svg.addEventListener("pointermove", event => {
      const box = this.svg.getBoundingClientRect();
      this.at = Math.max(0, Math.min(kSteps - 1, Math.round((event.clientX - box.left) / box.width * (kSteps - 1))));
      this.tell();
    });
    this.svg.addEventListener("pointerleave", () => {
      this.at = -1;
      this.tell();
    });
  }

  // now: what stands large, a number for each line; by itself what the lines are at.
  draw(end, now = this.lines.map(line => line.series.last)) {
    this.end = end;
    const most = Math.max(...this.lines.map(line => line.series.most));
    for (const line of this.lines) {
      const drawn = paths(line.series.values, 300, 56, most);
      setAttribute(line.area, "d", drawn.area);
      setAttribute(line.stroke, "d", drawn.line);
    }
    this.most = most;
    const words = now.map(this.format);
    words.forEach((word, i) => setText(this.now.children[i].lastChild, word));
    const told = words.map((word, i) => (this.lines[i].name ? `${this.lines[i].name} ${word}` : word)).join(", ");
    setAttribute(this.svg, "aria-label", `${this.title}, the last five minutes: now ${told}, at most ${this.format(most)}`);
    this.tell();
  }

  tell() {
    if (this.at < 0) {
      setText(this.note, `most ${this.format(this.most ?? 0)}`);
      setAttribute(this.hand, "d", "");
      return;
    }
    const values = this.lines.map(line => this.format(line.series.values[this.at] ?? 0)).join(" / ");
    setText(this.note, `${clock(this.end - (kSteps - 1 - this.at) * kStepSeconds * 1000)}  ${values}`);
    const x = (this.at / (kSteps - 1) * 300).toFixed(1);
    setAttribute(this.hand, "d", `M${x} 0V56`);
  }
}
