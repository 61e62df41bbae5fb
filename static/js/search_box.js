// The search box: it keeps to the kind and the state that are set, makes one step of the history, and says what the address says.
const NARROWED = ["kind", "status"];
const box = () => document.getElementById("search");
const isSearch = (element) => Boolean(element?.closest?.(".topbar-search"));

/** What the address narrows the gallery to; nothing on other pages. */
function given() {
  const here = new URL(location.href);
  return box() && here.pathname === new URL(box().form.action).pathname ? here.searchParams : new URLSearchParams();
}

// The bar outlives the pages: what its form was made with may not be what is set by now.
document.addEventListener("htmx:configRequest", ({ detail }) => {
  if (!isSearch(detail.elt)) return;
  for (const name of NARROWED) {
    const value = given().get(name);
    if (value) detail.formData.set(name, value);
    else detail.formData.delete(name);
  }
});
// Back leads to where one began to search, not through every pause in typing.
document.addEventListener("htmx:beforeHistoryUpdate", ({ detail }) => {
  if (isSearch(detail.requestConfig.elt) && given().has("q")) detail.history.type = "replace";
});

const say = () => box() && (box().value = new URL(location.href).searchParams.get("q") || "");
// Who types goes on typing; Back and forward show another page, so they change the words, too.
document.addEventListener("htmx:afterSettle", ({ detail }) => detail.target?.id === "main" && document.activeElement !== box() && say());
document.addEventListener("htmx:historyRestore", say);
