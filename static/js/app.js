// Everything a page needs from the start; the uploader comes later, when someone uploads.
import "./frame.js";
import "./requests.js";
import "./toasts.js";
import "./dialogs.js";
import "./lightbox.js";
import "./gallery.js";
import "./keys.js";
import "./tray.js";
