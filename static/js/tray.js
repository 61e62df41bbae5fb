// The ways into an upload: button, drop, paste, folder. The uploader itself is fetched when first needed.
import { droppedFiles, isLitter } from "./dropped_files.js";
import { t } from "./strings.js";
import { toast } from "./toasts.js";

const tray = document.getElementById("tray");
const veil = document.getElementById("drop-veil");
let uploader = null;

function openTray(open = true) {
  tray.hidden = !open;
  document.getElementById("tray-button").setAttribute("aria-expanded", String(open));
  if (!open && tray.contains(document.activeElement)) document.getElementById("tray-button").focus();
}

/** The place that the page shows: {library_id, folder_id}, empty where it shows all files or something else. */
function here() {
  const shown = document.querySelector("#main [data-place]");
  return shown ? { library_id: shown.dataset.placeLibrary, folder_id: shown.dataset.placeFolder || undefined } : {};
}

async function take(files, place = here()) {
  if (!files.length) return;
  openTray();
  try {
    const { placed } = await import("./folder_paths.js");
    uploader ??= import("./uploader.js").then((module) => module.start(tray));
    const { add } = await uploader;
    add(await placed(JSON.parse(tray.dataset.policy), files, place, (again) => take(again, place)));
  } catch (error) {
    uploader = null;
    console.error(error);
    toast({ text: t("uploads_load"), tone: "bad" });
  }
}

async function refuse(unreadable) {
  openTray();
  const { addProblem } = await import("./upload_problems.js");
  for (const path of unreadable) addProblem(path, path, t("file_unreadable"));
}

function pick(kind) {
  const input = document.getElementById(kind === "folder" ? "pick-folder" : "pick-files");
  input.value = "";
  input.click();
}

const carriesFiles = (event) => [...(event.dataTransfer?.types || [])].includes("Files");

function watchDrops() {
  // dragenter and dragleave come for every element on the way; the counter says when the window is left.
  let depth = 0;
  const show = (on) => {
    const words = veil.querySelector("[data-words]");
    const place = document.querySelector("#main [data-place]")?.dataset.placeName;
    words.textContent = words.dataset.words.replace("{place}", place || words.dataset.name);
    veil.hidden = !on;
  };
  window.addEventListener("dragenter", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth += 1;
    show(true);
  });
  window.addEventListener("dragleave", (event) => {
    if (!carriesFiles(event)) return;
    depth = Math.max(0, depth - 1);
    if (!depth) show(false);
  });
  window.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
  });
  window.addEventListener("drop", async (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    event.stopPropagation();
    depth = 0;
    show(false);
    const place = here();
    const { files, unreadable } = await droppedFiles(event.dataTransfer);
    take(files, place);
    if (unreadable.length) await refuse(unreadable);
  }, true);
}

function watchPaste() {
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files || [])];
    if (!files.length || event.target.closest("input, textarea, .uppy-Root")) return;
    event.preventDefault();
    take(files.map((file) => ({ file, path: "" })));
  });
}

// After a crash or a reload: what was broken off is told once in a tab, and found in the tray later on.
async function tellInterrupted() {
  if (!Object.keys(localStorage).some((name) => name.startsWith("stowage:parts:"))) return;
  const policy = JSON.parse(tray.dataset.policy);
  const { mayExist, offer } = await import("./interrupted_uploads.js");
  if (!mayExist(policy) || !(await offer(policy)) || sessionStorage.getItem("stowage:told")) return;
  sessionStorage.setItem("stowage:told", "1");
  openTray();
}

if (tray) {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-upload]");
    if (button) pick(button.dataset.upload);
    if (event.target.closest("[data-tray-close]")) openTray(false);
    if (event.target.closest("#tray-button")) {
      const interrupted = !document.getElementById("tray-interrupted").hidden;
      if (uploader || interrupted || !tray.hidden) openTray(tray.hidden);
      else pick("files");
    }
  });
  for (const id of ["pick-files", "pick-folder"]) {
    document.getElementById(id).addEventListener("change", (event) => {
      const chosen = [...event.target.files].map((file) => ({ file, path: file.webkitRelativePath || "" }));
      take(chosen.filter(({ file, path }) => !path || !isLitter(file.name)));
    });
  }
  watchDrops();
  watchPaste();
  tellInterrupted().catch(console.error);
} else {
  // No right to upload here: a dropped file must not replace the page.
  window.addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
  window.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    if (document.querySelector(".topbar-search input")) toast({ text: t("no_upload"), tone: "calm" });
  });
}
