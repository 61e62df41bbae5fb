// Draws <canvas data-chart='{"type", "labels", "series", "unit"}'> with Chart.js; app.js loads this where there is one.
import { sizeWords, t } from "./strings.js";

const PALETTE = { light: ["#0b7285", "#b35c00", "#5f3dc4", "#2b8a3e"], dark: ["#4cc3d5", "#f0b957", "#b197fc", "#6fd08c"] };
const drawn = new Map();
let library = null;

function load(source) {
  library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = source;
    script.onload = () => resolve(window.Chart);
    script.onerror = () => reject(new Error(t("error_offline")));
    document.head.append(script);
  });
  return library;
}

const isDark = () => document.documentElement.dataset.bsTheme === "dark";

/** A colour as the page shows it: light-dark() is resolved by the browser. */
function shown(name) {
  const probe = document.createElement("span");
  probe.className = name;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/** Steps of 1, 2 or 5 in the unit that the largest value is told in: 5 GB, not 4.66. */
function stepOf(largest) {
  const unit = [2 ** 40, 2 ** 30, 2 ** 20, 2 ** 10].find((size) => largest >= size) || 1;
  const rough = largest / unit / 4 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((each) => each * power >= rough) * power;
  return unit * (unit === 1 ? Math.max(1, step) : step);
}

const words = (unit) => (value) => (unit === "bytes" ? sizeWords(value) : String(value));

function look(line, place, palette, type) {
  const tone = line.limit ? shown("tone-bad") : palette[line.band || line.dashed ? 0 : place % palette.length];
  if (type === "bar") return { backgroundColor: palette[0], borderRadius: 4, maxBarThickness: 22 };
  return {
    borderColor: tone,
    backgroundColor: `${palette[0]}22`,
    borderWidth: line.band ? 1 : 2,
    borderDash: line.dashed || line.limit ? [6, 4] : [],
    fill: line.band && place > 0 && line.top ? "-1" : false,
    pointRadius: 0,
    pointHitRadius: 12,
    tension: 0,
  };
}

function config({ type, labels, series, unit }) {
  const palette = PALETTE[isDark() ? "dark" : "light"];
  const text = shown("text-secondary");
  const grid = "rgb(128 128 128 / 20%)";
  const bands = series.filter((line) => line.band);
  if (bands.length) bands[bands.length - 1].top = true;
  const flat = type === "bar";
  const stepSize = stepOf(Math.max(...series.flatMap((line) => line.values.filter((value) => value !== null))));
  const sizes = { beginAtZero: true, grid: { color: grid }, ticks: { color: text, callback: words(unit), stepSize, maxRotation: 0 } };
  const names = { grid: { display: false }, ticks: { color: text, maxRotation: 0, autoSkip: !flat, autoSkipPadding: 24, maxTicksLimit: flat ? 20 : 7 } };
  return {
    type,
    data: { labels, datasets: series.map((line, place) => ({ label: line.name, data: line.values, ...look(line, place, palette, type) })) },
    options: {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      indexAxis: flat ? "y" : "x",
      interaction: { mode: "index", intersect: false, axis: flat ? "y" : "x" },
      scales: flat ? { x: sizes, y: names } : { x: names, y: sizes },
      plugins: {
        legend: { display: series.length > 1, labels: { color: text, boxWidth: 14, boxHeight: 2 } },
        tooltip: { callbacks: { label: (item) => `${item.dataset.label}: ${words(unit)(item.raw)}` } },
      },
    },
  };
}

/** Draw every chart of the page that is not drawn yet; forget those that are gone. */
export async function draw(again = false) {
  const canvases = [...document.querySelectorAll("canvas[data-chart]")];
  if (!canvases.length) return;
  const Chart = await load(canvases[0].dataset.library);
  for (const [canvas, chart] of drawn) {
    if (again || !canvas.isConnected) {
      chart.destroy();
      drawn.delete(canvas);
    }
  }
  for (const canvas of canvases) {
    if (drawn.has(canvas)) continue;
    const spec = JSON.parse(canvas.dataset.chart);
    if (spec.type === "bar") canvas.parentElement.dataset.rows = Math.min(spec.labels.length, 10);
    drawn.set(canvas, new Chart(canvas, config(spec)));
  }
}

document.addEventListener("stowage:theme", () => draw(true));
