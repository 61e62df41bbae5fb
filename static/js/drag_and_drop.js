// Files and folders are dragged onto a folder, a step of the breadcrumbs or a library. The keyboard has "Move…" for it.
import { t } from "./strings.js";

const KIND = "application/x-stowage";
const cardOf = (element) => element.closest?.("#assets [data-asset], #folders [data-folder]");
const formOf = () => document.querySelector("#selection:has([data-move])"); // none for those who may look only
const carriesOurs = (event) => [...(event.dataTransfer?.types || [])].includes(KIND);
const ticked = () => [...document.querySelectorAll("#assets input[data-pick]:checked")].map((box) => box.value);

// The card itself is dragged, not the link or the picture in it, which would look like a file to upload.
document.addEventListener("pointerdown", (event) => {
  const card = event.pointerType === "mouse" && formOf() && cardOf(event.target);
  if (!card) return;
  card.draggable = true;
  for (const part of card.querySelectorAll("a, img")) part.draggable = false;
});

/** What goes along: every ticked file when the dragged one is among them, else that one alone. */
function cargo(card) {
  const { asset, folder } = card.dataset;
  if (folder) return { folder: [folder], asset: [] };
  const all = ticked();
  return { folder: [], asset: all.includes(asset) ? all : [asset] };
}

document.addEventListener("dragstart", (event) => {
  const card = formOf() && cardOf(event.target);
  if (!card || event.target !== card) return;
  const taken = cargo(card);
  event.dataTransfer.setData(KIND, JSON.stringify(taken));
  event.dataTransfer.effectAllowed = "move";
  if (taken.asset.length < 2) return;
  const badge = Object.assign(document.createElement("div"), { className: "drag-badge", textContent: t("drag_files", { n: taken.asset.length }) });
  document.body.append(badge);
  event.dataTransfer.setDragImage(badge, 12, 12);
  setTimeout(() => badge.remove());
});

function light(target) {
  for (const lit of document.querySelectorAll(".drop-here")) if (lit !== target) lit.classList.remove("drop-here");
  target?.classList.add("drop-here");
}

document.addEventListener("dragover", (event) => {
  if (!carriesOurs(event)) return;
  const target = event.target.closest?.("[data-drop-into]");
  light(target);
  if (!target) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = "move";
});
document.addEventListener("dragend", () => light(null));
document.addEventListener("drop", (event) => {
  const target = carriesOurs(event) && event.target.closest?.("[data-drop-into]");
  light(null);
  if (!target) return;
  event.preventDefault();
  const taken = JSON.parse(event.dataTransfer.getData(KIND));
  const into = target.dataset.dropInto;
  if (taken.folder.some((id) => into === `folder:${id}`)) return;
  window.htmx.ajax("POST", formOf().action, { target: "#sheet-body", swap: "innerHTML", select: "unset", values: { ...taken, into } });
});
