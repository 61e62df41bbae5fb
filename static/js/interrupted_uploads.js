// Uploads in parts that were interrupted, by a reload, a crash or in another browser: the portal lists them in the
// tray, and they go on when the same file is chosen. This browser only remembers that there may be some.
import { policy, request } from "./uploads_api.js";

const box = document.getElementById("tray-interrupted");
const flag = `stowage:parts:${policy.api_url}`;
const LOCK = "stowage-upload-";
const active = new Set(); // ids that this page is sending

/** This page sends the upload, until the function that it answers is called. Other tabs see the lock. */
export function markActive(id) {
  localStorage.setItem(flag, "1");
  active.add(id);
  if (box.querySelector(`[data-interrupted="${id}"]`)) showInterrupted();
  let release = () => {};
  navigator.locks?.request(LOCK + id, { ifAvailable: true }, () => new Promise((resolve) => (release = resolve)));
  return () => {
    active.delete(id);
    release();
  };
}

/** Ids of what is being sent: by this page, and by other tabs, where the page is secure and has locks. */
async function activeIds() {
  const { held = [] } = (await navigator.locks?.query()) || {};
  return new Set([...active, ...held.map(({ name }) => name.replace(LOCK, ""))]);
}

/** The interrupted upload of this very file; undefined when there is none. */
export async function findInterrupted({ file_name: name, size_bytes: size, sha256 }) {
  const ids = await activeIds();
  const isSame = (each) => sha256 && each.sha256 === sha256 && each.file_name === name && each.size_bytes === size;
  const isStopped = (each) => each.method === "s3_multipart" && each.state === "uploading" && !ids.has(each.upload_id);
  return (await request("GET", "/uploads?limit=100")).items.find((each) => isStopped(each) && isSame(each));
}

/** Let the portal list in the tray what was interrupted; whether there is something. */
export async function showInterrupted() {
  if (!localStorage.getItem(flag)) return false;
  const values = { sending: [...(await activeIds())] };
  await window.htmx.ajax("GET", box.dataset.src, { source: box, target: box, swap: "innerHTML", values });
  const isSome = Boolean(box.querySelector("li"));
  if (!isSome) localStorage.removeItem(flag);
  return isSome;
}
