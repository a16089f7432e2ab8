// Before the first paint, so that a chosen theme does not flash. No module: those run after the page was read.
"use strict";
try {
  const chosen = localStorage.getItem("sallyport-theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is off: the system's theme it is.
}
