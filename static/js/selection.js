// Choosing cards or rows: "all shown", how many and how large they are together. A bar of the gallery shows while some are.
import { sizeWords } from "./strings.js";

/** Give each card of the gallery its box. */
function equip() {
  const blank = document.getElementById("card-pick");
  if (!blank) return;
  for (const card of document.querySelectorAll("#assets [data-asset]")) {
    if (card.querySelector("[data-pick]")) continue;
    const label = blank.content.firstElementChild.cloneNode(true);
    const box = label.firstElementChild;
    box.value = card.dataset.asset;
    box.dataset.bytes = card.dataset.bytes;
    box.ariaLabel = box.dataset.label.replace("{name}", card.querySelector(".file-name").title);
    (card.querySelector(".files-pick") || card).prepend(label);
  }
}

const boxes = () => [...document.querySelectorAll("input[data-pick]")];

function tell() {
  const count = document.querySelector("[data-pick-count]");
  if (!count) return;
  const all = boxes();
  const chosen = all.filter((box) => box.checked);
  const bytes = chosen.reduce((sum, box) => sum + Number(box.dataset.bytes), 0);
  const { picked, pickedNone } = count.closest("form").dataset;
  count.textContent = chosen.length ? picked.replace("{count}", chosen.length).replace("{size}", sizeWords(bytes)) : pickedNone;
  for (const button of count.closest("form").querySelectorAll("button[name]")) button.disabled = !chosen.length;
  const every = document.querySelector("[data-pick-all]");
  every.checked = chosen.length > 0 && chosen.length === all.length;
  every.indeterminate = chosen.length > 0 && chosen.length < all.length;
}

// Shift chooses everything between the last box and this one.
let last = null;
document.addEventListener("click", (event) => {
  const box = event.target.closest?.("input[data-pick]");
  if (!box) return;
  const all = boxes();
  if (event.shiftKey && last?.isConnected) {
    const [from, to] = [all.indexOf(last), all.indexOf(box)].sort((a, b) => a - b);
    for (const each of all.slice(from, to + 1)) each.checked = box.checked;
  }
  last = box;
  tell();
});
document.addEventListener("change", (event) => {
  if (!event.target.matches?.("[data-pick-all]")) return;
  for (const box of boxes()) box.checked = event.target.checked;
  tell();
});
document.addEventListener("click", (event) => {
  if (!event.target.closest?.("[data-pick-none]")) return;
  for (const box of boxes()) box.checked = false;
  tell();
});
document.addEventListener("htmx:afterSettle", () => {
  equip();
  tell();
});
document.addEventListener("stowage:card", equip);
equip();
tell();
