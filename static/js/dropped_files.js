// Files out of a drop, folders included. The entries must be taken within the event; reading them may take longer.
import { t } from "./strings.js";
import { addProblem } from "./upload_problems.js";

/**
 * All files of a DataTransfer: [{file, path}]; a path is "" for a file that lay in no folder. What the browser may not
 * read (no permission, a link that leads nowhere) is named, and keeps nothing else from being taken.
 */
export async function droppedFiles(transfer) {
  const files = [];
  const items = [...transfer.items].filter((item) => item.kind === "file");
  for (const [entry, file] of items.map((item) => [item.webkitGetAsEntry?.(), item.getAsFile()])) {
    if (entry?.isDirectory) await read(entry, files);
    else if (file) files.push({ file, path: "" });
  }
  return files;
}

/** Add the files of an entry to `files`. */
async function read(entry, files) {
  const path = entry.fullPath.slice(1);
  try {
    if (entry.isFile) {
      files.push({ file: await new Promise((resolve, reject) => entry.file(resolve, reject)), path });
      return;
    }
    const reader = entry.createReader();
    // A reader answers at most 100 entries at a time, none at the end.
    for (let some = [null]; some.length; ) {
      some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      for (const each of some) await read(each, files);
    }
  } catch {
    addProblem(path, path, t("file_unreadable"));
  }
}
