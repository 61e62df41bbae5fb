// Everything a page needs from the start; the uploader comes later, when someone uploads.
import "./frame.js";
import "./requests.js";
import "./returning.js";
import "./searching.js";
import "./space.js";
import "./toasts.js";
import "./dialogs.js";
import "./lightbox.js";
import "./gallery.js";
import "./keys.js";
import "./context.js";
import "./copying.js";
import "./fetching.js";
import "./picking.js";
import "./sheet.js";
import "./dragging.js";
import "./tray.js";
import "./ticks.js";

// Charts and their library come where there is one.
function drawCharts() {
  if (document.querySelector("canvas[data-chart]")) import("./charts.js").then(({ draw }) => draw()).catch(console.error);
}
document.addEventListener("htmx:afterSettle", ({ detail }) => detail.target?.id === "main" && drawCharts());
drawCharts();
