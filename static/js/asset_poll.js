// Waits for the verdict of committed uploads: one question for many of them, every 2 s, later less often.
import { assets, passes } from "./uploads_api.js";

const PAUSES_MS = [1500, 2000, 2000, 3000, 5000, 10000];
const MOST = 100; // that the portal answers for in one request
const waiting = new Map();
let round = 0;
let running = false;

/**
 * Resolves with the asset as soon as it left "processing"; with null when it can not be seen any more.
 * Rejects when the portal would not say: who asks is logged out, say. */
export function verdict(policy, assetId) {
  round = 0;
  return new Promise((resolve, reject) => {
    waiting.set(assetId, { policy, resolve, reject });
    if (!running) watch();
  });
}

async function watch() {
  running = true;
  while (waiting.size) {
    await new Promise((resolve) => setTimeout(resolve, PAUSES_MS[Math.min(round++, PAUSES_MS.length - 1)]));
    try {
      await look();
    } catch (error) {
      if (passes(error)) continue; // the portal is away for a moment: ask again
      for (const { reject } of waiting.values()) reject(error);
      waiting.clear();
    }
  }
  running = false;
}

async function look() {
  const asked = [...waiting].slice(0, MOST);
  const [, { policy }] = asked[0];
  const found = new Map((await assets(policy, asked.map(([assetId]) => assetId))).map((asset) => [asset.asset_id, asset]));
  for (const [assetId, each] of asked) {
    const asset = found.get(assetId) ?? null;
    waiting.delete(assetId);
    if (asset?.status === "processing") waiting.set(assetId, each); // behind those whose turn is next
    else each.resolve(asset);
  }
}
