// The JSON API as uploads use it. A request that fails in passing is repeated, and waits while there is no network.
import { checkScripts, csrfToken } from "./requests.js";
import { renewSession } from "./session_dialog.js";
import { t } from "./strings.js";

/** What this page may upload, and where it asks: see templates/tray.html. */
export const policy = JSON.parse(document.getElementById("tray").dataset.policy);
export const RETRY_MS = [0, 1000, 3000, 5000];
const TRANSIENT = new Set([0, 408, 425, 429, 500, 502, 503, 504]);
const FINAL = new Set(["invalid", "unsupported_type", "file_too_large", "forbidden"]);
const TOGETHER_MS = 100;
const BATCH = 25; // the portal looks for committed files one after the other: more would wait for a slow store
const ASSETS = 100; // that the portal describes in one answer
const CHECK_MS = [2000, 2000, 2000, 2000, 2000, 10_000]; // between questions whether a file is checked

/** A failure in words for people. `status` is HTTP's, 0 when there was no answer; `retry_after` is in seconds. */
export class UploadError extends Error {
  constructor(message, { status = 0, code = "", retry_after: retryAfter = 0 } = {}) {
    super(message);
    // Uppy decides by `source.status` whether it sends a part again.
    Object.assign(this, { status, code, retryAfter, source: { status } });
  }
}

/** May a new upload of the same file succeed? Not where its name, type or size was judged, or the person may not. */
export const mayHelp = ({ code }) => !FINAL.has(code);

/** May the same request succeed a moment later? */
export const isTransient = ({ status, retryAfter }) => TRANSIENT.has(status) && retryAfter <= 10;

/** Resolves after so many milliseconds, or later: when there is a network. */
export async function waitToRetry(ms) {
  await new Promise((resolve) => setTimeout(resolve, ms));
  if (!navigator.onLine) await new Promise((resolve) => window.addEventListener("online", resolve, { once: true }));
}

/** Ask the API of this workspace (docs/api.md); `path` begins behind the workspace's address. */
export async function request(method, path, body, attempt = 0) {
  try {
    const headers = { Accept: "application/json", "Content-Type": "application/json", "X-CSRFToken": csrfToken() };
    const options = { method, headers, body: body && JSON.stringify(body) };
    const answer = await fetch(policy.api_url + path, options).catch(() => {
      throw new UploadError(t("error_offline"));
    });
    checkScripts(answer);
    const data = await answer.json().catch(() => ({}));
    if (answer.ok) return data;
    const isOver = answer.status === 401 || data.code === "csrf"; // csrf: logged in again, in another tab
    if (isOver && attempt < RETRY_MS.length && (await renewSession())) return request(method, path, body, attempt + 1);
    const code = answer.headers.get("X-Request-ID");
    const words = answer.status === 401 ? t("error_login") : data.detail || t("error_any", { code });
    throw new UploadError(words, { ...data, status: answer.status });
  } catch (error) {
    if (attempt === RETRY_MS.length || !isTransient(error)) throw error;
    await waitToRetry(RETRY_MS[attempt]);
    return request(method, path, body, attempt + 1);
  }
}

/** A function of one item; what it is called with within a moment goes to `ask` together, at most so many items. */
function together(most, ask) {
  const waiting = [];
  async function send() {
    const some = waiting.splice(0, most);
    if (waiting.length) setTimeout(send);
    const failAll = (error) => some.map(() => error);
    const outcomes = await ask(some.map(({ item }) => item)).catch(failAll);
    some.forEach(({ resolve, reject }, at) => (outcomes[at] instanceof Error ? reject : resolve)(outcomes[at]));
  }
  return (item) =>
    new Promise((resolve, reject) => {
      if (waiting.push({ item, resolve, reject }) === 1) setTimeout(send, TOGETHER_MS);
    });
}

/** Posts many items in a request; an answer has the member `wanted`, or is a problem of that item alone. */
const batch = (path, wanted) =>
  together(BATCH, async (items) => {
    const { items: outcomes = [] } = await request("POST", path, { items });
    return items.map((_, at) => {
      const outcome = outcomes[at] ?? {};
      if (wanted in outcome) return outcome;
      return outcome.code ? new UploadError(outcome.detail, outcome) : new UploadError(t("outdated"), { status: 409 });
    });
  });

/** Open an upload; the same `idempotency_key` answers the same one, signed anew. */
export const begin = batch("/uploads/batch", "upload_id");

/** The bytes of `{upload_id}` are there; answers {upload_id, asset_id, status}. Safe to repeat. */
export const commit = batch("/uploads/batch/commit", "asset_id");

const findAsset = together(ASSETS, async (ids) => {
  const { items } = await request("GET", `/assets?ids=${ids.join(",")}`);
  return ids.map((id) => items.find((asset) => asset.asset_id === id) ?? null);
});

/** The asset as soon as it has left "processing"; null when it can not be seen any more. */
export async function checked(id, round = 0) {
  const period = CHECK_MS[round] ?? CHECK_MS.at(-1);
  // At the same moments for all files, so that they share a request.
  await new Promise((resolve) => setTimeout(resolve, period - (Date.now() % period)));
  const asset = await findAsset(id).catch((error) => {
    if (!isTransient(error)) throw error; // logged out, say
    return { status: "processing" };
  });
  return asset?.status === "processing" ? checked(id, round + 1) : asset;
}
