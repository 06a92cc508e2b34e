// The search: a section is found by the words of the query that stand in it, each of which may be the beginning of one. No
// server is needed.
"use strict";
const root = document.currentScript.dataset.root;
let searchIndex; // the file search-index.js sets it: [title of the page, heading, address, text]

function load(then) {
  if (searchIndex) return then();
  const script = document.createElement("script");
  script.src = root + "/search-index.js";
  script.onload = then;
  document.head.append(script);
}

// Words that are in nearly every question and in nearly every section.
const empty = new Set("a an and are can do does for from how i in is it my of on or the to use what when why with".split(" "));

// Pages for those who work on subpy, and pages of one language: those who use it, or ask in general, want another first.
const inside = /^(architecture|contributing|coverage|conformance|performance-)/, language = /^(cpp|go|rust|node|java|python|lua)\.html/;

function search(query) {
  const all = query.toLowerCase().match(/[\p{L}\p{N}_+]+/gu) ?? [];
  const words = all.filter((word) => !empty.has(word));
  if (!words.length) return [];
  // "fails" finds "fail" too; "C" and other short words, unless they are still being typed, stand alone.
  const patterns = words.map((word, at) => {
    const beginning = (word.length > 3 ? word.replace(/s$/, "") : word).replace(/\+/g, "\\+");
    const alone = word.length < 3 && at < words.length - 1 ? "(?![\\p{L}\\p{N}])" : "";
    return new RegExp("(?<![\\p{L}\\p{N}])" + beginning + alone, "giu");
  });
  const found = [];
  for (const [title, heading, address, text] of searchIndex) {
    let score = 0, has = 0;
    for (const pattern of patterns) {
      const count = (where) => (where.match(pattern) ?? []).length;
      const inHeading = count(heading), inTitle = count(title), inText = count(text);
      if (!inHeading && !inTitle && !inText) continue;
      has++;
      score += Math.min(inHeading, 1) * 30 + Math.min(inTitle, 1) * (heading ? 8 : 35) + Math.min(inText, 5);
    }
    if (address.startsWith("faq.html")) score += 6; // short answers first
    if (language.test(address)) score -= 4;
    const rank = inside.test(address) ? has - 1 : has;
    if (has) found.push({ has, rank, score, title, heading, address, text: around(text, patterns.find((one) => text.search(one) >= 0) ?? patterns[0]) });
  }
  // What has more of the words comes first; what has less than half as many as the best is no answer.
  const most = Math.max(0, ...found.map((one) => one.has));
  return found.filter((one) => one.has * 2 >= most).sort((a, b) => b.rank - a.rank || b.score - a.score);
}

function around(text, pattern) {
  pattern.lastIndex = 0;
  const at = pattern.exec(text)?.index ?? 0;
  pattern.lastIndex = 0;
  const start = Math.max(0, at - 60);
  return (start ? "…" : "") + text.slice(start, start + 160) + (start + 160 < text.length ? "…" : "");
}

function show(found, where) {
  where.replaceChildren(...found.map((one) => {
    const link = document.createElement("a");
    link.href = root + "/" + one.address;
    for (const [kind, text] of [["strong", one.heading ? one.title + ": " + one.heading : one.title], ["span", one.text]]) {
      const part = document.createElement(kind);
      part.textContent = text;
      link.append(part);
    }
    return link;
  }));
}

const input = document.querySelector("header input"), hits = document.querySelector("#hits");
input.addEventListener("input", () => load(() => show(search(input.value).slice(0, 8), hits)));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") hits.replaceChildren();
  if (event.key === "/" && !/INPUT|TEXTAREA/.test(document.activeElement.tagName)) { event.preventDefault(); input.focus(); }
});
document.addEventListener("click", (event) => { if (!event.target.closest("form")) hits.replaceChildren(); });

// The page of results.
const list = document.querySelector("#found"), query = new URLSearchParams(location.search).get("q");
if (list && query) {
  document.querySelector("form.large input").value = query;
  load(() => {
    const found = search(query).slice(0, 30);
    show(found, list);
    if (!found.length) list.textContent = "Nothing was found.";
  });
}

// The menu is open where there is room for it.
const menu = document.querySelector("details.menu"), wide = matchMedia("(min-width: 900px)");
const open = () => { menu.open = wide.matches; };
wide.addEventListener("change", open);
open();
