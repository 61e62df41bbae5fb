// Asks until committed uploads are checked: one request for many of them, every 2 s, later less often.
import { assets, isTransient } from "./uploads_api.js";

const PAUSES_MS = [1500, 2000, 2000, 3000, 5000, 10000];
const waiting = new Map(); // asset id → {resolve, reject}
let [round, timer] = [0, 0];

/** Resolves with the asset as soon as it has left "processing", with null when it can not be seen any more. */
export function checked(assetId) {
  round = 0;
  timer ||= setTimeout(look, PAUSES_MS[0]);
  return new Promise((resolve, reject) => waiting.set(assetId, { resolve, reject }));
}

async function look() {
  try {
    const ids = [...waiting.keys()].slice(0, 100); // that the portal answers for in one request
    const found = new Map((await assets(ids)).map((asset) => [asset.asset_id, asset]));
    for (const id of ids) {
      const each = waiting.get(id);
      waiting.delete(id);
      if (found.get(id)?.status === "processing") waiting.set(id, each); // behind those that were not asked about yet
      else each.resolve(found.get(id) ?? null);
    }
  } catch (error) {
    for (const { reject } of isTransient(error) ? [] : waiting.values()) reject(error); // logged out, say
    if (!isTransient(error)) waiting.clear();
  }
  timer = waiting.size && setTimeout(look, PAUSES_MS[Math.min((round += 1), PAUSES_MS.length - 1)]);
}
