// Where uploads land: in the place that is shown, and a dropped folder as the same tree of folders below it.
import { redraw } from "./form_dialog.js";
import { safe, t } from "./strings.js";
import { addProblem, removeProblem } from "./upload_problems.js";
import { toast } from "./toasts.js";
import { layPaths, mayHelp } from "./uploads_api.js";

const AT_ONCE = 1000; // paths that the portal takes in one call

const folderOf = (path) => path.split("/").slice(0, -1).join("/");

/** The folders of these paths: Map of path → {library_id, folder_id, detail}. */
async function lay(policy, paths, where) {
  const found = new Map();
  for (let from = 0; from < paths.length; from += AT_ONCE) {
    const { items } = await layPaths(policy, { paths: paths.slice(from, from + AT_ONCE), library_id: where.library_id, parent_id: where.folder_id });
    for (const item of items) found.set(item.path, item);
  }
  return found;
}

/**
 * Give each of [{file, path}] its `place`, {library_id?, folder_id?}; folders are made before the first byte moves.
 * A file whose folder can't be is named with the reason and left out. `again` is called with files to try once more.
 */
export async function placed(policy, files, where, again) {
  const paths = [...new Set(files.map(({ path }) => folderOf(path)).filter(Boolean))];
  if (!paths.length) return files.map((each) => ({ place: where, ...each }));
  let folders;
  try {
    folders = await lay(policy, paths, where);
  } catch (error) {
    const name = paths[0].split("/")[0];
    const retry = () => {
      removeProblem(`folders-${name}`);
      again(files);
    };
    addProblem(`folders-${name}`, name, error.message, mayHelp(error) ? retry : null);
    return [];
  }
  tell(policy, folders);
  return files.flatMap((each) => {
    const found = folders.get(folderOf(each.path));
    if (!found) return [{ place: where, ...each }];
    if (found.folder_id) return [{ ...each, place: { library_id: found.library_id, folder_id: found.folder_id } }];
    addProblem(`folder-${each.path}`, each.path, found.detail);
    return [];
  });
}

/** The page shows the new folders; where it can't, a toast leads to them. */
function tell(policy, folders) {
  const made = [...folders.values()].filter((each) => each.folder_id);
  if (!made.length) return;
  if (document.querySelector("#main [data-place]")) {
    redraw();
    return;
  }
  const first = made.find((each) => !each.path.includes("/"));
  const where = first && made.every((each) => each.path.split("/")[0] === first.path) ? `folder_id=${first.folder_id}` : `library=${made[0].library_id}`;
  toast({ text: t("folders_made", { name: safe((first || made[0]).path) }), tone: "calm", link_url: `${policy.files_url}?${where}`, link_label: t("open_folder") });
}
