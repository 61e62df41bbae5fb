// Short messages at the edge of the page; some offer to undo.
import { t } from "./strings.js";

const SHOWN_MS = 7000;

/**
 * Show a message. `tone` is good, bad or calm; with `undo_url` the toast posts there, with `undo_values`, when asked to
 * undo; with `link_url` it leads there.
 */
export function toast({ text, tone = "good", undo_url: undoUrl, undo_label: undoLabel, undo_values: undoValues, link_url: linkUrl, link_label: linkLabel }) {
  const snack = document.getElementById("toast-blank").content.firstElementChild.cloneNode(true);
  snack.querySelector(".snack-text").textContent = text;
  for (const icon of snack.querySelectorAll("[data-tone]")) icon.hidden = icon.dataset.tone !== tone;
  if (tone === "bad") snack.setAttribute("role", "alert");
  let timer = 0;
  const close = () => snack.remove();
  const wait = () => (timer = setTimeout(close, tone === "bad" ? SHOWN_MS * 2 : SHOWN_MS));
  snack.querySelector(".snack-close").addEventListener("click", close);
  snack.addEventListener("mouseenter", () => clearTimeout(timer));
  snack.addEventListener("focusin", () => clearTimeout(timer));
  snack.addEventListener("mouseleave", wait);
  if (undoUrl) offerUndo(snack, undoUrl, undoLabel, undoValues, close);
  if (linkUrl) offerLink(snack, linkUrl, linkLabel, close);
  document.getElementById("toasts").append(snack);
  window.htmx?.process(snack);
  wait();
}

function offerLink(snack, url, label, close) {
  const link = Object.assign(document.createElement("a"), { className: "btn btn-sm", href: url, textContent: label });
  link.addEventListener("click", () => setTimeout(close));
  snack.querySelector(".snack-text").after(link);
}

function offerUndo(snack, url, label, values, close) {
  const undo = snack.querySelector(".snack-undo");
  undo.hidden = false;
  undo.textContent = label || t("undo");
  undo.addEventListener("click", () => {
    close();
    window.htmx.ajax("POST", url, { target: "#main", select: "#main", swap: "outerHTML", values });
  });
}

// The server sends {"toast": {...}} in HX-Trigger.
document.addEventListener("toast", (event) => toast(event.detail));
