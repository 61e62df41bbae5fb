// What the tray shows while the uploader is being loaded, which takes seconds on a slow network: names of the files.
import { safe, t } from "./strings.js";

const SHOWN = 20;

/** Put the names of [{file}] into the tray; the uploader replaces them. Without files the tray is empty again. */
export function showNames(files) {
  const item = ({ file }) => Object.assign(document.createElement("li"), { textContent: safe(file.name) });
  const list = Object.assign(document.createElement("ul"), { className: "tray-names" });
  list.append(...files.slice(0, SHOWN).map(item));
  document.getElementById("tray-body").replaceChildren(list);
  const words = files.length ? t("uploads_preparing") : "";
  for (const element of document.querySelectorAll("[data-upload-words]")) element.textContent = words;
}
