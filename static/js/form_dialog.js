// Small forms above the page: a link with data-sheet fetches one, htmx puts it into the dialog, here it is opened.
import { returnTo, spot } from "./scroll_restore.js";

const dialog = document.getElementById("sheet");
const body = document.getElementById("sheet-body");

if (dialog) {
  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    if (detail.target !== body || !body.childElementCount) return;
    if (!dialog.open) dialog.showModal();
    body.querySelector("[autofocus]")?.focus();
  });
  document.addEventListener("click", (event) => event.target.closest("[data-sheet-close]") && dialog.close());
  dialog.addEventListener("close", () => body.replaceChildren());
}

/** Draw the page's main part again, where it is; of a list as much as was there. */
export function redraw() {
  const stood = spot();
  const drawn = window.htmx.ajax("GET", location.href, { target: "#main", select: "#main", swap: "outerHTML" });
  drawn.then(() => returnTo(stood)).catch(console.error);
}

/** Go to another page as a link would: uploads live on. */
function go(address) {
  const link = Object.assign(document.createElement("a"), { href: address, hidden: true });
  document.getElementById("main").append(link);
  window.htmx.process(link);
  link.click();
}

// The server says what was done: {address, gone?: a folder that is there no more, leads?: show the address in any case}.
document.addEventListener("stowage:done", ({ detail }) => {
  dialog.close();
  const here = document.querySelector("#main [data-place]");
  if (detail.leads || (detail.gone && here?.dataset.placeFolder === detail.gone)) go(detail.address);
  else redraw();
});
