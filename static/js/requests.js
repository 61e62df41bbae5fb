// What every htmx request shares: the CSRF header, and an answer for each way it can fail.
import { t } from "./strings.js";
import { toast } from "./toasts.js";

const metaOf = (name) => document.querySelector(`meta[name="${name}"]`).content;
export const csrfToken = () => metaOf("csrf-token");

// A tab that was open while the portal was upgraded has old scripts: what it asks for may not fit any more.
let outdated = false;

/** Compare the version of the scripts that an answer names with that of this page's; the tray says when they differ. */
export function checkScripts(answer) {
  const version = answer.headers.get("Stowage-Scripts");
  if (outdated || !version || version === metaOf("scripts")) return;
  outdated = true;
  document.dispatchEvent(new CustomEvent("stowage:outdated"));
}

/** Does the portal have other scripts by now? Asked when one can not be loaded. */
export async function isOutdated() {
  await fetch(location.href, { method: "HEAD" }).then(checkScripts, () => {});
  return outdated;
}

document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.verb !== "get") event.detail.headers["X-CSRFToken"] = csrfToken();
  // Empty filters stay out of the address.
  for (const [name, value] of [...event.detail.formData.entries()]) {
    if (event.detail.verb === "get" && value === "") event.detail.formData.delete(name);
  }
});

// The last step that somebody takes is where they go: one still under way is given up, and an answer that comes late
// (a form's, which is never given up) is not shown over it.
let lastStep = null;
let underWay = false;

/** Is the page about to change? */
export const isLeaving = () => underWay;

function giveUp() {
  if (underWay && lastStep.verb === "get") lastStep.xhr.abort();
  underWay = false;
}

const leadsAway = ({ target }) => target?.id === "main";
document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  if (!leadsAway(detail)) return;
  giveUp();
  lastStep = { xhr: detail.xhr, verb: detail.requestConfig.verb };
  underWay = true;
});
document.addEventListener("htmx:historyCacheMiss", () => {
  giveUp();
  lastStep = null;
});
document.addEventListener("htmx:beforeSwap", (event) => {
  if (leadsAway(event.detail) && event.detail.xhr !== lastStep?.xhr) event.preventDefault();
});
// The document's security policy names the stores it may load from. A page that needs another one is loaded as a whole.
document.addEventListener("htmx:beforeSwap", (event) => {
  const needed = event.detail.xhr.getResponseHeader("Stowage-Stores")?.split(" ") || [];
  const allowed = document.querySelector('meta[name="stores"]')?.content.split(" ") || [];
  if (!leadsAway(event.detail) || needed.every((origin) => allowed.includes(origin))) return;
  event.preventDefault();
  location.assign(event.detail.xhr.responseURL);
});
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (detail.xhr === lastStep?.xhr) underWay = false;
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

// Cards, rows and a file's panel ask for themselves until they are final. What somebody is doing there is not disturbed:
// an open menu puts the change off, and the focus stays on what it was on.
const asksForItself = (element) => Boolean(element?.matches("[data-asset][hx-get]"));
const PASSING = (status) => status === 429 || status >= 500;

function askAgain(element, delay = 5000) {
  setTimeout(() => {
    if (!element.isConnected) return;
    const how = { source: element, target: element, swap: "outerHTML" };
    window.htmx.ajax("GET", element.getAttribute("hx-get"), how).catch(() => {}); // told by htmx:sendError
  }, delay);
}

const nameOf = (element) =>
  [element.tagName, element.className, element.ariaLabel, element.getAttribute("href"), element.textContent.trim()].join(" ");

function keepFocus(target) {
  const focused = document.activeElement;
  if (!target.contains(focused)) return;
  const { id } = target;
  const name = nameOf(focused);
  queueMicrotask(() => {
    const all = document.getElementById(id)?.querySelectorAll("a, button, summary") || [];
    [...all].find((element) => nameOf(element) === name)?.focus({ preventScroll: true });
  });
}

function renew(event) {
  const { target } = event.detail;
  if (target.querySelector("details[open]")) {
    event.preventDefault();
    askAgain(target, 2000);
  } else {
    keepFocus(target);
  }
}

// What goes on changes by itself while somebody looks: not on a hidden page, not behind an open question.
const isLive = (element) => Boolean(element?.matches("[data-live]"));
document.addEventListener("htmx:beforeRequest", (event) => {
  const { elt, target } = event.detail;
  if (isLive(elt) && (document.hidden || document.querySelector("dialog[open]") || target.contains(document.activeElement)))
    event.preventDefault();
});

// An error page that answers a navigation is shown as the page; one that answers a part becomes a toast.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, target, requestConfig } = event.detail;
  const byItself = requestConfig.verb === "get" && asksForItself(requestConfig.elt);
  if (xhr.status < 400) {
    if (byItself) renew(event);
    return;
  }
  const isHtml = (xhr.getResponseHeader("Content-Type") || "").includes("html");
  const isPage = isHtml && xhr.responseText.includes('id="main"');
  if (isLive(requestConfig.elt)) {
    target.classList.add("is-old");
  } else if (byItself && PASSING(xhr.status)) {
    askAgain(requestConfig.elt);
  } else if (xhr.status === 401) {
    toast({ text: t("error_login"), tone: "bad" });
  } else if (target.id === "main" && isPage) {
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  } else if (target.id !== "main" && isHtml && !isPage) {
    // A part that came back as it was written, with the reason beside it.
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  } else if (xhr.status === 404 && target.dataset.asset) {
    target.remove();
  } else {
    const code = xhr.getResponseHeader("X-Request-ID") || xhr.status;
    toast({ text: problemWords(xhr) || t("error_any", { code }), tone: "bad" });
  }
});

// A card that could not ask (portal restarting, laptop asleep) asks again instead of standing still.
document.addEventListener("htmx:sendError", ({ detail }) => {
  const { elt, verb } = detail.requestConfig;
  if (verb === "get" && isLive(elt)) detail.target.classList.add("is-old");
  else if (verb === "get" && asksForItself(elt)) askAgain(elt);
  else toast({ text: t("error_offline"), tone: "bad" });
});
