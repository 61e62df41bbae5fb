// How full the workspace is, at the foot of the sidebar: asked for again when files came or went.
// Space is taken and freed a little after the page has answered: a file that is refused gives its own back once it was
// looked at, one that was deleted for good when the storage has removed it. So there is a second and a third look.
const SOON_MS = 1500;
const LATER_MS = [6000, 20_000];
let first = 0;
let later = [];

async function look() {
  const url = document.querySelector("[data-space]")?.dataset.space;
  if (!url) return;
  const answer = await fetch(url, { headers: { "HX-Request": "true" } });
  const foot = document.querySelector("[data-space]");
  // Meanwhile somebody may have gone to another workspace, or their focus to the link in it.
  if (!answer.ok || foot?.dataset.space !== url || foot.contains(document.activeElement)) return;
  const box = document.createElement("template");
  box.innerHTML = await answer.text();
  const fresh = box.content.firstElementChild;
  if (!fresh || !foot.isConnected) return;
  foot.replaceWith(fresh);
  window.htmx.process(fresh);
}

const again = () => look().catch(() => {}); // the portal is away: other parts of the page say so

/** A hundred files in a row are a look now and then: the first is not put off by the next file, the later ones are. */
function soon() {
  first ||= setTimeout(() => {
    first = 0;
    again();
  }, SOON_MS);
  for (const timer of later) clearTimeout(timer);
  later = LATER_MS.map((pause) => setTimeout(again, pause));
}

document.addEventListener("stowage:committed", soon);
const leaving = () => document.querySelector("#main [data-leaving]") && soon();
document.addEventListener("htmx:afterSettle", ({ detail }) => detail.target?.id === "main" && leaving());
leaving();
