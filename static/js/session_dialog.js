// The session ended while the page was open. What is being uploaded lives in this page, so the person logs in
// in another tab, and everything goes on here by itself.
const CHECK_MS = 3000;
const dialog = document.getElementById("session");
const metaIn = (page, name) => page.querySelector(`meta[name="${name}"]`);
let renewal = null;

/** Is the same person logged in? Then this page gets the CSRF token that belongs to the new session. */
async function takeToken() {
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (metaIn(page, "person")?.content !== metaIn(document, "person").content) return false;
    metaIn(document, "csrf-token").content = metaIn(page, "csrf-token").content;
    return true;
  } catch {
    return false; // no connection: asked again
  }
}

/** Asks the person to log in, if need be; true when they have, false when they closed the dialog. */
export function renewSession() {
  renewal ??= askToLogIn().finally(() => (renewal = null));
  return renewal;
}

async function askToLogIn() {
  if (await takeToken()) return true;
  let isClosed = false;
  dialog.addEventListener("close", () => (isClosed = true), { once: true });
  dialog.showModal();
  while (!isClosed) {
    await new Promise((resolve) => setTimeout(resolve, CHECK_MS));
    if (!isClosed && (await takeToken())) {
      dialog.close();
      return true;
    }
  }
  return false;
}

// Cards and other parts ask for themselves: the answer that leads to the login page must not take this page away.
document.addEventListener("htmx:beforeOnLoad", (event) => {
  const { elt, xhr, requestConfig } = event.detail;
  if (xhr.status !== 401 || requestConfig.triggeringEvent?.isTrusted || !dialog) return;
  event.preventDefault();
  const askAgain = () => elt.isConnected && window.htmx.ajax("GET", requestConfig.path, { source: elt });
  renewSession().then((isRenewed) => isRenewed && elt.matches("[hx-get]") && askAgain()).catch(() => {});
});
