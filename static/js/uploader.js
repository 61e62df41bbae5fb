// The uploader: Uppy's Dashboard in the tray. Uppy lists the files, sends and repeats; the portal begins and commits.
// Which part of it is Uppy's, and why: docs/adr/0014-uppy-does-the-scheduling.md.
import { RateLimitedQueue } from "../vendor/uppy-utils/RateLimitedQueue.js";
import { fetcher } from "../vendor/uppy-utils/fetcher.js";
import { sha256Of } from "./file_hash.js";
import { makePlaces } from "./folder_paths.js";
import { findInterrupted, markActive } from "./interrupted_uploads.js";
import { percentWords, safe, say, sizeWords, t, uppyStrings } from "./strings.js";
import { here } from "./tray.js";
import { addProblem, problemCount, removeProblem } from "./upload_problems.js";
import * as api from "./uploads_api.js";

const { policy, RETRY_MS, UploadError } = api;
const MB = 2 ** 20;
const STALLED_MS = 120_000; // without a byte that moved; 1 Mbit/s empties a browser's buffers in 20 s
const PAUSED_MS = 300; // between looks
const SIGNED = 8; // parts in a request
const OCTETS = "application/octet-stream";
// What systems and office programs leave in folders: nobody means to upload it, or to read that it was refused.
const IGNORED = /^(\.DS_Store|Thumbs\.db|desktop\.ini|\._.*|~\$.*)$/i;
// AwsS3 has one queue, in which all parts of a film come before a photo that is added later: so it gets no limit, and
// each kind has a queue of the same class. What was begun is sent before more is begun.
const small = new RateLimitedQueue(25); // files that are begun, together in a request, or wait to be sent
const sending = new RateLimitedQueue(4); // of them
const large = new RateLimitedQueue(3); // files that are read, and parts
const FIRST = { priority: 1 };
const beginSmall = small.wrapPromiseFunction(begin);
const beginLarge = large.wrapPromiseFunction(begin);
const sendFile = small.wrapPromiseFunction(sending.wrapPromiseFunction(send), FIRST);
const sendPart = large.wrapPromiseFunction(signAndSend, FIRST);
const tray = document.getElementById("tray");
const sessions = new Map(); // Uppy's file id, which is the idempotency key → {id, place, sha256, upload, …}
let uppy = null;

/** Load Uppy and put its Dashboard into the tray. Answers {add(files, place)}; rejects when it can not be loaded. */
export async function start() {
  const css = document.createElement("link");
  document.head.append(Object.assign(css, { rel: "stylesheet", href: tray.dataset.uppyCss }));
  await import(tray.dataset.uppyJs);
  const { Uppy, Dashboard, AwsS3 } = window.Uppy;
  const logger = { debug() {}, warn() {}, error() {} }; // problems are shown in the tray
  uppy = new Uppy({ id: "stowage", logger, locale: { strings: uppyStrings }, onBeforeFileAdded: admit });
  const target = document.getElementById("tray-body");
  target.replaceChildren();
  const theme = document.documentElement.dataset.bsTheme;
  const showNativePhotoCameraButton = matchMedia("(pointer: coarse)").matches;
  uppy.use(Dashboard, { ...JSON.parse(tray.dataset.dashboard), target, theme, showNativePhotoCameraButton });
  uppy.use(AwsS3, {
    limit: 0,
    retryDelays: RETRY_MS,
    shouldUseMultipart: ({ id }) => isInParts(sessions.get(id)),
    getChunkSize,
    getUploadParameters,
    signPart: async ({ id }, { partNumber }) => ({ id, partNumber }), // just before it is sent
    uploadPartBytes: (options) => (options.signature.partNumber ? sendPart : sendFile)(options),
    listParts,
    completeMultipartUpload: async () => ({}), // the commit does
    abortMultipartUpload: async () => {}, // the portal does, when the file is taken off the list
  });
  uppy.addPreProcessor(([id]) => (isLarge(uppy.getFile(id)) ? beginLarge : beginSmall)(uppy.getFile(id)));
  uppy.addPostProcessor(([id]) => finish(uppy.getFile(id)));
  listen();
  return { add };
}

