// Uploads in parts that were interrupted, by a reload, a crash or in another browser: listed in the tray, and continued
// when the same file is chosen. The portal knows them; this browser only remembers that there may be some.
import { safe, say, sizeWords, t } from "./strings.js";
import { cancel, openUploads, policy } from "./uploads_api.js";

const box = document.getElementById("tray-interrupted");
const flag = `stowage:parts:${policy.uploads_url}`;
const lockName = (id) => `stowage-upload-${id}`;
const active = new Set(); // ids that this page is sending

/** This page sends the upload, until the function that it answers is called. Other tabs of this browser see the lock. */
export function markActive(id) {
  try {
    localStorage.setItem(flag, "1");
  } catch {
    // Some private windows store nothing: the portal is asked when a file is added.
  }
  active.add(id);
  remove(id);
  let release = () => {};
  navigator.locks?.request(lockName(id), { ifAvailable: true }, () => new Promise((resolve) => (release = resolve)));
  return () => {
    active.delete(id);
    release();
  };
}

/** The interrupted upload of this very file; undefined when there is none. */
export async function findInterrupted({ file_name: name, size_bytes: size, sha256 }) {
  return (await interrupted()).find((each) => sha256 && each.sha256 === sha256 && each.file_name === name && each.size_bytes === size);
}

/** List in the tray what was interrupted; how many there are. */
export async function showInterrupted() {
  if (!localStorage.getItem(flag)) return 0;
  const found = await interrupted();
  if (!found.length) localStorage.removeItem(flag);
  box.querySelector("[data-list]").replaceChildren(...found.map(row));
  showCount();
  if (found.length) say(box.querySelector("[data-title]").textContent);
  return found.length;
}

async function interrupted() {
  const { held = [] } = (await navigator.locks?.query()) || {};
  const elsewhere = new Set(held.map((lock) => lock.name));
  const isOurs = ({ upload_id: id }) => active.has(id) || elsewhere.has(lockName(id));
  return (await openUploads()).filter((each) => each.method === "s3_multipart" && each.state === "uploading" && !isOurs(each));
}

function row(upload) {
  const item = document.getElementById("interrupted-blank").content.firstElementChild.cloneNode(true);
  item.dataset.interrupted = upload.upload_id;
  item.querySelector("[data-name]").textContent = safe(upload.file_name);
  item.querySelector("[data-size]").textContent = sizeWords(upload.size_bytes);
  const discard = item.querySelector("button");
  discard.ariaLabel = `${discard.textContent}: ${safe(upload.file_name)}`;
  discard.onclick = () => {
    remove(upload.upload_id);
    cancel(upload.upload_id);
  };
  return item;
}

function remove(id) {
  box.querySelector(`[data-interrupted="${id}"]`)?.remove();
  showCount();
}

function showCount() {
  const n = box.querySelectorAll("[data-interrupted]").length;
  box.hidden = !n;
  box.querySelector("[data-title]").textContent = t("interrupted", { n });
}
