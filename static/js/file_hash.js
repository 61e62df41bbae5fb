// Asks the hash worker. It reads the files that are asked about side by side.
let worker = null;
let last = 0;
const waiting = new Map();

function startWorker() {
  worker = new Worker(new URL("./sha256.worker.js", import.meta.url), { type: "module" });
  worker.addEventListener("message", ({ data }) => {
    const { resolve, reject } = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.error) reject(new Error(data.error));
    else resolve(data.sha256);
  });
  worker.addEventListener("error", () => {
    // Without a worker the upload goes on; the portal computes the digest anyway.
    for (const { resolve } of waiting.values()) resolve(null);
    waiting.clear();
    worker = null;
  });
}

/** The SHA-256 of a File in hex; null when it can not be computed here. Rejects when the file can not be read. */
export function sha256Of(file) {
  if (!worker) startWorker();
  last += 1;
  return new Promise((resolve, reject) => {
    waiting.set(last, { resolve, reject });
    worker.postMessage({ id: last, file });
  });
}
