// Files out of a drop, folders included. The entries must be taken within the event; reading them may take longer.

// What systems leave in folders without being asked: nobody means to upload it, or wants to read that it was refused.
const LEFT_BY_SYSTEMS = /^(\.DS_Store|Thumbs\.db|desktop\.ini|\._.*)$/i;

/** Is this a file that a system left in a folder? */
export const isLitter = (name) => LEFT_BY_SYSTEMS.test(name);

/**
 * All files of a DataTransfer: {files[{file, path}], unreadable[path]}; a path is "" for a file that lay in no folder. What
 * the browser may not read (no permission, a link that leads nowhere) keeps nothing else from being taken.
 */
export async function droppedFiles(transfer) {
  const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => [item.webkitGetAsEntry?.(), item.getAsFile()]);
  const found = { files: [], unreadable: [] };
  for (const [entry, file] of entries) {
    if (entry?.isDirectory) await walk(entry, found);
    else if (file) found.files.push({ file, path: "" });
  }
  return found;
}

const asked = (ask) => new Promise(ask);

async function walk(folder, found) {
  const reader = folder.createReader();
  try {
    for (;;) {
      // A reader answers at most 100 entries at a time, none at the end.
      const some = await asked((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) return;
      for (const entry of some) {
        if (entry.isDirectory) await walk(entry, found);
        else if (!isLitter(entry.name)) await read(entry, found);
      }
    }
  } catch {
    found.unreadable.push(folder.fullPath.slice(1));
  }
}

async function read(entry, found) {
  const path = entry.fullPath.slice(1);
  try {
    found.files.push({ file: await asked((resolve, reject) => entry.file(resolve, reject)), path });
  } catch {
    found.unreadable.push(path);
  }
}