/** Take files in: [{file, path}]. Those that can not be taken are named with the reason; the others start at once. */
function add(files, place) {
  if (!uppy.getFiles().some(isUnfinished)) uppy.removeFiles(uppy.getFiles().map((file) => file.id));
  const meta = (path) => ({ relativePath: path, place });
  uppy.addFiles(files.map(({ file, path }) => ({ name: file.name, type: file.type, data: file, meta: meta(path) })));
}

/** Why a file can not be taken, in words; null when it can. The portal decides the same again. */
function refusal(name, size) {
  const extension = name.includes(".") ? name.trim().split(".").pop().toLowerCase() : "";
  const kind = policy.kinds.find(({ extensions }) => extensions.includes(extension));
  if (!kind) return t("file_type");
  if (!size) return t("file_empty");
  const isLarger = size > kind.limit_bytes;
  return isLarger ? t("file_large", { size: sizeWords(size), limit: sizeWords(kind.limit_bytes) }) : null;
}

const identity = ({ data, meta }) => [data.name, meta.relativePath, data.size, data.lastModified].join("/");
const isUnfinished = (file) => !file.progress.complete;

/** Uppy's `onBeforeFileAdded`. The list shows names as the pages do; the portal gets the file's own. */
function admit(given, files) {
  if (IGNORED.test(given.data.name)) return false;
  const name = safe(given.name);
  const key = identity(given);
  const isTwice = () => Object.values(files).some((other) => isUnfinished(other) && identity(other) === key);
  const reason = refusal(given.data.name, given.size) || (isTwice() && t("file_twice"));
  if (reason) addProblem(key, name, reason);
  else removeProblem(key);
  // Uppy's own ids are the same for names that differ in capitals only. (`randomUUID` needs a secure page.)
  const id = crypto.getRandomValues(new Uint32Array(4)).join("-");
  return reason ? false : { ...given, id, name, meta: { place: here(), ...given.meta, name } };
}

/** Start what was added together, each file by itself: Uppy's own start would also send again what has failed. */
async function startFiles(files) {
  for (const { id } of files) sessions.set(id, { id, attempts: 0 });
  uppy.emit("upload-start", files); // or Uppy would offer a button that starts them
  const failAll = (error) => files.map((file) => [file, error]);
  for (const [file, place] of files.length ? await makePlaces(files).catch(failAll) : []) {
    if (place instanceof Error) giveUp(file, place);
    else if (sessions.has(file.id)) run(Object.assign(sessions.get(file.id), { place }));
  }
}

const run = ({ id }) => uppy.retryUpload(id).catch((error) => recover(id, error));
const isLarge = ({ size }) => size >= policy.parts.from_bytes;
const isInParts = ({ upload }) => upload?.method === "s3_multipart"; // as the portal decided
const getChunkSize = ({ size }) => Math.max(policy.parts.part_bytes, Math.ceil(size / (policy.parts.most * MB)) * MB);

/** Uppy pauses what it sends; what is not there yet waits by this. */
async function whilePaused({ id }) {
  while (uppy.getFile(id)?.isPaused) await new Promise((resolve) => setTimeout(resolve, PAUSED_MS));
}

/** Uppy's pre-processor: the portal opens the upload of a file, or answers the same one, signed anew. */
async function begin(file) {
  await whilePaused(file);
  const session = sessions.get(file.id);
  if (!session) return; // taken off the list
  if (isLarge(file)) uppy.emit("preprocess-progress", file, { mode: "indeterminate", message: t("uploads_reading") });
  session.sha256 ??= await sha256Of(file.data);
  if (!sessions.has(file.id)) return;
  const { data, size, type } = file;
  const spec = { ...session.place, file_name: data.name, mime_type: type || OCTETS, size_bytes: size };
  spec.sha256 = session.sha256;
  if (isLarge(file)) spec.resumable_protocol = "s3_multipart";
  if (!isInParts(session)) {
    const interrupted = isLarge(file) && (await findInterrupted(spec));
    session.upload = interrupted || (await api.begin({ ...spec, idempotency_key: file.id }));
  }
  session.signed = new Map();
  await whilePaused(file);
  if (!sessions.has(file.id)) return release(session); // taken off the list while the portal was asked
  uppy.emit("preprocess-complete", file);
  if (!isInParts(session)) return;
  const { upload_id: uploadId } = session.upload;
  session.stopActive ??= markActive(uploadId);
  uppy.setFileState(file.id, { s3Multipart: { uploadId, key: uploadId } }); // Uppy asks which parts have arrived
}

