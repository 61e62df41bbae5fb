// The frame around the pages: menus, the drawer on a phone, the theme switch, local times.
import { between, room } from "./menu_bounds.js";
import { t } from "./strings.js";

// Menus are <details>: one open at a time, closed by Esc, by a choice and by a click elsewhere.
function closeMenus(except) {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) if (menu !== except) menu.open = false;
}
document.addEventListener("click", (event) => {
  const menu = event.target.closest("details[data-menu]");
  closeMenus(menu);
  if (menu && event.target.closest(".dropdown-item")) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  const menu = document.querySelector("details[data-menu][open]");
  if (!menu) return;
  if (event.key === "Escape") {
    menu.open = false;
    menu.querySelector("summary").focus();
    event.stopPropagation();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const items = [...menu.querySelectorAll(".dropdown-item")];
    const step = event.key === "ArrowDown" ? 1 : -1;
    const next = items[(items.indexOf(document.activeElement) + step + items.length) % items.length];
    next.focus();
    event.preventDefault();
  }
}, true);
// A menu that would leave the window at the bottom opens upwards; where that does not do, it is pushed into the window.
function fit(details, menu) {
  const edges = room();
  const box = menu.getBoundingClientRect();
  const button = details.getBoundingClientRect();
  const up = box.bottom > edges.bottom && button.top - box.height - 4 > edges.top;
  details.classList.toggle("menu-up", up);
  const x = between(edges.left, edges.right, box.left, box.width) - box.left;
  const y = up ? 0 : between(Math.min(edges.top, box.top), edges.bottom, box.top, box.height) - box.top;
  if (x || y) menu.style.translate = `${x}px ${y}px`;
}
document.addEventListener("toggle", (event) => {
  if (!event.target.matches?.("details[data-menu]")) return;
  const menu = event.target.querySelector(".dropdown-menu");
  event.target.classList.remove("menu-up");
  menu.style.translate = "";
  if (event.target.open) fit(event.target, menu);
}, true);

function drawer(open) {
  document.body.toggleAttribute("data-drawer-open", open);
  for (const button of document.querySelectorAll("[data-drawer]")) button.setAttribute("aria-expanded", String(open));
  if (open) document.getElementById("sidebar").focus();
}
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-drawer]")) drawer(!document.body.hasAttribute("data-drawer-open"));
  else if (event.target.closest("[data-drawer-close]") || event.target.closest("#sidebar a")) drawer(false);
});
document.addEventListener("keydown", (event) => event.key === "Escape" && drawer(false));

function markTheme() {
  const chosen = document.documentElement.dataset.themeChoice;
  for (const button of document.querySelectorAll("[data-choose-theme]")) button.setAttribute("aria-pressed", String(button.dataset.chooseTheme === chosen));
}
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-choose-theme]");
  if (button) window.stowageTheme(button.dataset.chooseTheme);
  markTheme();
});
markTheme();

document.addEventListener("focusin", (event) => event.target.matches?.("[data-select-all]") && event.target.select());

// The page's language, in the regional form the browser prefers (12 or 24 hours, order of the date).
const language = navigator.languages.find((name) => name.startsWith(document.documentElement.lang)) || document.documentElement.lang;
const dayAndTime = new Intl.DateTimeFormat(language, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
const timeOnly = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
const exact = new Intl.DateTimeFormat(language, { dateStyle: "full", timeStyle: "long" });

/** Turn the UTC times below `root` into local ones. */
export function localTimes(root) {
  for (const element of root.querySelectorAll("time[data-local]")) {
    const moment = new Date(element.dateTime);
    const today = moment.toDateString() === new Date().toDateString();
    element.textContent = today ? `${t("today")}, ${timeOnly.format(moment)}` : dayAndTime.format(moment);
    element.title = exact.format(moment);
    delete element.dataset.local;
  }
}

// After a swap: local times, and the focus follows a page change.
document.addEventListener("htmx:afterSwap", () => localTimes(document));
document.addEventListener("htmx:oobAfterSwap", () => localTimes(document));
document.addEventListener("htmx:historyRestore", () => localTimes(document));
// Back and forward fetch the page anew but swap its main part alone; the sidebar follows here.
document.addEventListener("htmx:historyCacheMissLoad", ({ detail }) => {
  const page = new DOMParser().parseFromString(detail.xhr.responseText, "text/html");
  const sidebar = page.getElementById("sidebar");
  if (!sidebar) return;
  document.getElementById("sidebar").replaceWith(sidebar);
  window.htmx.process(sidebar);
});
document.addEventListener("htmx:afterSettle", (event) => {
  if (event.detail.target?.id !== "main") return;
  if (document.activeElement === document.body) document.getElementById("main").focus({ preventScroll: true });
});
localTimes(document);
