// The uploader: Uppy's Dashboard in the tray, its bytes to the store, its beginnings and ends at the portal.
import { isLitter } from "./dropped_files.js";
import { sha256Of } from "./file_hash.js";
import { hold, matching } from "./interrupted_uploads.js";
import { locale } from "./uppy_locale.js";
import { watchPace } from "./speed.js";
import { beginSmall, readSmall, sending, shipment, Single } from "./parts.js";
import { addProblem, problemCount, removeProblem } from "./upload_problems.js";
import { safe, say, sizeWords, t } from "./strings.js";
import { beginInParts, beginner, cancel, committer, mayHelp, UploadError } from "./uploads_api.js";
import { verdict } from "./asset_poll.js";

const NAME_LIMIT = 255;
const READING_SHOWS = 50 * 2 ** 20; // bytes: reading a smaller file is over before one has read that it goes on
const sessions = new Map(); // Uppy's file id → {key, sha256, uploadId, parts, committed, outcome}
// What goes wrong is told in the tray, in our words.
const silent = { debug() {}, warn() {}, error() {} };
let uppy = null;
let policy = null;
let begin = null;
let commit = null;
let reading = 0; // large files that are being read, before a byte of theirs is sent

/** Load Uppy and put its Dashboard into the tray. Answers {add(files)}; rejects when it can not be loaded. */
export async function start(tray) {
  policy = JSON.parse(tray.dataset.policy);
  begin = beginner(policy, beginSmall);
  commit = committer(policy);
  await Promise.all([load("link", { rel: "stylesheet", href: tray.dataset.uppyCss }), load("script", { src: tray.dataset.uppyJs })]);
  const { Uppy, Dashboard, AwsS3 } = window.Uppy;
  uppy = new Uppy({ id: "stowage", autoProceed: true, logger: silent, locale: locale(), onBeforeFileAdded: admit });
  uppy.use(Dashboard, {
    inline: true,
    target: "#tray-body",
    width: "100%",
    height: "100%",
    theme: document.documentElement.dataset.bsTheme,
    fileManagerSelectionType: "both",
    hideUploadButton: true,
    hidePauseResumeButton: false,
    hideRetryButton: true,
    hideProgressDetails: true,
    showRemoveButtonAfterComplete: true,
    singleFileFullScreen: false,
    disableInformer: true,
    proudlyDisplayPoweredByUppy: false,
    showNativePhotoCameraButton: matchMedia("(pointer: coarse)").matches,
    doneButtonHandler: null,
  });
  const shipmentOf = (file) => sessions.get(file.id).parts;
  uppy.use(AwsS3, { id: "store", ...sending(policy, { open, create: openInParts, shipmentOf }) });
  // With a single file, Uppy's list does not say that it is one.
  const body = document.getElementById("tray-body");
  const name = () => body.querySelector(".uppy-Dashboard-files:not([role])")?.setAttribute("role", "list");
  new MutationObserver(name).observe(body, { childList: true, subtree: true });
  uppy.addPostProcessor((ids) => Promise.all(ids.map((id) => sessions.get(id)?.outcome)));
  listen();
  return { add };
}

function load(tag, attributes) {
  return new Promise((resolve, reject) => {
    const element = Object.assign(document.createElement(tag), attributes);
    element.addEventListener("load", resolve);
    element.addEventListener("error", () => {
      element.remove();
      reject(new Error(`${attributes.src || attributes.href} did not load`));
    });
    document.head.append(element);
  });
}

/** Take files in: [{file, path, place}]. Those that can not be taken are named with the reason; the others start at once. */
function add(files) {
  if (!busy()) uppy.removeFiles(uppy.getFiles().map((file) => file.id));
  uppy.addFiles(
    files.map(({ file, path, place, single, again }) => ({
      name: file.name,
      type: file.type,
      data: file,
      source: "stowage",
      meta: { relativePath: path || null, place, single, again },
    })),
  );
}

const extensionOf = (name) => (name.includes(".") ? name.split(".").pop().toLowerCase() : "");

