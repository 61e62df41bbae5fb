// Uploads in parts that were broken off, by a reload, a crash or another browser: told in the tray, and taken up again
// when the same file is chosen. The portal knows them; this browser only remembers that there may be some.
import { safe, say, sizeWords, t } from "./strings.js";
import { cancel, findUpload, openUploads } from "./uploads_api.js";

const box = document.getElementById("tray-interrupted");
const lockName = (id) => `stowage-upload-${id}`;
const flag = (policy) => `stowage:parts:${policy.uploads_url}`;
const here = new Set(); // ids that this page is sending

/** Whether this browser left uploads unfinished here. */
export const mayExist = (policy) => remembered(() => localStorage.getItem(flag(policy)) !== null);

/** From now on this page sends the upload; answers what says that it does no more. Other tabs of this browser see it. */
export function hold(policy, id) {
  remembered(() => localStorage.setItem(flag(policy), "1"));
  here.add(id);
  take(id);
  let done = () => here.delete(id);
  navigator.locks?.request(lockName(id), { ifAvailable: true }, () => new Promise((resolve) => (done = () => (here.delete(id), resolve()))));
  return () => done();
}

/** The unfinished upload of this very file, with the parts that have arrived; null when there is none. */
export async function matching(policy, { name, size, sha256 }) {
  if (!sha256) return null;
  const same = (await waiting(policy)).find((each) => each.file_name === name && each.size_bytes === size && each.sha256 === sha256);
  return same ? findUpload(policy, same.upload_id) : null;
}

/** Tell in the tray what is unfinished; how many there are. */
export async function offer(policy) {
  const found = await waiting(policy);
  if (!found.length) remembered(() => localStorage.removeItem(flag(policy)));
  box.querySelector("[data-list]").replaceChildren(...found.map((upload) => line(policy, upload)));
  show();
  if (found.length) say(box.querySelector("[data-title]").textContent);
  return found.length;
}

async function waiting(policy) {
  const { items } = await openUploads(policy);
  const locks = (await navigator.locks?.query())?.held || [];
  const elsewhere = new Set(locks.map((lock) => lock.name));
  return items.filter((each) => each.method === "s3_multipart" && each.state === "uploading" && !here.has(each.upload_id) && !elsewhere.has(lockName(each.upload_id)));
}

function line(policy, upload) {
  const item = document.getElementById("interrupted-blank").content.firstElementChild.cloneNode(true);
  item.dataset.interrupted = upload.upload_id;
  item.querySelector("[data-name]").textContent = safe(upload.file_name);
  item.querySelector("[data-size]").textContent = sizeWords(upload.size_bytes);
  const discard = item.querySelector("button");
  discard.setAttribute("aria-label", `${discard.textContent}: ${safe(upload.file_name)}`);
  discard.addEventListener("click", () => {
    take(upload.upload_id);
    cancel(policy, upload.upload_id);
  });
  return item;
}

function take(id) {
  box.querySelector(`[data-interrupted="${id}"]`)?.remove();
  show();
}

function show() {
  const { length } = box.querySelectorAll("[data-interrupted]");
  box.hidden = !length;
  box.querySelector("[data-title]").textContent = length === 1 ? t("interrupted_one") : t("interrupted_many", { n: length });
}

// Where the browser keeps nothing (private windows of some), the portal's list is asked when a file is added.
function remembered(what) {
  try {
    return what();
  } catch {
    return false;
  }
}