function getUploadParameters({ id }) {
  const { method, upload_url: url, fields, headers } = sessions.get(id).upload;
  return { method, url, fields, headers };
}

async function listParts(file, { uploadId }) {
  const { parts } = await api.request("GET", `/uploads/${uploadId}`);
  return parts.map(({ part_number: PartNumber, etag: ETag }) => ({ PartNumber, ETag }));
}

/** Send a part. The portal asks the store whenever it signs, so the next parts are signed along. */
async function signAndSend({ signature: { id, partNumber }, signal, ...options }) {
  signal.throwIfAborted();
  const { signed, upload } = sessions.get(id);
  const { size } = uppy.getFile(id);
  const last = Math.min(partNumber + SIGNED - 1, Math.ceil(size / getChunkSize({ size })));
  if (!signed.has(partNumber)) {
    const numbers = Array.from({ length: last - partNumber + 1 }, (_, at) => partNumber + at);
    const request = api.request("POST", `/uploads/${upload.upload_id}/parts`, { part_numbers: numbers });
    for (const number of numbers) signed.set(number, request);
  }
  const request = signed.get(partNumber);
  signed.delete(partNumber); // one that is sent again is signed anew
  const signature = (await request).parts.find(({ part_number: number }) => number === partNumber);
  return send({ signature, signal, ...options });
}

/** Uppy's own waits for ever where a connection moves nothing, and where a store sends no ETag (Ceph on a POST). */
async function send({ signature: { url, headers, method = "PUT" }, body, size, onProgress, onComplete, signal }) {
  const stalled = new AbortController();
  const request = await fetcher(url, {
    method, headers, body, retries: 0, timeout: STALLED_MS,
    signal: AbortSignal.any([signal, stalled.signal]),
    onTimeout: () => stalled.abort(),
    onBeforeRequest: ({ upload }) => upload.dispatchEvent(new ProgressEvent("progress")), // the time-out starts now
    onUploadProgress: ({ loaded }) => onProgress({ loaded: Math.min(loaded, size), lengthComputable: true }),
  }).catch((error) => {
    signal.throwIfAborted();
    const status = error.request?.status ?? 0;
    throw new UploadError(status ? t("file_store", { status }) : t("file_network"), { status });
  });
  const ETag = request.getResponseHeader("ETag") || "";
  onProgress({ loaded: size, lengthComputable: true });
  onComplete(ETag);
  return { ETag };
}

/** Uppy's post-processor: commit what has arrived, then wait until it is checked. */
async function finish(file) {
  if (!file.progress.uploadComplete) return;
  const session = sessions.get(file.id);
  uppy.emit("postprocess-progress", file, { mode: "indeterminate", message: t("uploads_checking") });
  try {
    const { asset_id: assetId } = await api.commit({ upload_id: session.upload.upload_id });
    session.committed = true;
    session.stopActive?.();
    const detail = { assetId, place: session.place };
    document.dispatchEvent(new CustomEvent("stowage:committed", { detail }));
    const asset = await api.checked(assetId);
    if (asset && asset.status !== "available" && asset.status !== "deleted") {
      const words = asset.scan?.verdict === "infected" ? t("file_infected") : asset.reason?.detail || asset.status;
      throw new UploadError(words, { status: 422, code: asset.reason?.code });
    }
    say(t("file_ready", { name: file.name }));
  } catch (error) {
    giveUp(file, error);
  }
}

