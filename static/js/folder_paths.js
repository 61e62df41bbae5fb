// Where uploads go: to the place that is shown, and a dropped folder as the same tree of folders below it.
import { redraw } from "./form_dialog.js";
import { safe, t } from "./strings.js";
import { toast } from "./toasts.js";
import { addProblem, removeProblem } from "./upload_problems.js";
import { makeFolders, mayHelp, policy } from "./uploads_api.js";

const PATHS = 1000; // that the portal takes in one call

const folderOf = (path) => path.split("/").slice(0, -1).join("/");

/**
 * Give each of [{file, path}] its `place`, {library_id?, folder_id?}; folders are made before the first byte is sent.
 * A file whose folder can't be is named with the reason and left out. `retry` is called with files to try once more.
 */
export async function withPlaces(files, here, retry) {
  const paths = [...new Set(files.map(({ path }) => folderOf(path)).filter(Boolean))];
  const folders = new Map(); // path → {library_id, folder_id, detail}
  try {
    for (let from = 0; from < paths.length; from += PATHS) {
      const some = { paths: paths.slice(from, from + PATHS), library_id: here.library_id, parent_id: here.folder_id };
      for (const folder of await makeFolders(some)) folders.set(folder.path, folder);
    }
  } catch (error) {
    const name = paths[0].split("/")[0];
    const again = () => {
      removeProblem(`folders-${name}`);
      retry(files);
    };
    addProblem(`folders-${name}`, name, error.message, mayHelp(error) ? again : null);
    return [];
  }
  showMade([...folders.values()].filter((folder) => folder.folder_id));
  return files.flatMap((each) => {
    const folder = folders.get(folderOf(each.path));
    if (!folder) return [{ place: here, ...each }];
    if (folder.folder_id) return [{ ...each, place: { library_id: folder.library_id, folder_id: folder.folder_id } }];
    addProblem(`folder-${each.path}`, each.path, folder.detail);
    return [];
  });
}

/** The page shows the new folders; where it can't, a toast leads to them. */
function showMade(made) {
  if (!made.length) return;
  if (document.querySelector("#main [data-place]")) return redraw();
  const first = made.find((folder) => !folder.path.includes("/"));
  const isOne = first && made.every((folder) => folder.path.split("/")[0] === first.path);
  const query = isOne ? `folder_id=${first.folder_id}` : `library=${made[0].library_id}`;
  toast({ text: t("folders_made", { name: safe((first || made[0]).path) }), tone: "calm", link_url: `${policy.files_url}?${query}`, link_label: t("open_folder") });
}
