// Questions that TestNothingBreaksAPage asks of each page. Every answer is a list of faults, in words.
"use strict";

const look = {
  name(e) {
    const text = (e.getAttribute("aria-label") || e.textContent || e.value || "").trim().replace(/\s+/g, " ").slice(0, 40);
    return `<${e.tagName.toLowerCase()}${e.id ? "#" + e.id : ""}${e.className && e.className.baseVal === undefined ? "." + e.className.replaceAll(" ", ".") : ""}> "${text}"`;
  },
  seen: e => e.checkVisibility({ visibilityProperty: true, opacityProperty: false }) && !e.closest(".unseen, [data-unseen]"),

  // fits: the document is no wider than the window, nothing sticks out of its card, and what scrolls can be reached and says so.
  fits() {
    const faults = [];
    for (const head of document.querySelectorAll("thead")) head.toggleAttribute("data-unseen", getComputedStyle(head).position === "absolute");
    const root = document.documentElement;
    if (root.scrollWidth > innerWidth) faults.push(`the document is ${root.scrollWidth - innerWidth} pixels too wide`);
    const boxes = ".card, .side, .top, .head, .filters, .notice, .bar, .who-box, .drawer > nav, td, dd, main";
    for (const e of document.querySelectorAll("time, .badge, .number")) {
      if (look.seen(e) && e.textContent.trim() && e.getBoundingClientRect().width < 8) faults.push(`${look.name(e)} has no room: ${Math.round(e.getBoundingClientRect().width)} pixels`);
    }
    for (const e of document.querySelectorAll("body *")) {
      if (e.closest("svg") || !look.seen(e)) continue;
      if (e.scrollWidth > e.clientWidth + 1 && ["auto", "scroll"].includes(getComputedStyle(e).overflowX) && e.clientWidth) {
        if (e.tagName === "TEXTAREA") continue;
        if (e.tabIndex < 0) faults.push(`${look.name(e)} scrolls sideways and the keyboard cannot reach it`);
        if (e.matches(".table")) faults.push(`${look.name(e)} is ${e.scrollWidth - e.clientWidth} pixels too wide for its region`);
        continue;
      }
      const box = e.parentElement.closest(boxes);
      if (!box || getComputedStyle(e).position === "fixed") continue;
      let cut = false; // an ellipsis says that there is more
      for (let p = e.parentElement; p && p !== box; p = p.parentElement) cut ||= getComputedStyle(p).overflowX === "hidden";
      if (cut || (e.parentElement === box && getComputedStyle(box).overflowX === "hidden")) continue;
      const scroller = e.parentElement.closest(".table, pre");
      if (scroller && scroller !== box && box.contains(scroller) && scroller.scrollWidth > scroller.clientWidth) continue;
      const over = e.getBoundingClientRect().right - box.getBoundingClientRect().right;
      if (over > 1) { faults.push(`${look.name(e)} sticks ${Math.round(over)} pixels out of ${look.name(box)}`); if (faults.length > 8) break; }
    }
    return faults;
  },

  focusable: () => [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']")].filter(e => !e.matches(":disabled") && look.seen(e)),

  // focus: whatever has the focus shows it, and nothing that stays in place covers it, going down and up.
  focus() {
    const faults = new Set();
    const all = look.focusable();
    for (const e of [...all, ...all.toReversed()]) {
      e.focus();
      const shows = [e, e.nextElementSibling, e.parentElement].some(x => x && (x === e || x.matches("label, .switch")) && getComputedStyle(x).outlineStyle !== "none" && parseFloat(getComputedStyle(x).outlineWidth) >= 2);
      if (!shows) faults.add(`${look.name(e)} does not show that it has the focus`);
      const box = e.getBoundingClientRect();
      for (const bar of document.querySelectorAll(".top, .bar")) {
        const over = bar.getBoundingClientRect();
        if (bar.contains(e) || getComputedStyle(bar).position !== "sticky" || e.closest(".skip, .side, .top")) continue;
        if (box.top < over.bottom - 1 && box.bottom > over.top && box.height < innerHeight / 2) faults.add(`${look.name(e)} is covered by ${look.name(bar).slice(0, 12)} when it has the focus: ${Math.round(box.top)}–${Math.round(box.bottom)} under ${Math.round(over.bottom)}, scrolled ${Math.round(scrollY)}`);
      }
    }
    document.activeElement.blur();
    scrollTo(0, 0);
    return [...faults];
  },

  // states: what is chosen looks different from what is not, without the colours of the style sheet.
  states() {
    const faults = [];
    const style = e => { const s = getComputedStyle(e); return [s.backgroundColor, s.color, s.borderTopColor, s.borderBottomColor, s.borderBottomWidth, s.outlineStyle, s.outlineColor, s.outlineWidth].join(); };
    const differ = (chosen, other, what) => { if (chosen && other && look.seen(chosen) && look.seen(other) && style(chosen) === style(other)) faults.push(`${what}: the chosen one looks like the others`); };
    for (const list of document.querySelectorAll(".switch")) differ(list.querySelector("input:checked + label"), list.querySelector("input:not(:checked) + label"), "switch");
    for (const list of document.querySelectorAll(".tabs, .menu")) differ(list.querySelector("a[aria-current]"), list.querySelector("a:not([aria-current])"), list.className);
    for (const e of document.querySelectorAll(".badge, .button, .notice, .card, .precedence, .round")) {
      if (look.seen(e) && parseFloat(getComputedStyle(e).borderTopWidth) === 0 && parseFloat(getComputedStyle(e).borderLeftWidth) === 0) { faults.push(`${look.name(e)} has no border`); break; }
    }
    return faults;
  },

  async axe(rules) {
    const options = { resultTypes: ["violations"], preload: false, iframes: false, elementRef: true, selectors: false, ancestry: false };
    if (rules) options.runOnly = { type: "rule", values: rules };
    const found = await axe.run(document, options);
    return found.violations.flatMap(v => v.nodes.slice(0, 3).map(n => `${v.impact} ${v.id}: ${look.name(n.element)}: ${n.any.concat(n.all, n.none).map(c => c.message)[0]}`));
  },
};
window.look = look;
