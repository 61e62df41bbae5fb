// The ways into an upload: button, drop, paste, folder. The uploader itself is loaded when it is first needed.
import { droppedFiles } from "./dropped_files.js";
import { isOutdated } from "./requests.js";
import { safe, t } from "./strings.js";
import { toast } from "./toasts.js";

const NAMES_SHOWN = 20; // while the uploader is being loaded
const tray = document.getElementById("tray");
const button = document.getElementById("tray-button");
const veil = document.getElementById("drop-veil");
let uploader = null;

function openTray(open = true) {
  tray.hidden = !open;
  button.setAttribute("aria-expanded", String(open));
  if (!open && tray.contains(document.activeElement)) button.focus();
}

/** The place that the page shows: {library_id, folder_id}, empty where it shows all files or something else. */
export function here() {
  const shown = document.querySelector("#main [data-place]");
  return shown ? { library_id: shown.dataset.placeLibrary, folder_id: shown.dataset.placeFolder || undefined } : {};
}

async function take(files, place = here()) {
  if (!files.length) return;
  openTray();
  try {
    if (!uploader) showNames(files);
    uploader ??= import("./uploader.js").then(({ start }) => start());
    (await uploader).add(files, place);
  } catch (error) {
    uploader = null;
    if (await isOutdated()) return; // other scripts, which do not fit those that the page has loaded
    console.error(error);
    toast({ text: t("uploads_load"), tone: "bad" });
  }
}

/** The tray is not empty while the uploader is being loaded. */
function showNames(files) {
  const item = ({ file }) => Object.assign(document.createElement("li"), { textContent: safe(file.name) });
  const list = Object.assign(document.createElement("ul"), { className: "tray-names" });
  list.append(...files.slice(0, NAMES_SHOWN).map(item));
  document.getElementById("tray-body").replaceChildren(list);
}

function choose(kind) {
  const input = document.getElementById(kind === "folder" ? "pick-folder" : "pick-files");
  input.value = "";
  input.click();
}

function showVeil(shown) {
  const words = veil.querySelector("[data-words]");
  const place = document.querySelector("#main [data-place]")?.dataset.placeName;
  words.textContent = words.dataset.words.replace("{place}", place || words.dataset.name);
  veil.hidden = !shown;
}

async function drop(transfer) {
  const place = here();
  const { files, unreadable } = await droppedFiles(transfer);
  take(files, place);
  if (!unreadable.length) return;
  openTray();
  const { addProblem } = await import("./upload_problems.js");
  for (const path of unreadable) addProblem(path, path, t("file_unreadable"));
}

/** Handle events of files that are dragged; the browser would show a dropped file in place of the page. */
function onFiles(name, handle) {
  window.addEventListener(name, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    handle(event);
  }, true);
}

// After a crash or a reload: what was interrupted is shown once in a tab, and found in the tray later on.
async function offerInterrupted() {
  if (!Object.keys(localStorage).some((name) => name.startsWith("stowage:parts:"))) return;
  const { showInterrupted } = await import("./interrupted_uploads.js");
  if (!(await showInterrupted()) || sessionStorage.getItem("stowage:told")) return;
  sessionStorage.setItem("stowage:told", "1");
  openTray();
}

if (tray) {
  document.addEventListener("click", ({ target }) => {
    const upload = target.closest("[data-upload]");
    if (upload) choose(upload.dataset.upload);
    if (target.closest("[data-tray-close]")) openTray(false);
    if (!target.closest("#tray-button")) return;
    if (uploader || !tray.hidden || tray.querySelector("#tray-interrupted li")) openTray(tray.hidden);
    else choose("files");
  });
  for (const input of document.querySelectorAll("#pick-files, #pick-folder")) {
    input.addEventListener("change", () => take([...input.files].map((file) => ({ file, path: file.webkitRelativePath }))));
  }
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (!files.length || event.target.closest("input, textarea, .uppy-Root")) return;
    event.preventDefault();
    take(files.map((file) => ({ file, path: "" })));
  });
  onFiles("dragenter", () => showVeil(true));
  onFiles("dragover", (event) => (event.dataTransfer.dropEffect = "copy"));
  onFiles("dragleave", (event) => event.relatedTarget || showVeil(false)); // there is one within the window
  onFiles("drop", (event) => {
    event.stopPropagation();
    showVeil(false);
    drop(event.dataTransfer);
  });
  document.addEventListener("stowage:outdated", () => {
    document.getElementById("tray-outdated").hidden = false;
    openTray();
  });
  document.getElementById("tray-reload").addEventListener("click", () => location.reload());
  offerInterrupted().catch(console.error);
} else {
  onFiles("dragover", () => {});
  onFiles("drop", () => document.querySelector(".topbar-search input") && toast({ text: t("no_upload"), tone: "calm" }));
}
