// SHA-256 of a file off the main thread, read in chunks so that memory does not grow with the file.
import { sha256 } from "../vendor/noble-hashes/sha2.js";
import { bytesToHex } from "../vendor/noble-hashes/utils.js";

const CHUNK = 4 * 2 ** 20; // bytes

async function digest(file) {
  const hash = sha256.create();
  for (let start = 0; start < file.size; start += CHUNK) {
    hash.update(new Uint8Array(await file.slice(start, start + CHUNK).arrayBuffer()));
  }
  return bytesToHex(hash.digest());
}

// Answers null for a file that can not be read.
self.onmessage = async ({ data: file, ports: [port] }) => port.postMessage(await digest(file).catch(() => null));
