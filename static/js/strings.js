// Translated words for scripts. The file that the page loads before any module has set them (portal/web/script_texts.py).
const MB = 2 ** 20;
const UNITS = [["TB", 2 ** 40], ["GB", 2 ** 30], ["MB", MB], ["KB", 2 ** 10]];
const words = globalThis.stowageTexts;
const plural = new Intl.PluralRules(document.documentElement.lang);

/** The words for a key, with {name} filled from `values`; those that depend on a number have a form by `values.n`. */
export function t(key, values = {}) {
  const text = typeof words[key] === "string" ? words[key] : words[key][plural.select(values.n)] || words[key].other;
  return text.replace(/\{(\w+)\}/g, (all, name) => (name in values ? values[name] : all));
}

/** Uppy's own words, in the form of its `locale` option. */
export const uppyStrings = words.uppy;

/** A name as the pages show it (components/file_name.html): what would turn the reading direction is shown as a mark. */
export const safe = (name) => name.replace(/[\u202a\u202b\u202d\u202e\u2066-\u2068\u200f]/g, "\ufffd");

/** A size in bytes as the pages write it (portal/sizes.py). */
export function sizeWords(bytes) {
  for (const [unit, step] of UNITS) {
    if (bytes < step) continue;
    const tenths = step > MB || (step === MB && bytes < 100 * MB) ? 1 : 0;
    return `${new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: tenths }).format(bytes / step)} ${unit}`;
  }
  return t("size_bytes", { n: bytes });
}

/** A share of 100 as the pages write it (portal/web/formats.py). */
export const percentWords = (share) => new Intl.NumberFormat(document.documentElement.lang, { style: "percent" }).format(share / 100);

/** Say something to screen readers without showing it. */
export function say(text) {
  document.getElementById("said").textContent = text;
}
