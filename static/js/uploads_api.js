// The portal's side of an upload: begin, sign, commit, cancel; and the bytes on their way to the store.
import { csrfToken } from "./requests.js";
import { t } from "./strings.js";
import { together } from "./batch.js";

const SILENT_MS = 120_000; // a line that moves nothing for so long is dead: 1 Mbit/s empties a browser's buffers in 20 s
const RETRY_MS = [0, 1000, 3000, 5000];
const PASSING = new Set([0, 408, 425, 429, 500, 502, 503, 504]);
const JUDGED = new Set(["invalid", "unsupported_type", "file_too_large", "forbidden"]);
// The portal takes a hundred in a call. Fewer fail together when it is away, and those who wait on a slow store wait less.
const MOST = 25;
const COMMITS_AT_ONCE = 3; // each file that is committed is looked for in the store, one after the other
const MAY_BE_ONES = new Set([400, 422, 500]); // what one file alone can have brought upon a whole request

/** A failure in words for people. `status` is HTTP's, 0 when there was no answer. */
export class UploadError extends Error {
  constructor(message, { status = 0, code = "", patience = 0 } = {}) {
    super(message);
    this.patience = patience; // seconds after which the portal wants to be asked again
    this.status = status;
    this.code = code;
  }
}

/** May a new upload of the same file succeed? Not where its name, type or size was judged, or the person may not upload. */
export const mayHelp = ({ code }) => !JUDGED.has(code);

/** Is this a failure that another attempt may not meet? */
export const passes = (error) => error instanceof UploadError && PASSING.has(error.status);

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const online = () => new Promise((resolve) => window.addEventListener("online", resolve, { once: true }));

/** Run `attempt` again after 0, 1, 3 and 5 s while the failure is one that passes; while there is no network, wait. */
async function patiently(attempt, signal) {
  for (let failures = 0; ; ) {
    signal?.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      const wait = RETRY_MS[failures];
      if (!passes(error) || error.patience > 10) throw error;
      if (!navigator.onLine) {
        await online();
        failures = 0;
      } else if (wait === undefined) {
        throw error;
      } else {
        await pause(wait);
        failures += 1;
      }
    }
  }
}

async function call(method, url, { body, headers = {}, signal } = {}) {
  let answer;
  try {
    answer = await fetch(url, {
      method,
      signal,
      headers: { Accept: "application/json", "X-CSRFToken": csrfToken(), ...(body && { "Content-Type": "application/json" }), ...headers },
      body: body && JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new UploadError(t("error_offline"));
  }
  if (answer.status === 204) return null;
  const data = await answer.json().catch(() => ({}));
  if (answer.ok) return data;
  if (answer.status === 401) throw new UploadError(t("error_login"), { status: 401 });
  throw refusal({ ...data, status: answer.status }, answer.headers.get("X-Request-ID"));
}

/** A problem of the portal's as an error; `reference` is quoted where it has no words. */
const refusal = ({ detail, status, code, retry_after: patience }, reference) =>
  new UploadError(detail || t("error_any", { code: reference || status }), { status, code, patience });

/** Asks `url` about many items in one request, each with an answer or a problem of its own. */
function many(url, options) {
  const send = async (items) => {
    const answer = await call("POST", url, { body: { items } });
    return answer.items.map((item) => (item.code ? refusal(item) : item));
  };
  return together(send, { most: MOST, isOnes: ({ status }) => MAY_BE_ONES.has(status), ...options });
}

const promiseOf = ({ name, type, size, sha256, place }) => ({
  file_name: name,
  mime_type: type || "application/octet-stream",
  size_bytes: size,
  ...(sha256 && { sha256 }),
  ...place,
});

/** Open an upload in parts; the same `key` may be sent again and answers the same upload. */
export function beginInParts(policy, { key, ...spec }) {
  const body = { ...promiseOf(spec), resumable_protocol: "s3_multipart" };
  return patiently(() => call("POST", policy.begin_url, { body, headers: { "Idempotency-Key": key } }));
}

/**
 * Answers `begin(spec)`, which opens an upload, those that wait together; `turn(go)` says when. The same `key` may be sent
 * again and answers the same upload, freshly signed. Given up before it is sent it rejects, later it answers all the same.
 */
export function beginner(policy, turn) {
  const ask = many(`${policy.begin_url}/batch`, { turn });
  return ({ key, signal, ...spec }) => patiently(() => ask({ ...promiseOf(spec), idempotency_key: key }, signal), signal);
}

/** Make the folders of these paths; answers {items[{path, library_id, folder_id, detail}]}. Safe to repeat. */
export const layPaths = (policy, body) => patiently(() => call("POST", policy.paths_url, { body }));

/** The requests that send these parts: [{part_number, url, headers}]. */
export const signParts = (policy, uploadId, numbers) =>
  patiently(() => call("POST", `${policy.begin_url}/${uploadId}/parts`, { body: { part_numbers: numbers } })).then(({ parts }) => parts);

/** One upload as the portal knows it, with the parts that have arrived. */
export const findUpload = (policy, uploadId) => patiently(() => call("GET", `${policy.uploads_url}/${uploadId}`));

/** This person's unfinished uploads here, at most a hundred. */
export const openUploads = (policy) => patiently(() => call("GET", `${policy.uploads_url}?limit=100`));

/** Answers `commit(uploadId)`: the bytes are there. It answers {upload_id, asset_id, status}; safe to repeat. */
export function committer(policy) {
  const ask = many(`${policy.begin_url}/batch/commit`, { atOnce: COMMITS_AT_ONCE });
  return (uploadId) => patiently(() => ask({ upload_id: uploadId }));
}

/** Give an upload up and free what it reserved. A failure is no matter: it expires by itself. */
export const cancel = (policy, uploadId) => call("DELETE", `${policy.begin_url}/${uploadId}`).catch(() => null);

/** These assets as the API tells them, at most a hundred; what is gone for good is not among the answer. */
export const assets = (policy, ids) => call("GET", `${policy.assets_url}?ids=${ids.join(",")}`).then(({ items }) => items);

function send({ signature: { url, headers = {}, method = "PUT" }, body, size, onProgress, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    let silence = 0;
    let dead = false;
    const listen = () => {
      clearTimeout(silence);
      silence = setTimeout(() => {
        dead = true;
        request.abort();
      }, SILENT_MS);
    };
    const done = (settle, value) => {
      clearTimeout(silence);
      signal?.removeEventListener("abort", stop);
      settle(value);
    };
    request.open(method, url, true);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", listen);
    request.upload.addEventListener("progress", (event) => onProgress?.({ loaded: Math.min(event.loaded, size), lengthComputable: true }));
    request.addEventListener("abort", () => done(reject, dead ? new UploadError(t("file_network")) : new DOMException("cancelled", "AbortError")));
    request.addEventListener("error", () => done(reject, new UploadError(t("file_network"))));
    request.addEventListener("load", () => {
      if (request.status >= 200 && request.status < 300) done(resolve, { ETag: request.getResponseHeader("ETag") || "" });
      else done(reject, new UploadError(t("file_store", { status: request.status }), { status: request.status }));
    });
    signal?.addEventListener("abort", stop, { once: true });
    request.send(body);
    listen();
  });
}

/** Uppy's `uploadPartBytes` with retries, and without its need to read an ETag that some stores do not send. */
export async function sendBytes(options) {
  const result = await patiently(() => send(options), options.signal);
  options.onProgress?.({ loaded: options.size, lengthComputable: true });
  options.onComplete?.(result.ETag);
  return result;
}
