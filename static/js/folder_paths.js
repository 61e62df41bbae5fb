// A dropped or chosen folder becomes the same tree of folders below the place that the page showed.
import { redraw } from "./form_dialog.js";
import { safe, t } from "./strings.js";
import { toast } from "./toasts.js";
import { policy, request, UploadError } from "./uploads_api.js";

const PATHS = 1000; // that the portal takes in one call

const folderOf = ({ meta }) => (meta.relativePath || "").split("/").slice(0, -1).join("/");

/** Where Uppy's files go, all of which were added at one place: [[file, {library_id, folder_id} or an Error]]. */
export async function makePlaces(files) {
  const { place } = files[0].meta;
  const folders = new Map([["", place]]);
  const paths = [...new Set(files.map(folderOf).filter(Boolean))];
  for (let from = 0; from < paths.length; from += PATHS) {
    const part = { paths: paths.slice(from, from + PATHS), library_id: place.library_id, parent_id: place.folder_id };
    const { items } = await request("POST", "/folders/paths", part); // safe to repeat
    for (const { path, library_id, folder_id, detail } of items) {
      folders.set(path, folder_id ? { library_id, folder_id } : new UploadError(detail, { status: 409 }));
    }
  }
  showMade([...folders].filter(([path, folder]) => path && folder.folder_id));
  return files.map((file) => [file, folders.get(folderOf(file))]);
}

/** The page shows the new folders, [[path, folder]]; where it can't, a toast leads to them. */
function showMade(made) {
  if (!made.length) return;
  if (document.querySelector("#main [data-place]")) return redraw();
  const [path, { library_id: library, folder_id: folder }] = made.find(([each]) => !each.includes("/")) ?? made[0];
  const isOne = made.every(([each]) => each === path || each.startsWith(`${path}/`));
  const url = `${policy.files_url}?${isOne ? `folder_id=${folder}` : `library=${library}`}`;
  toast({ text: t("folders_made", { name: safe(path) }), tone: "calm", link_url: url, link_label: t("open_folder") });
}
