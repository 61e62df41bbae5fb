// The JSON API as uploads use it. A request that fails in passing is repeated, and waits while there is no network.
import { checkScripts, csrfToken } from "./requests.js";
import { t } from "./strings.js";

/** What this page may upload, and where it asks: see templates/tray.html. */
export const policy = JSON.parse(document.getElementById("tray").dataset.policy);
export const RETRY_MS = [0, 1000, 3000, 5000];
const TRANSIENT = new Set([0, 408, 425, 429, 500, 502, 503, 504]);
const FINAL = new Set(["invalid", "unsupported_type", "file_too_large", "forbidden"]);
const TOGETHER_MS = 100;
const BATCH = 25; // the portal looks for committed files one after the other: more would wait for a slow store
const ASSETS = 100; // that the portal describes in one answer

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

async function request(method, url, body, attempt = 0) {
  try {
    const headers = { Accept: "application/json", "Content-Type": "application/json", "X-CSRFToken": csrfToken() };
    const answer = await fetch(url, { method, headers, body: body && JSON.stringify(body) }).catch(() => {
      throw new UploadError(t("error_offline"));
    });
    checkScripts(answer);
    const data = answer.status === 204 ? null : await answer.json().catch(() => ({}));
    if (answer.ok) return data;
    const code = answer.headers.get("X-Request-ID");
    const words = answer.status === 401 ? t("error_login") : data.detail || t("error_any", { code });
    throw new UploadError(words, { ...data, status: answer.status });
  } catch (error) {
    if (attempt === RETRY_MS.length || !isTransient(error)) throw error;
    await waitToRetry(RETRY_MS[attempt]);
    return request(method, url, body, attempt + 1);
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
const batch = (url, wanted) =>
  together(BATCH, async (items) => {
    const { items: outcomes = [] } = await request("POST", url, { items });
    return items.map((_, at) => {
      const outcome = outcomes[at] ?? {};
      if (wanted in outcome) return outcome;
      return outcome.code ? new UploadError(outcome.detail, outcome) : new UploadError(t("outdated"), { status: 409 });
    });
  });

/** Open an upload; the same `idempotency_key` answers the same one, signed anew. */
export const begin = batch(`${policy.uploads_url}/batch`, "upload_id");

/** The bytes of `{upload_id}` are there; answers {upload_id, asset_id, status}. Safe to repeat. */
export const commit = batch(`${policy.uploads_url}/batch/commit`, "asset_id");

/** An asset as the API describes it; null when it can not be seen any more. */
export const findAsset = together(ASSETS, async (ids) => {
  const { items } = await request("GET", `${policy.assets_url}?ids=${ids.join(",")}`);
  return ids.map((id) => items.find((asset) => asset.asset_id === id) ?? null);
});

/** The requests that send these parts: [{part_number, url, headers}]. */
export const signParts = async (id, numbers) =>
  (await request("POST", `${policy.uploads_url}/${id}/parts`, { part_numbers: numbers })).parts;

/** The parts of an upload that have arrived: [{part_number, etag}]. */
export const arrivedParts = async (id) => (await request("GET", `${policy.uploads_url}/${id}`)).parts;

/** This person's unfinished uploads here, at most a hundred. */
export const openUploads = async () => (await request("GET", `${policy.uploads_url}?limit=100`)).items;

/** Cancel an upload, which frees what it reserved. A failure does not matter: it expires by itself. */
export const cancel = (id) => request("DELETE", `${policy.uploads_url}/${id}`).catch(() => null);

/** Make the folders of these paths; answers [{path, library_id, folder_id, detail}]. Safe to repeat. */
export const makeFolders = async (body) => (await request("POST", policy.paths_url, body)).items;
