// The large preview: fits the window, zooms to the picture's own size, steps through the previews of the page.
const dialog = document.getElementById("lightbox");
const part = (name) => dialog.querySelector(`[data-${name}]`);
let current = null;

const all = () => [...document.querySelectorAll("[data-preview]")];

function show(item) {
  current = item;
  const { preview, previewName, previewFacts, previewWidth, previewHeight } = item.dataset;
  const image = part("image");
  image.src = preview;
  image.width = Number(previewWidth);
  image.height = Number(previewHeight);
  image.alt = previewName;
  part("name").textContent = previewName;
  part("facts").textContent = previewFacts;
  const link = item.querySelector(".tile-link, .row-link");
  part("open").hidden = !link;
  if (link) part("open").href = link.href;
  const items = all();
  part("prev").hidden = items[0] === item;
  part("next").hidden = items.at(-1) === item;
  zoom(false);
}

function zoom(on) {
  dialog.toggleAttribute("data-zoomed", on);
  part("zoom").setAttribute("aria-pressed", String(on));
}

function step(by) {
  const items = all();
  const next = items[items.indexOf(current) + by];
  if (next) show(next);
}

/** Open the preview of an element with data-preview; answers false when there is none. */
export function openPreview(item) {
  if (!item) return false;
  show(item);
  dialog.showModal();
  part("stage").focus();
  return true;
}

// Zoomed at a point, that point stays under the pointer.
function zoomAt(event) {
  const image = part("image");
  const box = image.getBoundingClientRect();
  const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  zoom(!dialog.hasAttribute("data-zoomed"));
  const stage = part("stage");
  stage.scrollTo(image.offsetWidth * x - stage.clientWidth / 2, image.offsetHeight * y - stage.clientHeight / 2);
}

if (dialog) {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-lightbox]");
    if (button) openPreview(button.closest("[data-preview]"));
  });
  part("close").addEventListener("click", () => dialog.close());
  part("prev").addEventListener("click", () => step(-1));
  part("next").addEventListener("click", () => step(1));
  part("zoom").addEventListener("click", () => zoom(!dialog.hasAttribute("data-zoomed")));
  part("image").addEventListener("click", zoomAt);
  part("stage").addEventListener("click", (event) => event.target === part("stage") && dialog.close());
  part("open").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => part("image").removeAttribute("src"));
  dialog.addEventListener("keydown", (event) => {
    const zoomed = dialog.hasAttribute("data-zoomed");
    if (event.key === "ArrowLeft" && !zoomed) step(-1);
    else if (event.key === "ArrowRight" && !zoomed) step(1);
    else if (event.key === "z" || event.key === "+" || event.key === "-") zoom(event.key === "z" ? !zoomed : event.key === "+");
    else if (event.key === " " && event.target === part("stage")) dialog.close();
    else return;
    event.preventDefault();
  });
}
