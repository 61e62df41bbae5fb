// SHA-256 of files, computed in a worker.
import { t } from "./strings.js";
import { UploadError } from "./uploads_api.js";

const worker = new Worker(new URL("./sha256.worker.js", import.meta.url), { type: "module" });
// Without a worker uploads go on without a digest: the portal computes it anyway.
const broken = new Promise((resolve) => worker.addEventListener("error", () => resolve(null)));

/** The SHA-256 of a File in hex; null when it can not be computed here. Rejects when the file can not be read. */
export function sha256Of(file) {
  const { port1, port2 } = new MessageChannel();
  const answer = new Promise((resolve, reject) => {
    const unreadable = new UploadError(t("file_unreadable"), { status: 422 });
    port1.onmessage = ({ data: sha256 }) => (sha256 ? resolve(sha256) : reject(unreadable));
  });
  worker.postMessage(file, [port2]);
  return Promise.race([answer, broken]).finally(() => port1.close());
}
