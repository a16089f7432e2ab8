// What makes and changes elements. Text from the API is hostile: it goes in as text nodes and attribute values, never as markup.

const kSvg = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.setAttribute("class", value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter(child => child !== null && child !== undefined && child !== false));
  return node;
}

// make("button", {class: "small", onclick: f}, "text", node…)
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function makeSvg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(kSvg, tag), attributes, children);
}

export const byId = id => document.getElementById(id);

// Each touches the page only where something is different: most of what arrives says what is shown already.
export function setText(node, text) {
  const wanted = String(text ?? "");
  if (node.textContent !== wanted) node.textContent = wanted;
}

export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) {
    node.setAttribute(name, value);
  }
}

export function setHidden(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

// The children become these, in this order; those that stand right are not moved, so that they keep their focus.
export function setChildren(parent, wanted) {
  const keep = new Set(wanted);
  for (const child of [...parent.children]) if (!keep.has(child)) child.remove();
  let at = parent.firstElementChild;
  for (const node of wanted) {
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
  }
}

// Draws once a frame, however often it is asked for.
const waiting = new Set();
let frame = 0;

export function draw(job) {
  waiting.add(job);
  if (frame) return;
  frame = requestAnimationFrame(() => {
    frame = 0;
    const jobs = [...waiting];
    waiting.clear();
    for (const one of jobs) one();
  });
}

const kStates = {
  up: "up", down: "down", degraded: "degraded", none: "no servers", unchecked: "unchecked", unresolved: "no address",
  open: "open", failed: "failed", serving: "serving", starting: "starting", draining: "draining",
};

// A state has a colour, a shape, and its word.
export function makeState(state) {
  const node = make("span", { class: "state" }, make("i", { "aria-hidden": "true" }), make("span"));
  setState(node, state);
  return node;
}

export function setState(node, state) {
  setAttribute(node, "data-state", state);
  setText(node.lastChild, kStates[state] ?? state);
}

// The first click arms it, the second within four seconds does it.
export function makeCarefulButton(text, question, run, attributes = {}) {
  let timer = 0;
  const rest = () => {
    clearTimeout(timer);
    timer = 0;
    button.textContent = text;
    button.classList.remove("armed");
  };
  const button = make("button", {
    type: "button", class: "small", ...attributes,
    onclick: () => {
      if (timer) {
        rest();
        run(button);
        return;
      }
      button.textContent = question;
      button.classList.add("armed");
      timer = setTimeout(rest, 4000);
    },
  }, text);
  return button;
}

// Says something to those who listen instead of looking, and shows it for a while.
export function say(text, kind = "note") {
  const box = byId(kind === "error" ? "alert" : "note");
  box.textContent = text;
  box.dataset.shown = "";
  clearTimeout(box.timer);
  box.timer = setTimeout(() => {
    delete box.dataset.shown;
    box.textContent = "";
  }, kind === "error" ? 12000 : 6000);
}

// For screen readers alone: what changed by itself.
export function announce(text) {
  byId("announcer").textContent = text;
}
