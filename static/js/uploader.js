// The uploader: Uppy's Dashboard in the tray. Uppy lists the files, sends and repeats; the portal begins and commits.
// Which part of it is Uppy's, and why: docs/adr/0014-uppy-does-the-scheduling.md.
import { RateLimitedQueue } from "../vendor/uppy-utils/RateLimitedQueue.js";
import { checked } from "./asset_poll.js";
import { isIgnored } from "./dropped_files.js";
import { sha256Of } from "./file_hash.js";
import { findInterrupted, markActive } from "./interrupted_uploads.js";
import { safe, say, sizeWords, t, uppyStrings } from "./strings.js";
import { addProblem, problemCount, removeProblem } from "./upload_problems.js";
import { arrivedParts, begin, cancel, commit, isTransient, mayHelp, policy, RETRY_MS, signPart, UploadError, waitToRetry } from "./uploads_api.js";

const MB = 2 ** 20;
const NAME_LIMIT = 255;
const STALLED_MS = 120_000; // without a byte that moved; 1 Mbit/s empties a browser's buffers in 20 s
// AwsS3 has one queue, in which all parts of a film come before a photo that is added later: so it gets no limit, and
// each kind has a queue of the same class. What was begun is sent before more is begun.
const small = new RateLimitedQueue(25); // files that are begun, together in a request, or wait to be sent
const sending = new RateLimitedQueue(4); // of them
const large = new RateLimitedQueue(3); // files that are read, and parts
const [SIGN, SEND] = [1, 2].map((priority) => ({ priority }));
const tray = document.getElementById("tray");
const sessions = new Map(); // Uppy's file id, which is the idempotency key → {uploadId, sha256, attempts, …}
let uppy = null;

/** Load Uppy and put its Dashboard into the tray. Answers {add(files)}; rejects when it can not be loaded. */
export async function start() {
  document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: tray.dataset.uppyCss }));
  await import(tray.dataset.uppyJs);
  const { Uppy, Dashboard, AwsS3 } = window.Uppy;
  const silent = { debug() {}, warn() {}, error() {} }; // problems are shown in the tray
  uppy = new Uppy({ id: "stowage", autoProceed: true, logger: silent, locale: { strings: uppyStrings }, onBeforeFileAdded: admit });
  const target = document.getElementById("tray-body");
  target.replaceChildren();
  const dashboard = { ...JSON.parse(tray.dataset.dashboard), target, theme: document.documentElement.dataset.bsTheme, doneButtonHandler: null };
  uppy.use(Dashboard, { ...dashboard, showNativePhotoCameraButton: matchMedia("(pointer: coarse)").matches });
  const sendFile = small.wrapPromiseFunction(sending.wrapPromiseFunction(send), SEND);
  const sendPart = large.wrapPromiseFunction(send, SEND);
  uppy.use(AwsS3, {
    limit: 0,
    retryDelays: RETRY_MS,
    shouldUseMultipart: isLarge,
    getChunkSize: ({ size }) => Math.max(policy.parts.part_bytes, Math.ceil(size / (policy.parts.most * MB)) * MB), // uploads/part_plan.py
    getUploadParameters: small.wrapPromiseFunction((file, { signal }) => open(file, signal)),
    createMultipartUpload: large.wrapPromiseFunction(openInParts),
    signPart: large.wrapPromiseFunction(sign, SIGN),
    listParts: async (file, { uploadId }) => (await arrivedParts(uploadId)).map((part) => ({ PartNumber: part.part_number, ETag: part.etag })),
    completeMultipartUpload: async () => ({}), // the commit does
    abortMultipartUpload: async () => {}, // the portal does, when the file is taken off the list
    uploadPartBytes: (options) => (options.signature.isPart ? sendPart : sendFile)(options),
  });
  uppy.addPostProcessor((ids) => Promise.all(ids.map((id) => sessions.get(id)?.outcome)));
  // With a single file, Uppy's list does not say that it is one.
  const nameList = () => target.querySelector(".uppy-Dashboard-files:not([role])")?.setAttribute("role", "list");
  new MutationObserver(nameList).observe(target, { childList: true, subtree: true });
  listen();
  return { add };
}

/** Take files in: [{file, path, place}]. Those that can not be taken are named with the reason; the others start at once. */
function add(files) {
  if (!uppy.getFiles().some(isUnfinished)) uppy.removeFiles(uppy.getFiles().map((file) => file.id));
  uppy.addFiles(files.map(({ file, path, place }) => ({ name: file.name, type: file.type, data: file, source: "stowage", meta: { relativePath: path || null, place } })));
}

/** Why a file can not be taken, in words; null when it can. The portal decides the same again. */
function refusal(name, size) {
  const extension = name.includes(".") ? name.split(".").pop().toLowerCase() : "";
  const kind = policy.kinds.find(({ extensions }) => extensions.includes(extension));
  if (!kind) return t("file_type");
  if (!size) return t("file_empty");
  if (size > kind.limit_bytes) return t("file_large", { size: sizeWords(size), limit: sizeWords(kind.limit_bytes) });
  return [...name].length > NAME_LIMIT ? t("file_name_long") : null;
}

