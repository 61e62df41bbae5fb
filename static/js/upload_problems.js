// The list of what was not uploaded: each file with its reason, and a way to try again where that can help.
import { safe, say, t } from "./strings.js";

const box = () => document.getElementById("tray-problems");
const list = () => box().querySelector("ul") || box().appendChild(document.createElement("ul"));

/** Put a file on the list. `retry`, when given, is called by its button; `link` {href, words} leads to a way out. */
export function addProblem(id, name, reason, retry, link = null) {
  removeProblem(id);
  const item = document.createElement("li");
  item.dataset.problem = id;
  item.toggleAttribute("data-of-other-kind", reason === t("file_type"));
  const words = document.createElement("div");
  const title = document.createElement("strong");
  title.textContent = safe(name);
  const why = document.createElement("span");
  why.textContent = reason;
  words.append(title, why);
  item.append(words);
  if (link) {
    const way = document.createElement("a");
    way.className = "btn btn-sm";
    way.href = link.href;
    way.textContent = link.words;
    item.append(way);
  }
  if (retry) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn btn-sm";
    button.textContent = t("retry");
    button.addEventListener("click", retry);
    item.append(button);
  }
  list().prepend(item);
  changed();
  say(t("file_refused", { name: safe(name), reason }));
}

export const problemCount = () => list().children.length;

function changed() {
  box().hidden = !problemCount();
  // Which kinds are taken is said once, however many files are of another.
  document.getElementById("tray-kinds").hidden = !list().querySelector("[data-of-other-kind]");
  document.dispatchEvent(new CustomEvent("stowage:problems"));
}

export function removeProblem(id) {
  for (const item of [...list().children]) if (item.dataset.problem === id) item.remove();
  changed();
}

document.getElementById("tray-problems-clear").addEventListener("click", () => {
  list().replaceChildren();
  changed();
});
