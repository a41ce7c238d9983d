// Every page works without this file; it only adds convenience. It runs before the browser paints the page, so that the
// page never appears in the wrong theme first.
"use strict";

const root = document.documentElement;
const themeKey = "rollcall-theme";

function storedTheme() {
  try { return localStorage.getItem(themeKey); } catch { return null; }
}

if (["light", "dark"].includes(storedTheme())) root.dataset.theme = storedTheme();

function isDark() {
  return root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

// If the chosen theme is the theme of the operating system, the choice is deleted. From then on, the page follows the
// operating system again.
function switchTheme() {
  const want = isDark() ? "light" : "dark";
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  if (want === system) delete root.dataset.theme; else root.dataset.theme = want;
  try {
    if (want === system) localStorage.removeItem(themeKey); else localStorage.setItem(themeKey, want);
  } catch { /* the browser stores nothing: the choice holds only for this page */ }
}

async function copyFrom(button) {
  const source = document.getElementById(button.dataset.copy);
  const text = button.querySelector("[data-copy-text]");
  const before = text.textContent;
  try {
    if (navigator.clipboard) await navigator.clipboard.writeText(source.value);
    else { source.select(); if (!document.execCommand("copy")) throw new Error("refused"); }
    text.textContent = "Copied";
  } catch {
    source.focus();
    source.select();
    text.textContent = "Press Ctrl+C";
  }
  setTimeout(() => { text.textContent = before; }, 2500);
}

const shortTime = { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" };
const longTime = { year: "numeric", ...shortTime };

// The server writes times in UTC. localTimes converts them to the reader's time zone; UTC appears on hover.
function localTimes(scope) {
  for (const t of scope.querySelectorAll("time[data-clock]")) {
    const when = new Date(t.dateTime);
    if (Number.isNaN(when.getTime())) continue;
    t.textContent = when.toLocaleString(undefined, when.getFullYear() === new Date().getFullYear() ? shortTime : longTime);
  }
}

function prepare(scope) {
  for (const el of scope.querySelectorAll("[data-copy], [data-theme-switch], [data-choose-all]")) el.hidden = false;
  for (const el of scope.querySelectorAll("[data-by-script]")) el.disabled = false;
  for (const el of scope.querySelectorAll("[data-no-script]")) el.hidden = true;
  localTimes(scope);
  showLive(scope);
  followStream();
}

// The browser reloads a live list regularly. It does not do so while the list is paused, or while a row is open or has
// the focus.
let livePaused = false;

function liveWaits(list) {
  return livePaused || document.hidden || list.querySelector("details[open]") !== null || list.contains(document.activeElement);
}

document.addEventListener("htmx:before:request", (e) => {
  if (e.target instanceof Element && e.target.matches("[data-live]") && liveWaits(e.target)) e.preventDefault();
});

// A part with the attribute data-stream shows work that goes on. The server sends the part and the heading of the page each
// time they change, in one stream for the whole page. While nothing arrives, for example because a proxy holds the stream
// back, the part polls instead. A hidden page has no stream and does not poll: browsers open only six connections to a
// server over HTTP/1.1, and several tabs may show such a page.
const streamSilence = 25_000; // the server sends something every ten seconds
const streamRetry = 30_000;
let stream = null; // the EventSource, or null
let streamHeard = 0; // when the server sent something last
let streamLost = 0; // when the server last refused a stream

function closeStream() {
  if (stream) stream.close();
  stream = null;
  streamHeard = 0;
}

function followStream() {
  const part = document.querySelector("[data-stream]");
  if (!part || document.hidden || !window.EventSource || !window.htmx) return closeStream();
  const address = new URL(part.dataset.stream, location.href).href;
  if (stream && stream.url === address && stream.readyState !== EventSource.CLOSED) return;
  if (Date.now() - streamLost < streamRetry) return;
  closeStream();
  const source = new EventSource(address);
  stream = source;
  source.addEventListener("beat", () => { if (stream === source) streamHeard = Date.now(); });
  source.addEventListener("parts", (e) => {
    const shown = document.querySelector("[data-stream]");
    if (stream !== source || !shown) return;
    streamHeard = Date.now();
    htmx.swap({ text: e.data, sourceElement: shown, target: shown, select: `#${shown.id}`, selectOOB: shown.getAttribute("hx-select-oob"), swap: "outerMorph" });
  });
  source.addEventListener("error", () => {
    if (stream !== source) return;
    streamHeard = 0; // poll until the browser has opened the stream again
    if (source.readyState !== EventSource.CLOSED) return;
    streamLost = Date.now();
    closeStream();
  });
}

document.addEventListener("htmx:before:request", (e) => {
  if (!(e.target instanceof Element) || !e.target.matches("[data-stream]")) return;
  if (document.hidden || Date.now() - streamHeard < streamSilence) e.preventDefault();
});
document.addEventListener("visibilitychange", followStream);
addEventListener("pagehide", closeStream);
addEventListener("pageshow", (e) => { if (e.persisted) followStream(); });

// A switch is saved as soon as the user changes it. If turning it off needs a confirmation, the script sends the form
// around the switch instead. Without such a form, the switch stays on.
document.addEventListener("htmx:before:request", (e) => {
  const box = e.target;
  if (!(box instanceof HTMLInputElement) || !("instant" in box.dataset) || box.checked || !("asksOff" in box.dataset)) return;
  e.preventDefault();
  if (box.form) box.form.requestSubmit(); else box.checked = true;
});
document.addEventListener("htmx:after:request", (e) => {
  const box = e.target;
  if (!(box instanceof HTMLInputElement) || !("instant" in box.dataset)) return;
  const saved = e.detail?.ctx?.response?.status < 400;
  if (saved) box.defaultChecked = box.checked; else box.checked = box.defaultChecked;
  const status = box.closest(".tick")?.querySelector("[data-saved]");
  if (status) status.textContent = saved ? "Saved" : "Not saved";
});

function showLive(scope) {
  for (const bar of scope.querySelectorAll("[data-live-bar]")) {
    bar.hidden = false;
    bar.querySelector("[data-live-text]").textContent = livePaused ? "New calls wait." : "New calls appear by themselves, unless a row is open.";
    const button = bar.querySelector("[data-live-switch]");
    button.textContent = livePaused ? "Go on" : "Pause";
    button.setAttribute("aria-pressed", String(livePaused));
  }
}

document.addEventListener("DOMContentLoaded", () => prepare(document));
document.addEventListener("htmx:after:swap", () => prepare(document));

document.addEventListener("click", (e) => {
  if (!(e.target instanceof Element)) return;
  const copy = e.target.closest("[data-copy]");
  if (copy) copyFrom(copy);
  const once = document.querySelector("[data-shown-once]");
  if (once && copy && once.contains(copy)) delete once.dataset.shownOnce;
  else if (once && !once.contains(e.target) && e.target.closest("a[href]:not([href^='#'])") &&
    !confirm("The token is not copied yet, and it is shown only here. Leave the page all the same?")) e.preventDefault();
  if (e.target.closest("[data-theme-switch]")) switchTheme();
  if (e.target.closest("[data-live-switch]")) {
    livePaused = !livePaused;
    showLive(document);
    e.target.closest("[data-live-switch]").blur();
  }
  for (const open of document.querySelectorAll("details.who[open], details.drawer[open]")) {
    if (!open.contains(e.target)) open.open = false;
  }
});

document.addEventListener("keydown", (e) => {
  if (e.key !== "Escape") return;
  for (const open of document.querySelectorAll("details.who[open], details.drawer[open]")) {
    open.open = false;
    open.querySelector("summary").focus();
  }
});

// The browser asks before the user leaves a page with unsaved edits. Forms that edit stored values have the attribute
// data-edits; its value is "unsaved" if the server showed values that are not saved yet. Sending a form does not ask, and
// neither does a link with data-discard, because its text says that it discards the edits.
let leavingBy = null;

function isEdited(form) {
  if (form.dataset.edits === "unsaved") return true;
  return [...form.elements].some((el) => {
    if (el.disabled || el.type === "hidden") return false;
    if (el.type === "checkbox" || el.type === "radio") return el.checked !== el.defaultChecked;
    if (el.tagName === "SELECT") {
      const first = [...el.options].findIndex((o) => o.defaultSelected);
      return !el.multiple && el.selectedIndex !== Math.max(first, 0);
    }
    return "defaultValue" in el && el.type !== "submit" && el.type !== "button" && el.value !== el.defaultValue;
  });
}

document.addEventListener("submit", (e) => {
  if (e.defaultPrevented) return;
  const discard = e.submitter?.closest("[data-discard]");
  leavingBy = discard ? discard.closest("form") : e.target;
});
document.addEventListener("click", (e) => {
  const link = e.target instanceof Element && e.target.closest("[data-discard]");
  if (link) leavingBy = link.closest("form") ?? document.forms[0];
});
addEventListener("beforeunload", (e) => {
  const sent = leavingBy;
  leavingBy = null;
  if ([...document.querySelectorAll("form[data-edits]")].some((form) => form !== sent && isEdited(form))) e.preventDefault();
});

// Lists with rows to tick: one checkbox ticks all rows of the page, and the button shows how many are ticked.
function showChosen(form) {
  const boxes = [...form.querySelectorAll("tbody input[type=checkbox]")];
  const n = boxes.filter((box) => box.checked).length;
  for (const text of form.querySelectorAll("[data-chosen]")) text.textContent = n ? ` ${n.toLocaleString("en")}` : "";
  const all = form.querySelector("[data-choose-all]");
  if (!all) return;
  all.checked = n > 0 && n === boxes.length;
  all.indeterminate = n > 0 && n < boxes.length;
}

document.addEventListener("change", (e) => {
  const form = e.target instanceof HTMLInputElement && e.target.type === "checkbox" && e.target.form;
  if (!form || !form.querySelector("[data-choose-all]")) return;
  if ("chooseAll" in e.target.dataset) for (const box of form.querySelectorAll("tbody input[type=checkbox]")) box.checked = e.target.checked;
  showChosen(form);
});
