// Numbers, amounts and times, for people.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const count = n => whole.format(n ?? 0);

export function rate(n) {
  if (!n || n < 0) return "0";
  if (n < 0.05) return "<0.1";
  if (n < 100) return n.toFixed(1);
  if (n < 100000) return whole.format(n);
  return `${(n / 1000).toFixed(0)}k`;
}

export function bytes(n) {
  let value = n ?? 0;
  for (const unit of ["B", "kB", "MB", "GB", "TB"]) {
    if (value < 999.5 || unit === "TB") return `${unit === "B" || value >= 99.95 ? value.toFixed(0) : value.toFixed(1)} ${unit}`;
    value /= 1000;
  }
  return "";
}

export const byteRate = n => `${bytes(n)}/s`;

export function duration(seconds) {
  const s = Math.max(0, Math.floor(seconds ?? 0));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  const [big, small, unit, part] = s < 86400 ? [Math.floor(s / 3600), Math.floor(s / 60) % 60, "h", "min"] : [Math.floor(s / 86400), Math.floor(s / 3600) % 24, "d", "h"];
  return small ? `${big} ${unit} ${small} ${part}` : `${big} ${unit}`;
}

const two = n => String(n).padStart(2, "0");

export function clock(ms) {
  const at = new Date(ms);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

export function date(ms) {
  const at = new Date(ms);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

export const moment = ms => `${date(ms)} ${clock(ms)}`;

// names(["a","b","c"], 2): "a, b and 1 more". others: how many more there are that are not in the list.
export function names(list, most = 4, others = 0) {
  const rest = Math.max(0, list.length - most) + others;
  return list.slice(0, most).join(", ") + (rest ? ` and ${whole.format(rest)} more` : "");
}

export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

export const place = thing => thing.file ? (thing.line ? `${thing.file}:${thing.line}` : thing.file) : "";
