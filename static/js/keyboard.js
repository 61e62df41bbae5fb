// The keyboard: "?" lists the keys. Nothing happens while one types or a dialog is open.
import { fillMenu } from "./gallery.js";
import { openPreview } from "./lightbox.js";

const TYPING = (target) => target.closest("input:not([data-pick]), textarea, select, [contenteditable], dialog[open], .tray, details[open]");
const items = () => [...document.querySelectorAll("#folders [data-folder], #assets [data-asset]")];
const focused = () => document.activeElement.closest?.("[data-asset], [data-folder]");
const linkOf = (item) => item?.querySelector(".tile-link, .row-link");

function columns(all) {
  const top = all[0].getBoundingClientRect().top;
  const second = all.findIndex((item) => item.getBoundingClientRect().top > top + 4);
  return second < 0 ? all.length : second;
}

function move(key) {
  const all = items();
  if (!all.length) return false;
  const at = all.findIndex((item) => item.contains(document.activeElement));
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns(all), ArrowUp: -columns(all) }[key];
  const next = all[at < 0 ? 0 : Math.min(Math.max(at + step, 0), all.length - 1)];
  linkOf(next).focus();
  next.scrollIntoView({ block: "nearest" });
  return true;
}

function focusSearch() {
  const search = document.getElementById("search");
  search?.focus();
  search?.select();
}

function pick(item) {
  const box = item?.querySelector("input[data-pick]");
  box?.click();
  return Boolean(box);
}

const anyPicked = () => Boolean(document.querySelector("#assets input[data-pick]:checked"));

/** The preview, or the page of what has none; elsewhere Space scrolls. */
function look(item) {
  if (openPreview(document.activeElement.closest?.("[data-preview]"))) return true;
  const link = linkOf(item);
  link?.click();
  return Boolean(link);
}

/** Where to, for all that are chosen, else for the one that has the focus. */
function moveTo(item) {
  if (anyPicked()) return document.querySelector("#selection [data-move]").click();
  fillMenu(item);
  return item?.querySelector('.dropdown-menu a[href*="/move?"]')?.click();
}

function discard(item) {
  if (anyPicked()) return document.querySelector('#selection [value="discard"]').click();
  fillMenu(item);
  if (item?.dataset.folder) return item.querySelector("[data-delete-folder]")?.click();
  return item?.querySelector("form[data-discard]")?.requestSubmit();
}

// What goes takes the focus along: the next one gets it, so that one key deletes several in a row.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const { target, requestConfig, xhr } = detail;
  const all = items();
  const at = all.indexOf(target);
  if (at < 0 || !requestConfig.elt.matches("[data-discard]") || xhr.status >= 400 || !target.contains(document.activeElement)) return;
  const next = linkOf(all[at + 1] || all[at - 1]) || document.getElementById("main");
  queueMicrotask(() => next.focus());
});

function rename(item) {
  fillMenu(item);
  return (item || document.getElementById("asset"))?.querySelector("[data-rename]")?.click();
}

/** Ctrl and A choose all that is shown; where nothing can be chosen it is the browser's. */
function pickAll(event) {
  const every = document.querySelector("[data-pick-all]");
  if (event.key !== "a" || event.shiftKey || event.altKey || !every || TYPING(event.target)) return;
  if (!every.checked) every.click();
  event.preventDefault();
}

const actions = {
  "/": () => focusSearch(),
  u: () => document.querySelector('[data-upload="files"]')?.click(),
  g: () => document.querySelector('#sidebar .side-link')?.click(),
  "?": () => document.getElementById("keys")?.showModal(),
  " ": () => look(focused()),
  x: () => pick(focused()),
  m: () => void moveTo(focused()),
  F2: () => void rename(focused()),
  Escape: () => (anyPicked() ? document.querySelector("[data-pick-none]").click() : false),
  Delete: () => void discard(focused()),
  ArrowLeft: () => move("ArrowLeft"),
  ArrowRight: () => move("ArrowRight"),
  ArrowUp: () => move("ArrowUp"),
  ArrowDown: () => move("ArrowDown"),
};

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented) return;
  if (event.ctrlKey || event.metaKey) return pickAll(event);
  if (event.altKey) return;
  if (TYPING(event.target)) {
    if (event.key === "Escape" && event.target.id === "search") event.target.blur();
    return;
  }
  const onControl = event.target.closest("button, summary, input") && event.key === " ";
  const action = actions[event.key];
  if (!action || onControl) return;
  if (event.repeat && event.key === "Delete") return; // a finger that rests on it means one
  if (action() !== false) event.preventDefault();
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-keys]")) document.getElementById("keys").showModal();
  if (event.target.closest("[data-search]")) focusSearch();
});
