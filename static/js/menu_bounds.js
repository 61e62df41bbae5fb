// Where a menu may be: in the window, below the bar at the top and above what lies over the page at the bottom.
const GAP = 8; // pixels between a menu and the edges

const boxes = (selector) => [...document.querySelectorAll(selector)].map((each) => each.getBoundingClientRect()).filter((box) => box.height);

/** The edges of that room, in pixels of the window. */
export function room() {
  const below = boxes(".bottombar, .selection").map((box) => box.top);
  const above = boxes(".topbar").map((box) => box.bottom);
  return {
    left: GAP,
    right: document.documentElement.clientWidth - GAP,
    top: Math.max(0, ...above) + GAP,
    bottom: Math.min(innerHeight, ...below) - GAP,
  };
}

/** The start of something so long that is to lie between two edges; what is too long begins at the first. */
export const between = (from, to, start, length) => Math.max(from, Math.min(start, to - length));
