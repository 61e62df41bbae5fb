// The right button, and the keyboard's menu key, open a file's or a folder's own menu where the pointer is. On one of
// several chosen files it is the menu of all of them.
import { fillMenu } from "./gallery.js";
import { between, room } from "./menu_bounds.js";

const ITEM = "#assets [data-asset], #folders [data-folder]";
const chosen = () => document.querySelectorAll("#assets input[data-pick]:checked").length;

/** What the bar of the chosen files offers, as the lines of a menu. */
function linesForAll() {
  const head = Object.assign(document.createElement("div"), { className: "dropdown-header" });
  head.textContent = document.querySelector("[data-pick-count]").textContent;
  const lines = [...document.querySelectorAll("#selection [data-for-all]")].map((button) => {
    const line = Object.assign(document.createElement("button"), { type: "button", className: "dropdown-item" });
    line.append(...[...button.childNodes].map((node) => node.cloneNode(true)));
    line.querySelector(".icon")?.classList.add("dropdown-item-icon");
    line.addEventListener("click", () => button.click());
    return line;
  });
  return [head, ...lines];
}

/** Show `menu` at a point of the window until it is closed, whole. */
function showAt(details, menu, { x, y }) {
  details.open = true;
  Object.assign(menu.style, { position: "fixed", right: "auto", bottom: "auto", left: "0", top: "0", translate: "none" });
  const { width, height } = menu.getBoundingClientRect();
  const edges = room();
  menu.style.left = `${between(edges.left, edges.right, x, width)}px`;
  menu.style.top = `${between(edges.top, edges.bottom, y, height)}px`;
  menu.querySelector(".dropdown-item")?.focus({ preventScroll: true });
}

document.addEventListener("contextmenu", (event) => {
  const item = event.target.closest?.(ITEM);
  const details = item?.querySelector("details[data-menu]");
  // With Shift, or in the menu itself, it is the browser's own.
  if (!details || event.shiftKey || event.target.closest(".dropdown-menu")) return;
  event.preventDefault();
  fillMenu(item);
  const menu = details.querySelector(".dropdown-menu");
  const own = [...menu.children];
  if (chosen() > 1 && item.querySelector("input[data-pick]")?.checked) menu.replaceChildren(...linesForAll());
  for (const open of document.querySelectorAll("details[data-menu][open]")) open.open = false;
  const box = (item.querySelector(".tile-link, .row-link") || item).getBoundingClientRect();
  const byKey = event.clientX === 0 && event.clientY === 0;
  showAt(details, menu, byKey ? { x: box.left + 16, y: box.top + 16 } : { x: event.clientX, y: event.clientY });
  const closed = () => {
    if (details.open) return;
    details.removeEventListener("toggle", closed);
    menu.removeAttribute("style");
    menu.replaceChildren(...own);
  };
  details.addEventListener("toggle", closed);
});
// It stays where it was opened, so it goes when the page moves under it.
addEventListener("scroll", () => {
  for (const menu of document.querySelectorAll("details[data-menu][open] > .dropdown-menu[style*=fixed]")) menu.parentElement.open = false;
}, { passive: true });
