// Asks until committed uploads are checked: every 2 s, later every 10.
import { findAsset, isTransient } from "./uploads_api.js";

const OFTEN_MS = 2000;
const RARELY_MS = 10_000;
const OFTEN = 5; // rounds

/** The asset as soon as it has left "processing"; null when it can not be seen any more. */
export async function checked(assetId) {
  for (let round = 0; ; round += 1) {
    // All files ask at the same moments, and so in one request.
    const period = round < OFTEN ? OFTEN_MS : RARELY_MS;
    await new Promise((resolve) => setTimeout(resolve, period - (Date.now() % period)));
    const asset = await findAsset(assetId).catch((error) => {
      if (!isTransient(error)) throw error; // logged out, say
      return { status: "processing" };
    });
    if (asset?.status !== "processing") return asset;
  }
}
