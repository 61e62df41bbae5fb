// The gallery learns of new uploads: a card is put at its head, and from then on asks for itself.
import { localTimes } from "./frame.js";
import { isLeaving } from "./requests.js";

const NONE = "00000000-0000-0000-0000-000000000000";

document.addEventListener("stowage:committed", async (event) => {
  const gallery = document.querySelector("[data-gallery]");
  if (!gallery) {
    if (document.querySelector("[data-gallery-empty]")) reload();
    return;
  }
  if ("filtered" in gallery.dataset) return;
  // Not htmx.ajax: it drops all but the last of several requests that one element makes at once.
  const answer = await fetch(gallery.dataset.cardUrl.replace(NONE, event.detail.assetId), { headers: { "HX-Request": "true" } });
  if (!answer.ok || !gallery.isConnected || document.getElementById(`asset-${event.detail.assetId}`)) return;
  const box = document.createElement("template");
  box.innerHTML = await answer.text();
  const card = box.content.firstElementChild;
  if (document.getElementById(card.id)) return;
  gallery.prepend(card);
  window.htmx.process(card);
  localTimes(card);
});

// The first files of an empty workspace: the page itself changes, once for a whole batch.
let reloading = 0;
function reload() {
  clearTimeout(reloading);
  reloading = setTimeout(() => {
    if (isLeaving() || !document.querySelector("[data-gallery-empty]")) return;
    window.htmx.ajax("GET", location.href, { target: "#main", select: "#main", swap: "outerHTML" });
  }, 400);
}
