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

/** Load the list on, at most so many pages, until it is enough. Answers false when somebody meanwhile went elsewhere. */
async function loadUntil(enough, mine, most = MOST_PAGES) {
  for (let page = 0; page < most && !enough(); page += 1) {
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
  // A window more than what was seen: heights are guessed, too large at times, until something was near the window.
  const isHigh = () => document.documentElement.scrollHeight >= y + 2 * innerHeight;
  if (!(await loadUntil(isHigh, mine))) return;
  // What came in meanwhile may have pushed it a page further; what was deleted is on none.
  if (!(await loadUntil(() => !item || list(), mine, 1))) return;
  const found = list();
  if (focused) found?.querySelector(".tile-link, .row-link, a")?.focus({ preventScroll: true });
  // What lies above gets its true height only then, too: so several times.
  for (let times = 0; times < 6 && mine === turn; times += 1) {
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
