// Ticked rows of a table: the bar with what can be done to them shows while there are any.
const boxes = () => [...document.querySelectorAll("[data-tick]")];

function count() {
  const bar = document.querySelector("[data-ticked]");
  if (!bar) return;
  const all = boxes();
  const ticked = all.filter((box) => box.checked).length;
  bar.hidden = !ticked;
  bar.querySelector("[data-ticked-count]").textContent = ticked;
  const whole = document.querySelector("[data-tick-all]");
  if (!whole) return;
  whole.checked = ticked > 0 && ticked === all.length;
  whole.indeterminate = ticked > 0 && ticked < all.length;
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-tick-all]")) for (const box of boxes()) box.checked = event.target.checked;
  if (event.target.matches("[data-tick], [data-tick-all]")) count();
});
document.addEventListener("htmx:afterSettle", count);