/** Why a file can not be taken, in words; null when it can. The portal decides the same again. */
function refusal(name, size) {
  const kind = policy.kinds.find(({ extensions }) => extensions.includes(extensionOf(name)));
  if (!kind) return t("file_type");
  if (!size) return t("file_empty");
  if (size > kind.limit_bytes) return t("file_large", { size: sizeWords(size), limit: sizeWords(kind.limit_bytes) });
  return [...name].length > NAME_LIMIT ? t("file_name_long") : null;
}

/** Uppy's `onBeforeFileAdded`. The list shows names as the pages do; the portal is told the file's own. */
function admit(given, files) {
  const name = safe(given.name);
  const file = { ...given, name, meta: { ...given.meta, name } };
  if (file.data.webkitRelativePath && isLitter(name)) return false; // a folder that was chosen in Uppy's own list
  const reason = refusal(file.data.name, file.size);
  if (reason) {
    addProblem(`refused-${file.id}`, file.name, reason);
    return false;
  }
  removeProblem(`refused-${file.id}`);
  removeProblem(file.id);
  const known = files[file.id];
  if (!known) return file;
  if (!known.progress.complete && !known.error) {
    addProblem(`refused-${file.id}`, file.name, t("file_twice"));
    return false;
  }
  return { ...file, id: `${file.id}-${Date.now()}` };
}

const newKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** The file's session, with its digest; reading a large file takes a while, and says so. */
async function read(file) {
  const session = { key: newKey(), ...sessions.get(file.id) };
  sessions.set(file.id, session);
  const slow = session.sha256 === undefined && file.size >= READING_SHOWS;
  if (slow) tellReading(1);
  try {
    session.sha256 ??= await sha256Of(file.data);
  } catch {
    throw new UploadError(t("file_unreadable"));
  } finally {
    if (slow) tellReading(-1);
  }
  if (!isListed(file, session)) throw new DOMException("cancelled", "AbortError");
  return session;
}

const isListed = (file, { key }) => sessions.get(file.id)?.key === key;

/** The session has its upload; that of a file which was taken off the list meanwhile is given up. */
function opened(file, session, upload) {
  session.uploadId = upload.upload_id;
  if (!isListed(file, session)) giveUp(session);
}

function tellReading(more) {
  reading += more;
  uppy.setOptions({ locale: locale({ reading: reading > 0 && !uppy.getFiles().some((file) => file.progress.bytesUploaded) }) });
}

const specOf = ({ data: { name }, size, type, meta: { place } }, { sha256, key }) => ({ name, size, type, place, sha256, key });

/** Uppy's `getUploadParameters`: hash the file, open the upload at the portal, say where the bytes go. */
async function open(file, { signal }) {
  const session = await readSmall(() => read(file));
  const upload = await begin({ ...specOf(file, session), signal });
  opened(file, session, upload);
  return { method: upload.method, url: upload.upload_url, fields: upload.fields || {}, headers: upload.headers || {} };
}

/** The same for a file that goes in parts: one that was broken off goes on. */
async function openInParts(file) {
  const session = await read(file);
  const spec = specOf(file, session);
  const upload = (await matching(policy, spec)) || (await beginInParts(policy, spec));
  opened(file, session, upload);
  session.parts = shipment(policy, upload);
  session.parts.release = hold(policy, upload.upload_id);
  return session.parts;
}

/** The bytes are there: commit, then wait for the verdict. Never rejects; tells Uppy how it ended. */
async function finish(file) {
  const session = sessions.get(file.id);
  uppy.emit("postprocess-progress", uppy.getFile(file.id), { mode: "indeterminate", message: t("uploads_checking") });
  try {
    const { asset_id: assetId } = await commit(session.uploadId);
    session.committed = true;
    session.parts?.release();
    document.dispatchEvent(new CustomEvent("stowage:committed", { detail: { assetId, place: file.meta.place } }));
    conclude(file, await verdict(policy, assetId));
  } catch (error) {
    fail(file, error);
  }
}