const identity = ({ data, meta }) => [data.name, meta.relativePath, data.size, data.lastModified].join("/");
const isUnfinished = (file) => !file.error && !file.progress.complete;

/** Uppy's `onBeforeFileAdded`. The list shows names as the pages do; the portal gets the file's own. */
function admit(given, files) {
  if (given.data.webkitRelativePath && isIgnored(given.data.name)) return false; // a folder chosen in Uppy's own list
  const name = safe(given.name);
  // Uppy's own ids are the same for names that differ in capitals only.
  const id = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const key = identity(given);
  const isTwice = () => Object.values(files).some((other) => other.size === given.size && isUnfinished(other) && identity(other) === key);
  const reason = refusal(given.data.name, given.size) || (isTwice() && t("file_twice"));
  if (reason) addProblem(key, name, reason);
  else removeProblem(key);
  return reason ? false : { ...given, id, name, meta: { ...given.meta, name } };
}

/** Does a file go in parts, as far as the page can tell? The portal has the last word. */
const isLarge = (file) => file.size >= policy.parts.from_bytes && !sessions.get(file.id).single;

/** Read a file and open its upload at the portal, which may do so again: it answers the same upload, signed anew. */
async function beginFile(file, signal, find = () => null) {
  signal.throwIfAborted();
  const session = sessions.get(file.id);
  const spec = { file_name: file.data.name, mime_type: file.type || "application/octet-stream", size_bytes: file.size, ...file.meta.place };
  spec.sha256 = session.sha256 ??= await sha256Of(file.data).catch(() => {
    throw new UploadError(t("file_unreadable"), { status: 422 });
  });
  if (file.size >= policy.parts.from_bytes) spec.resumable_protocol = "s3_multipart";
  if (!sessions.has(file.id)) throw new DOMException("removed", "AbortError");
  session.interrupted = await find(spec);
  const upload = session.interrupted || (await begin({ ...spec, idempotency_key: file.id }));
  session.uploadId = upload.upload_id;
  if (!sessions.has(file.id)) release(session); // taken off the list while the portal was asked
  return upload;
}

async function open(file, signal) {
  const { method, upload_url: url, fields, headers } = await beginFile(file, signal);
  return { method, url, fields: fields || {}, headers: headers || {} };
}

async function openInParts(file, signal) {
  const session = sessions.get(file.id);
  uppy.setFileMeta(file.id, { reading: true });
  const upload = await beginFile(file, signal, findInterrupted).finally(() => uppy.setFileMeta(file.id, { reading: false }));
  session.single = upload.method !== "s3_multipart"; // the page was made while the store took parts
  session.stopActive ??= session.single ? null : markActive(upload.upload_id);
  // Uppy asks which parts have arrived only for an upload that it knows from before: the file starts again (sendAgain).
  if (session.single || session.interrupted) throw new UploadError(t("file_network"));
  return { uploadId: upload.upload_id, key: upload.upload_id };
}

async function sign(file, { uploadId, partNumber, signal }) {
  signal.throwIfAborted();
  return { ...(await signPart(uploadId, partNumber)), isPart: true };
}

/** Uppy's own waits for ever where a connection moves nothing, and where a store sends no ETag. */
function send({ signature: { url, headers = {}, method = "PUT" }, body, size, onProgress, onComplete, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    let timer = 0;
    const progress = (loaded) => {
      clearTimeout(timer);
      timer = setTimeout(abort, STALLED_MS);
      onProgress({ loaded: Math.min(loaded, size), lengthComputable: true });
    };
    signal.throwIfAborted();
    signal.addEventListener("abort", abort);
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded }) => progress(loaded);
    request.onloadend = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      const { status } = request;
      if (signal.aborted) return reject(signal.reason);
      if (status < 200 || status > 299) return reject(new UploadError(status ? t("file_store", { status }) : t("file_network"), { status }));
      const ETag = request.getResponseHeader("ETag") || "";
      onProgress({ loaded: size, lengthComputable: true });
      onComplete(ETag);
      resolve({ ETag });
    };
    request.send(body);
    progress(0);
  });
}

/** The bytes are there: commit, then wait until they are checked. Never rejects. */
async function finish(file) {
  const session = sessions.get(file.id);
  uppy.emit("postprocess-progress", file, { mode: "indeterminate", message: t("uploads_checking") });
  try {
    const { asset_id: assetId } = await commit({ upload_id: session.uploadId });
    session.committed = true;
    release(session);
    document.dispatchEvent(new CustomEvent("stowage:committed", { detail: { assetId, place: file.meta.place } }));
    const asset = await checked(assetId);
    if (asset && asset.status !== "available" && asset.status !== "deleted") {
      const words = asset.scan?.verdict === "infected" ? t("file_infected") : asset.reason?.detail || asset.status;
      throw new UploadError(words, { status: 422, code: asset.reason?.code });
    }
    say(t("file_ready", { name: file.name }));
    uppy.emit("postprocess-complete", uppy.getFile(file.id));
  } catch (error) {
    giveUp(file, error);
  }
}

