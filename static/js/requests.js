// What every htmx request shares: the CSRF header, and an answer for each way it can fail.
import { t } from "./strings.js";
import { toast } from "./toasts.js";

export const csrfToken = () => document.querySelector('meta[name="csrf-token"]').content;

document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.verb !== "get") event.detail.headers["X-CSRFToken"] = csrfToken();
  // Empty filters stay out of the address.
  for (const [name, value] of [...event.detail.formData.entries()]) {
    if (event.detail.verb === "get" && value === "") event.detail.formData.delete(name);
  }
});

/** The words of a problem+json answer, or null. */
function problemWords(xhr) {
  if (!(xhr.getResponseHeader("Content-Type") || "").includes("json")) return null;
  try {
    return JSON.parse(xhr.responseText).detail || null;
  } catch {
    return null;
  }
}

// An error page that answers a navigation is shown as the page; one that answers a part becomes a toast.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, target } = event.detail;
  if (xhr.status < 400) return;
  const isPage = (xhr.getResponseHeader("Content-Type") || "").includes("html") && xhr.responseText.includes('id="main"');
  if (xhr.status === 401) {
    toast({ text: t("error_login"), tone: "bad" });
  } else if (target.id === "main" && isPage) {
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  } else if (xhr.status === 404 && target.dataset.asset) {
    target.remove();
  } else {
    const code = xhr.getResponseHeader("X-Request-ID") || xhr.status;
    toast({ text: problemWords(xhr) || t("error_any", { code }), tone: "bad" });
  }
});

document.addEventListener("htmx:sendError", (event) => {
  if (event.detail.elt.matches("[data-asset]")) askAgain(event.detail.elt);
  else toast({ text: t("error_offline"), tone: "bad" });
});

// A card that could not ask (portal restarting, laptop asleep) asks again instead of standing still.
function askAgain(element) {
  setTimeout(() => {
    if (element.isConnected) window.htmx.trigger(element, "load");
  }, 10000);
}
