// SHA-256 of files, computed in a worker.
const worker = new Worker(new URL("./sha256.worker.js", import.meta.url), { type: "module" });
// Without a worker uploads go on without a digest: the portal computes it anyway.
const broken = new Promise((resolve) => worker.addEventListener("error", () => resolve(null)));

/** The SHA-256 of a File in hex; null when it can not be computed here. Rejects when the file can not be read. */
export function sha256Of(file) {
  const { port1, port2 } = new MessageChannel();
  const answer = new Promise((resolve, reject) => {
    port1.onmessage = ({ data: { sha256, error } }) => (error ? reject(new Error(error)) : resolve(sha256));
  });
  worker.postMessage(file, [port2]);
  return Promise.race([answer, broken]).finally(() => port1.close());
}
