// Back leads to the place in a list where one left it: what had been loaded by then, where it stood, what had the focus.
const KEY = "stowage:left:";
const MOST_PAGES = 40; // of a list, loaded again one after the other
const ITEMS = "#main :is([data-asset], [data-folder])";
const address = () => location.pathname + location.search;

let shown = address();
let turn = 0;

/** Where the page stands: the item that has the focus, else the first one in sight, and how far below the window's top. */
export function spot() {
  const focused = document.activeElement?.closest?.(ITEMS);
  const item = focused || [...document.querySelectorAll(ITEMS)].find((each) => each.getBoundingClientRect().bottom > 60);
  return { y: scrollY, item: item?.id, top: item?.getBoundingClientRect().top, focused: Boolean(focused) };
}

/** Load the list on until what is wanted is there. Answers false when somebody meanwhile went elsewhere. */
async function loadUntil(there, mine) {
  for (let page = 0; page < MOST_PAGES && !there(); page += 1) {
    const next = document.querySelector("#main .more a[rel=next]");
    if (!next) break;
    const how = { source: next, target: next.closest(".more"), swap: "outerHTML", select: "unset" };
    await window.htmx.ajax("GET", next.href, how);
    if (mine !== turn) return false;
  }
  return mine === turn;
}

/** Bring the page back to `spot`; whoever scrolls or types meanwhile is left where they are. */
export async function returnTo({ y, item, top, focused }) {
  const mine = (turn += 1);
  const list = () => item && document.getElementById(item);
  const isHigh = () => document.documentElement.scrollHeight >= y + innerHeight;
  if (!(await loadUntil(() => list() || (!item && isHigh()), mine))) return;
  const found = list();
  if (focused) found?.querySelector(".tile-link, .row-link, a")?.focus({ preventScroll: true });
  // What lies above may get its true height only once it was near the window: so twice.
  for (let times = 0; times < 2 && mine === turn; times += 1) {
    if (found) scrollBy({ top: found.getBoundingClientRect().top - top, behavior: "instant" });
    else scrollTo({ top: y, behavior: "instant" });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function leave() {
  if (document.querySelector(ITEMS) || scrollY > 0) sessionStorage.setItem(KEY + shown, JSON.stringify(spot()));
  else sessionStorage.removeItem(KEY + shown);
}

function comeBack() {
  shown = address();
  const left = sessionStorage.getItem(KEY + shown);
  if (left) returnTo(JSON.parse(left)).catch(console.error);
}

for (const name of ["wheel", "touchstart", "keydown", "pointerdown"]) addEventListener(name, () => (turn += 1), { passive: true });
document.addEventListener("htmx:beforeSwap", ({ detail }) => detail.target?.id === "main" && leave());
document.addEventListener("htmx:historyCacheMiss", leave);
document.addEventListener("htmx:historyRestore", comeBack);
for (const name of ["htmx:pushedIntoHistory", "htmx:replacedInHistory"]) document.addEventListener(name, () => (shown = address()));
addEventListener("pagehide", leave);
if (performance.getEntriesByType("navigation")[0]?.type === "back_forward") addEventListener("load", comeBack, { once: true });
