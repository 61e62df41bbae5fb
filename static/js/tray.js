// The ways into an upload: button, drop, paste, folder. The uploader itself is loaded when it is first needed.
import { droppedFiles } from "./dropped_files.js";
import { isOutdated } from "./requests.js";
import { t } from "./strings.js";
import { toast } from "./toasts.js";
import { showNames } from "./tray_skeleton.js";

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

/** Take [{file, path}] in. */
async function take(files, place = here()) {
  openTray();
  try {
    if (!uploader) showNames(files);
    uploader ??= import("./uploader.js").then(({ start }) => start());
    (await uploader).add(files, place);
  } catch (error) {
    uploader = null;
    showNames([]);
    if (await isOutdated()) return; // other scripts, which do not fit those that the page has loaded
    console.error(error);
    toast({ text: t("uploads_load"), tone: "bad" });
  }
}

function showVeil(shown) {
  const words = veil.querySelector("[data-words]");
  const place = document.querySelector("#main [data-place]")?.dataset.placeName;
  words.textContent = words.dataset.words.replace("{place}", place || words.dataset.name);
  veil.hidden = !shown;
}

/** Handle events of files that are dragged; the browser would show a dropped file in place of the page. */
function onFiles(name, handle) {
  window.addEventListener(name, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    handle(event);
  }, true);
}

async function drop(event) {
  event.stopPropagation();
  showVeil(false);
  const place = here();
  take(await droppedFiles(event.dataTransfer), place);
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
    const wanted = target.closest("[data-upload]")?.dataset.upload;
    if (target.closest("[data-tray-close]")) openTray(false);
    const isButton = target.closest("#tray-button");
    const isEmpty = !uploader && tray.hidden && !tray.querySelector("#tray-interrupted li");
    if (wanted || (isButton && isEmpty)) document.getElementById(`pick-${wanted || "files"}`).click();
    else if (isButton) openTray(tray.hidden);
  });
  for (const input of document.querySelectorAll("#pick-files, #pick-folder")) {
    input.addEventListener("change", () => {
      take([...input.files].map((file) => ({ file, path: file.webkitRelativePath })));
      input.value = ""; // so that the same file can be chosen again
    });
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
  onFiles("drop", drop);
  document.getElementById("tray-reload").addEventListener("click", () => location.reload());
  document.addEventListener("stowage:outdated", () => {
    document.getElementById("tray-outdated").hidden = false;
    openTray();
  });
  offerInterrupted().catch(console.error);
} else {
  const isFrame = Boolean(document.querySelector(".topbar-search input"));
  onFiles("dragover", () => {});
  onFiles("drop", () => isFrame && toast({ text: t("no_upload"), tone: "calm" }));
}
