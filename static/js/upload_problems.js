// The list of what was not uploaded: each file with its reason, and a way to try again where that can help.
import { safe, say, t } from "./strings.js";

const list = document.querySelector("#tray-problems ul");
const changed = () => document.dispatchEvent(new CustomEvent("stowage:problems"));

export const problemCount = () => list.childElementCount;

/** Put a file on the list. `retry`, when given, is called by its button; `link` {href, words} leads to a way out. */
export function addProblem(id, name, reason, retry = null, link = null) {
  removeProblem(id);
  const item = document.getElementById("problem-blank").content.firstElementChild.cloneNode(true);
  item.dataset.problem = id;
  item.toggleAttribute("data-of-other-kind", reason === t("file_type")); // the list then names the kinds, once
  item.querySelector("strong").textContent = safe(name);
  item.querySelector("span").textContent = reason;
  if (link) Object.assign(item.querySelector("a"), { href: link.href, textContent: link.words, hidden: false });
  if (retry) Object.assign(item.querySelector("button"), { onclick: retry, hidden: false });
  list.prepend(item);
  changed();
  say(t("file_refused", { name: safe(name), reason }));
}

export function removeProblem(id) {
  [...list.children].find((item) => item.dataset.problem === id)?.remove();
  changed();
}

document.getElementById("tray-problems-clear")?.addEventListener("click", () => {
  list.replaceChildren();
  changed();
});
