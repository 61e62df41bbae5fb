// Waits for the verdict of committed uploads: one question for all of them, every 2 s, later less often.
import { asset, processing } from "./uploads_api.js";

const PAUSES_MS = [1500, 2000, 2000, 3000, 5000, 10000];
const waiting = new Map();
let round = 0;
let running = false;

/** Resolves with the asset as soon as it left "processing"; with null when it can not be seen any more. */
export function verdict(policy, assetId) {
  round = 0;
  return new Promise((resolve) => {
    waiting.set(assetId, { policy, resolve });
    if (!running) watch();
  });
}

async function watch() {
  running = true;
  while (waiting.size) {
    await new Promise((resolve) => setTimeout(resolve, PAUSES_MS[Math.min(round++, PAUSES_MS.length - 1)]));
    try {
      await look();
    } catch {
      // The portal is away for a moment: ask again.
    }
  }
  running = false;
}

async function look() {
  const [{ policy }] = waiting.values();
  const { items } = await processing(policy);
  const still = new Set(items.map((item) => item.asset_id));
  for (const [assetId, { resolve }] of [...waiting]) {
    if (still.has(assetId)) continue;
    const found = await asset(policy, assetId).catch((error) => (error.status === 404 ? null : Promise.reject(error)));
    if (found?.status === "processing") continue;
    waiting.delete(assetId);
    resolve(found);
  }
}
