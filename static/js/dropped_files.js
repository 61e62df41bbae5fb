// Files out of a drop, folders included. The entries must be taken within the event; reading them may take longer.

/**
 * All files of a DataTransfer: {files[{file, path}], unreadable[path]}; a path is "" for a file that lay in no folder.
 * What the browser may not read (no permission, a link that leads nowhere) keeps nothing else from being taken.
 */
export async function droppedFiles(transfer) {
  const found = { files: [], unreadable: [] };
  const items = [...transfer.items].filter((item) => item.kind === "file");
  for (const [entry, file] of items.map((item) => [item.webkitGetAsEntry?.(), item.getAsFile()])) {
    if (entry?.isDirectory) await read(entry, found);
    else if (file) found.files.push({ file, path: "" });
  }
  return found;
}

/** Add the files of an entry to `found`. */
async function read(entry, found) {
  const path = entry.fullPath.slice(1);
  try {
    if (entry.isFile) {
      found.files.push({ file: await new Promise((resolve, reject) => entry.file(resolve, reject)), path });
      return;
    }
    const reader = entry.createReader();
    // A reader answers at most 100 entries at a time, none at the end.
    for (let some = [null]; some.length; ) {
      some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      for (const each of some) await read(each, found);
    }
  } catch {
    found.unreadable.push(path);
  }
}
