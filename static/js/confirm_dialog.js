// The confirm dialog: elements with data-confirm ask before htmx sends their request.
const dialog = document.getElementById("confirm");
let asking = null;

function ask(element) {
  const { confirm, confirmTitle, confirmAction, confirmTone } = element.dataset;
  document.getElementById("confirm-title").textContent = confirmTitle;
  document.getElementById("confirm-text").textContent = confirm;
  const yes = document.getElementById("confirm-yes");
  yes.textContent = confirmAction;
  yes.className = `btn btn-${confirmTone === "danger" ? "danger" : "primary"}`;
  dialog.returnValue = "cancel";
  asking = element;
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

if (dialog) {
  document.addEventListener("htmx:confirm", (event) => {
    const element = event.detail.elt.closest("[data-confirm]");
    if (!element) return;
    event.preventDefault();
    ask(element).then((agreed) => agreed && event.detail.issueRequest(true));
  });
  // A part of the page that asks for itself again leaves what the question is about where it is.
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (dialog.open && detail.target.contains(asking) && detail.requestConfig.verb === "get") detail.shouldSwap = false;
  });
}

// A click on the backdrop closes a dialog, as Esc does.
document.addEventListener("click", (event) => {
  if (event.target instanceof HTMLDialogElement && event.target.classList.contains("box")) event.target.close();
});
