// Short messages at the edge of the page; some offer to undo.
import { t } from "./strings.js";

const SHOWN_MS = 7000;

/** Show a message. `tone` is good, bad or calm; with `undo_url` the toast posts there when asked to undo. */
export function toast({ text, tone = "good", undo_url: undoUrl, undo_label: undoLabel }) {
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
  if (undoUrl) offerUndo(snack, undoUrl, undoLabel, close);
  document.getElementById("toasts").append(snack);
  wait();
}

function offerUndo(snack, url, label, close) {
  const undo = snack.querySelector(".snack-undo");
  undo.hidden = false;
  undo.textContent = label || t("undo");
  undo.addEventListener("click", () => {
    close();
    window.htmx.ajax("POST", url, { target: "#main", select: "#main", swap: "outerHTML" });
  });
}

// The server sends {"toast": {...}} in HX-Trigger.
document.addEventListener("toast", (event) => toast(event.detail));