function conclude(file, asset) {
  if (!asset || asset.status === "available" || asset.status === "deleted") {
    uppy.emit("postprocess-complete", uppy.getFile(file.id));
    say(t("file_ready", { name: file.name }));
    return;
  }
  const words = asset.scan?.verdict === "infected" ? t("file_held") : asset.reason?.detail || asset.status;
  fail(file, new UploadError(words, { code: asset.reason?.code }));
}

function fail(file, error) {
  const known = uppy.getFile(file.id);
  if (!known) return;
  uppy.emit("postprocess-complete", known);
  uppy.emit("upload-error", uppy.getFile(file.id), error);
}

function listen() {
  uppy.on("upload-success", (file) => (sessions.get(file.id).outcome = finish(file)));
  uppy.on("upload-error", (file, error) => {
    // What the portal judged stays so; what failed on the way may be tried again, as a new upload.
    const again = { file: file.data, path: file.meta.relativePath, place: file.meta.place };
    const session = sessions.get(file.id);
    const link = error.code === "quota_exceeded" ? { href: policy.more_space_url, words: t("more_space") } : null;
    const single = error instanceof Single;
    // What slept longer than its signature lives is signed anew by itself, once: only the store refuses without a code.
    const stale = error.status === 403 && !error.code && !file.meta.again;
    const retry = !session?.committed && mayHelp(error) ? () => add([again]) : null;
    if (!single && !stale) addProblem(file.id, file.name, error.message, retry, link);
    // What has arrived of a file in parts stays at the portal: trying again goes on from there.
    if (session?.parts) session.kept = true;
    // A failed file leaves Uppy's list, so that its progress is about the others; after Uppy is done with the event.
    setTimeout(() => {
      uppy.removeFile(file.id);
      uppy.setState({ error: null });
      if (single) add([{ ...again, single: true }]);
      if (stale) add([{ ...again, again: true }]);
    });
  });
  watchPace(uppy);
  uppy.on("file-removed", (file) => abandon(file.id));
  uppy.store.subscribe(showState);
  document.addEventListener("stowage:problems", showState);
  document.addEventListener("stowage:theme", ({ detail }) => uppy.getPlugin("Dashboard").setOptions({ theme: detail.theme }));
  window.addEventListener("beforeunload", (event) => {
    if (!moving().length) return;
    event.preventDefault();
    event.returnValue = t("uploads_leave");
  });
}

/** Forget a file's session; free at the portal what was begun and not committed. */
function abandon(id) {
  const session = sessions.get(id);
  sessions.delete(id);
  if (session) giveUp(session);
}

function giveUp({ uploadId, parts, committed, kept }) {
  parts?.release();
  if (uploadId && !committed && !kept) cancel(policy, uploadId);
}

const moving = () => uppy.getFiles().filter((file) => !file.error && !file.progress.complete && !sessions.get(file.id)?.committed);
const busy = () => uppy.getFiles().some((file) => !file.error && !file.progress.complete);

const sum = (files, of) => files.reduce((total, file) => total + (of(file) || 0), 0);

// The button in the top bar says in words how it stands, also while the tray is hidden.
function showState() {
  const files = uppy.getFiles().filter((file) => !file.error);
  const done = files.filter((file) => file.progress.complete).length;
  const sent = files.filter((file) => file.progress.uploadComplete).length;
  const paused = sent < files.length && files.every((file) => file.progress.uploadComplete || file.isPaused);
  const share = sum(files, (file) => file.progress.bytesUploaded) / (sum(files, (file) => file.size) || 1);
  const percent = Math.min(99, Math.floor(100 * share));
  const failed = problemCount();
  const words = [];
  if (paused) words.push(t("uploads_paused", { percent }));
  else if (sent < files.length && reading && !percent) words.push(t("uploads_reading"));
  else if (sent < files.length) words.push(t("uploads_moving", { done: sent, all: files.length, percent }));
  else if (done < files.length) words.push(t("uploads_checking"));
  else if (done) words.push(t("uploads_done", { done }));
  if (failed) words.push(t("uploads_failed", { failed }));
  document.getElementById("tray-words").textContent = words.join(" · ");
  const bar = document.getElementById("tray-progress");
  bar.hidden = done === files.length;
  if (sent < files.length) bar.value = percent;
  else bar.removeAttribute("value");
}
