// Translated words for scripts; the page carries them as data.
const words = JSON.parse(document.getElementById("strings").textContent);

/** The words for a key, with {name} filled from `values`. */
export function t(key, values = {}) {
  return words[key].replace(/\{(\w+)\}/g, (all, name) => (name in values ? values[name] : all));
}

/** A size in bytes as the pages write it: binary steps, MB and GB. */
export function sizeWords(bytes) {
  for (const [unit, step] of [["TB", 2 ** 40], ["GB", 2 ** 30], ["MB", 2 ** 20], ["KB", 2 ** 10]]) {
    if (bytes >= step) return `${(bytes / step).toFixed(bytes % step && bytes / step < 100 ? 1 : 0)} ${unit}`;
  }
  return `${bytes} B`;
}

/** Say something to screen readers without showing it. */
export function say(text) {
  document.getElementById("said").textContent = text;
}