/** Send a file again by itself where that may help; else name it among those that were not uploaded. */
async function recover(id, error) {
  const session = sessions.get(id);
  if (!session) return; // taken off the list
  // Only the store refuses without a code: what slept longer than its signature lives gets a new one, once.
  const delays = error.status === 403 && !error.code ? [0] : api.isTransient(error) ? RETRY_MS : [];
  if (session.attempts >= delays.length) return giveUp(uppy.getFile(id), error);
  uppy.setFileState(id, { error: null });
  uppy.setState({ error: null });
  await api.waitToRetry(delays[session.attempts++]);
  if (sessions.has(id)) run(session);
}

/** Move a file from Uppy's list, whose progress is then about the others, to that of what was not uploaded. */
function giveUp(file, error) {
  const session = sessions.get(file.id);
  if (!session) return;
  const retry = () => add([{ file: file.data, path: file.meta.relativePath }], file.meta.place);
  const link = error.code === "quota_exceeded" ? { href: policy.more_space_url, words: t("more_space") } : null;
  addProblem(identity(file), file.name, error.message, !session.committed && api.mayHelp(error) ? retry : null, link);
  session.kept = isInParts(session); // what has arrived stays at the portal: another attempt goes on from there
  uppy.removeFile(file.id);
  uppy.setState({ error: null });
}

/** The page sends it no more; what was begun and is neither committed nor kept is cancelled, or expires by itself. */
function release({ upload, stopActive, committed, kept }) {
  stopActive?.();
  if (upload && !committed && !kept) api.request("DELETE", `/uploads/${upload.upload_id}`).catch(() => {});
}

function listen() {
  uppy.on("files-added", startFiles);
  uppy.on("file-removed", ({ id }) => {
    const session = sessions.get(id);
    sessions.delete(id);
    release(session);
  });
  uppy.on("s3-multipart:part-uploaded", ({ id }) => (sessions.get(id).attempts = 0));
  uppy.on("upload-error", ({ id }, error) => setTimeout(recover, 0, id, error)); // after Uppy is done with the event
  uppy.store.subscribe(showState);
  document.addEventListener("stowage:problems", showState);
  for (const name of ["online", "offline"]) window.addEventListener(name, showState);
  const setTheme = ({ detail: { theme } }) => uppy.getPlugin("Dashboard").setOptions({ theme });
  document.addEventListener("stowage:theme", setTheme);
  window.addEventListener("beforeunload", (event) => {
    if (uppy.getFiles().some((file) => isUnfinished(file) && !sessions.get(file.id)?.committed)) event.preventDefault();
  });
}

// The tray, and the button in the top bar while it is hidden, say in words how it stands.
function showState() {
  const files = uppy.getFiles();
  const { completeFiles, isAllPaused } = uppy.getObjectOfFilesPerState();
  const [all, sent] = [files.length, completeFiles.length];
  const done = all - files.filter(isUnfinished).length;
  const isSending = files.some(({ progress }) => progress.bytesUploaded);
  const percent = Math.min(99, uppy.getState().totalProgress);
  const words = [];
  if (!navigator.onLine && done < all) words.push(t("uploads_offline"));
  else if (isAllPaused) words.push(t("uploads_paused", { percent: percentWords(percent) }));
  else if (!isSending && files.some(({ progress }) => progress.preprocess)) words.push(t("uploads_reading"));
  else if (sent < all) words.push(t("uploads_moving", { done: sent, all, percent: percentWords(percent) }));
  else if (done < all) words.push(t("uploads_checking"));
  else if (done) words.push(t("uploads_done", { done }));
  if (problemCount()) words.push(t("uploads_failed", { failed: problemCount() }));
  for (const element of document.querySelectorAll("[data-upload-words]")) element.textContent = words.join(" · ");
  Object.assign(document.getElementById("tray-progress"), { value: percent, hidden: done === all });
  tray.toggleAttribute("data-few", all < 3);
  // Before the first byte Uppy would say that 0 s are left.
  tray.toggleAttribute("data-sending", isSending);
  // With a single file, Uppy's list does not say that it is one.
  tray.querySelector(".uppy-Dashboard-files:not([role])")?.setAttribute("role", "list");
}
