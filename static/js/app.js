// Everything a page needs from the start; the uploader comes later, when someone uploads.
import "./frame.js";
import "./requests.js";
import "./session_dialog.js";
import "./scroll_restore.js";
import "./search_box.js";
import "./usage_meter.js";
import "./toasts.js";
import "./confirm_dialog.js";
import "./lightbox.js";
import "./gallery.js";
import "./keyboard.js";
import "./context_menu.js";
import "./clipboard.js";
import "./bulk_download.js";
import "./selection.js";
import "./form_dialog.js";
import "./drag_and_drop.js";
import "./tray.js";
import "./checkboxes.js";

// Charts and their library come where there is one.
function drawCharts() {
  if (document.querySelector("canvas[data-chart]")) import("./charts.js").then(({ draw }) => draw()).catch(console.error);
}
document.addEventListener("htmx:afterSettle", ({ detail }) => detail.target?.id === "main" && drawCharts());
drawCharts();
