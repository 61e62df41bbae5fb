// How much has been sent and how long the rest will take. Not told by Uppy, which counts reading and pauses as slow sending.
import { sizeWords, t } from "./strings.js";

const WINDOW_MS = 15_000; // the speed is that of the last while
const SOUND_MS = 3_000; // of a shorter while nothing is concluded: the first bytes only fill buffers
const STEP_MS = 250;

const sum = (files, of) => files.reduce((total, file) => total + (of(file) || 0), 0);

/** Keep the line below the list up to date. */
export function watchPace(uppy) {
  const line = document.getElementById("tray-pace");
  let seen = []; // {at, sent}, the oldest first
  uppy.store.subscribe(() => {
    const files = uppy.getFiles().filter((file) => !file.error);
    const sent = sum(files, (file) => file.progress.bytesUploaded);
    const moves = files.some((file) => file.progress.uploadStarted && !file.progress.uploadComplete && !file.isPaused);
    line.hidden = !moves || !sent;
    // What goes on after a pause sends again what was on its way.
    if (line.hidden || sent < seen.at(-1)?.sent) seen = [];
    if (line.hidden) return;
    const now = performance.now();
    if (!seen.length || now - seen.at(-1).at >= STEP_MS) seen.push({ at: now, sent });
    while (now - seen[0].at > WINDOW_MS && seen.length > 1) seen.shift();
    const all = sum(files, (file) => file.size);
    const [{ at, sent: before }] = seen;
    const left = sent > before && now - at >= SOUND_MS ? ((all - sent) / (sent - before)) * (now - at) : null;
    const words = [t("pace_sent", { sent: sizeWords(sent), all: sizeWords(all) })];
    if (left !== null) words.push(leftWords(left / 1000));
    line.textContent = words.join(" · ");
  });
}

// As exact as it can be known: seconds by five, then minutes, then hours.
function leftWords(seconds) {
  if (seconds < 58) return t("pace_seconds", { n: Math.max(5, Math.ceil(seconds / 5) * 5) });
  if (seconds < 90 * 60) return t("pace_minutes", { n: Math.round(seconds / 60) });
  return t("pace_hours", { n: Math.round(seconds / 3600) });
}
