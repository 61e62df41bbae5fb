// The gallery fills the menu of a card that is used, and learns of new uploads: a card is put at its head, and from then on asks for itself.
import { localTimes } from "./frame.js";
import { isLeaving } from "./requests.js";

const NONE = "00000000-0000-0000-0000-000000000000";

/** Give a card's menu what the menus of all cards hold; until somebody wants it, it has the way to the page alone. */
export function fillMenu(card) {
  const menu = card?.querySelector("details[data-menu] .dropdown-menu");
  const items = document.getElementById(card?.dataset.folder ? "folder-menu" : "card-menu");
  if (!menu || !items || menu.childElementCount > 1) return;
  for (const item of [...items.content.cloneNode(true).children]) {
    if (item.dataset.for && !item.dataset.for.split(" ").includes(card.dataset.status)) continue;
    for (const name of ["href", "action", "hx-post", "hx-get"]) {
      const address = item.getAttribute(name);
      if (address) item.setAttribute(name, address.replace(NONE, card.dataset.asset || card.dataset.folder));
    }
    menu.append(item);
    window.htmx.process(item);
  }
}

document.addEventListener("click", (event) => {
  if (event.target.closest("summary")) fillMenu(event.target.closest("[data-asset], [data-folder]"));
});

// A page that was drawn before a commit may arrive after it, and take the place of a gallery that had the card. So what
// was committed lately is looked for in every new gallery; what was deleted meanwhile answers 404 and stays away.
const LATELY_MS = 60_000;
const lately = new Map();
let known = null;

document.addEventListener("stowage:committed", ({ detail }) => {
  lately.set(detail.assetId, { committed: Date.now(), folder: detail.place?.folder_id });
  if (document.querySelector("[data-gallery-empty]")) reload();
  else place(detail.assetId);
});

/** May a file that lies there belong to the page? The portal decides; what is known to lie elsewhere is not asked for. */
function mayBeHere(folder) {
  const shown = document.querySelector("#main [data-place]");
  return !shown || !folder || shown.dataset.placeFolder === folder;
}

document.addEventListener("htmx:afterSettle", () => {
  const gallery = document.querySelector("[data-gallery]");
  if (gallery === known) return;
  known = gallery;
  for (const [assetId, { committed }] of lately) {
    if (Date.now() - committed > LATELY_MS) lately.delete(assetId);
    else place(assetId);
  }
});

async function place(assetId) {
  const gallery = document.querySelector("[data-gallery]");
  if (!gallery || "filtered" in gallery.dataset || document.getElementById(`asset-${assetId}`)) return;
  if (!mayBeHere(lately.get(assetId)?.folder)) return;
  // Not htmx.ajax: it drops all but the last of several requests that one element makes at once.
  const answer = await fetch(gallery.dataset.cardUrl.replace(NONE, assetId), { headers: { "HX-Request": "true" } });
  if (!answer.ok || !gallery.isConnected || document.getElementById(`asset-${assetId}`)) return;
  const box = document.createElement("template");
  box.innerHTML = await answer.text();
  const card = box.content.firstElementChild;
  if (!card) return; // it lies in another place
  if (!gallery.isConnected || document.getElementById(card.id)) return;
  gallery.prepend(card);
  window.htmx.process(card);
  localTimes(card);
  document.dispatchEvent(new CustomEvent("stowage:card"));
}

// The first files of an empty workspace: the page itself changes, once for a whole batch.
let reloading = 0;
function reload() {
  clearTimeout(reloading);
  reloading = setTimeout(() => {
    if (isLeaving() || !document.querySelector("[data-gallery-empty]")) return;
    window.htmx.ajax("GET", location.href, { target: "#main", select: "#main", swap: "outerHTML" });
  }, 400);
}
