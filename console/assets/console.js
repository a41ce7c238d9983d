// Comfort only: every page works without this file. It runs before the page is painted, so that a chosen theme does not flash.
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

// The switch forgets the choice when it agrees with the system again, so that the system is followed from then on.
function switchTheme() {
  const want = isDark() ? "light" : "dark";
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  if (want === system) delete root.dataset.theme; else root.dataset.theme = want;
  try {
    if (want === system) localStorage.removeItem(themeKey); else localStorage.setItem(themeKey, want);
  } catch { /* storage is off: the choice lasts for this page */ }
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

// Times are written in UTC by the server; here they get the reader's own zone, with UTC on hover.
function localTimes(scope) {
  for (const t of scope.querySelectorAll("time[data-clock]")) {
    const when = new Date(t.dateTime);
    if (Number.isNaN(when.getTime())) continue;
    t.textContent = when.toLocaleString(undefined, when.getFullYear() === new Date().getFullYear() ? shortTime : longTime);
  }
}

function prepare(scope) {
  for (const el of scope.querySelectorAll("[data-copy], [data-theme-switch], [data-choose-all]")) el.hidden = false;
  localTimes(scope);
}

document.addEventListener("DOMContentLoaded", () => prepare(document));
document.addEventListener("htmx:after:swap", () => prepare(document));

document.addEventListener("click", (e) => {
  if (!(e.target instanceof Element)) return;
  const copy = e.target.closest("[data-copy]");
  if (copy) copyFrom(copy);
  if (e.target.closest("[data-theme-switch]")) switchTheme();
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

// Leaving a page with unsaved edits asks. Forms that edit something carry data-edits; its value "unsaved" says that the server showed
// values that are not saved yet. A form that is sent is not left, and a link with data-discard says itself what it does.
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

// Rows that can be chosen: one box ticks all of the page, and the button says how many are ticked.
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
