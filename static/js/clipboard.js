// Buttons that copy: a text (data-copy), or the address of what they belong to (data-copy-link).
import { say, t } from "./strings.js";
import { toast } from "./toasts.js";

/** Put `text` on the clipboard; pages that come without TLS have only the old way. Answers whether it is there. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = Object.assign(document.createElement("textarea"), { value: text, readOnly: true, className: "visually-hidden" });
    (document.querySelector("dialog[open]") || document.body).append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

async function copyText(button) {
  if (!(await copy(button.dataset.copy))) return toast({ text: t("copied_not"), tone: "bad" });
  say(t("copied"));
  button.classList.add("copied");
  setTimeout(() => button.classList.remove("copied"), 1500);
}

async function copyLink(button) {
  const link = button.closest("[data-asset], [data-folder]")?.querySelector(".tile-link, .row-link");
  const done = await copy(link ? link.href : location.href);
  toast(done ? { text: t("copied_link"), tone: "calm" } : { text: t("copied_not"), tone: "bad" });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy], [data-copy-link]");
  if (button) (button.dataset.copy ? copyText(button) : copyLink(button)).catch(console.error);
});