/** Milliseconds after which a file is sent again by itself; undefined when it is not. */
function repeatAfter(session, error) {
  const attempt = session.attempts++;
  // Only the store refuses without a code: what slept longer than its signature lives gets a new one, once.
  if (error.status === 403 && !error.code) return attempt ? undefined : 0;
  return isTransient(error) ? RETRY_MS[attempt] : undefined;
}

async function sendAgain(file, wait) {
  const { uploadId } = sessions.get(file.id);
  uppy.setFileState(file.id, { error: null, s3Multipart: isLarge(file) && uploadId ? { uploadId, key: uploadId } : undefined });
  uppy.setState({ error: null });
  await waitToRetry(wait);
  if (uppy.getFile(file.id)) uppy.retryUpload(file.id).catch(() => {});
}

/** Move a file from Uppy's list, whose progress is then about the others, to that of what was not uploaded. */
function giveUp(file, error) {
  const session = sessions.get(file.id);
  if (!session) return;
  const retry = () => add([{ file: file.data, path: file.meta.relativePath, place: file.meta.place }]);
  const link = error.code === "quota_exceeded" ? { href: policy.more_space_url, words: t("more_space") } : null;
  addProblem(identity(file), file.name, error.message, !session.committed && mayHelp(error) ? retry : null, link);
  session.kept = isLarge(file); // what has arrived stays at the portal: another attempt goes on from there
  uppy.removeFile(file.id);
  uppy.setState({ error: null });
}

/** The page sends it no more; what was begun and is neither committed nor kept is cancelled at the portal. */
function release({ uploadId, stopActive, committed, kept }) {
  stopActive?.();
  if (uploadId && !committed && !kept) cancel(uploadId);
}

function listen() {
  uppy.on("file-added", ({ id }) => sessions.set(id, { attempts: 0 }));
  uppy.on("file-removed", ({ id }) => {
    const session = sessions.get(id);
    sessions.delete(id);
    release(session);
  });
  uppy.on("s3-multipart:part-uploaded", ({ id }) => (sessions.get(id).attempts = 0));
  uppy.on("upload-success", (file) => (sessions.get(file.id).outcome = finish(file)));
  uppy.on("upload-error", (file, error) => {
    const session = sessions.get(file.id);
    const wait = session && repeatAfter(session, error);
    // After Uppy is done with the event; by then the file may have been taken off the list.
    setTimeout(() => sessions.has(file.id) && (wait === undefined ? giveUp(file, error) : sendAgain(file, wait)));
  });
  uppy.store.subscribe(showState);
  document.addEventListener("stowage:problems", showState);
  document.addEventListener("stowage:theme", ({ detail }) => uppy.getPlugin("Dashboard").setOptions({ theme: detail.theme }));
  window.addEventListener("beforeunload", (event) => {
    if (uppy.getFiles().some((file) => isUnfinished(file) && !sessions.get(file.id)?.committed)) event.preventDefault();
  });
}

const sum = (files, of) => files.reduce((total, file) => total + (of(file) || 0), 0);
let shown = {};

// The button in the top bar says in words how it stands, also while the tray is hidden.
function showState() {
  const files = uppy.getFiles().filter((file) => !file.error);
  const done = files.filter((file) => file.progress.complete).length;
  const sent = files.filter((file) => file.progress.uploadComplete).length;
  const bytes = sum(files, (file) => file.progress.bytesUploaded);
  const percent = Math.min(99, Math.floor((100 * bytes) / (sum(files, (file) => file.size) || 1)));
  const reading = !bytes && files.some((file) => file.meta.reading);
  const words = [];
  if (sent < files.length && files.every((file) => file.progress.uploadComplete || file.isPaused)) words.push(t("uploads_paused", { percent }));
  else if (reading) words.push(t("uploads_reading"));
  else if (sent < files.length) words.push(t("uploads_moving", { done: sent, all: files.length, percent }));
  else if (done < files.length) words.push(t("uploads_checking"));
  else if (done) words.push(t("uploads_done", { done }));
  if (problemCount()) words.push(t("uploads_failed", { failed: problemCount() }));
  document.getElementById("tray-words").textContent = words.join(" · ");
  const bar = document.getElementById("tray-progress");
  bar.hidden = done === files.length;
  if (sent < files.length) bar.value = percent;
  else bar.removeAttribute("value");
  tray.toggleAttribute("data-few", files.length < 3);
  // Before the first byte Uppy would say that 0 s are left.
  const [wasReading, hadDetails] = [shown.reading, shown.details];
  shown = { reading, details: bytes > 0 };
  if (shown.details !== hadDetails) uppy.getPlugin("Dashboard").setOptions({ hideProgressDetails: !shown.details });
  if (reading !== wasReading) uppy.setOptions({ locale: { strings: { ...uppyStrings, ...(reading && { uploading: t("uploads_reading") }) } } });
}
